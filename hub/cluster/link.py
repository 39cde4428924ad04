"""One connection to Redis for the bus, and how patient the bus is with it.

The bus talks on connections of its own, outside of every pool: a pool's health checks and timeouts would
end a subscription that is merely quiet. redis-py opens them (TLS, names, passwords); then their bytes are
read here, for its streams wake a task for every reply, which costs more than all the rest of telling an
event. This file knows redis-py's connection class and nothing of records.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Every patience of the bus, in seconds. The defaults are what production runs with."""

    connect: float = 2.0  # for TCP, TLS and the greeting together
    ping: float = 5.0  # between pings on the subscribed connection
    silence: float = 10.0  # without any byte on it until it counts as dead
    backoff: float = 0.1  # before the first new attempt; doubles
    backoff_max: float = 1.0
    subscribe: float = 0.5  # wait for a subscription's confirmation; later ones count too
    publish: float = 0.3  # for one write of records and its replies
    rest: float = 1.0  # without any attempt to publish, after one has failed
    linger: float = 5.0  # keep following a tenant that nobody needs any more
    patience: float = 10.0  # a hole that SQL answers without is given up


PACE = Pace()
_NOTHING = object()  # no whole reply is there


def new_connection(url: str, name: str, pace: Pace) -> AbstractConnection:
    """A connection that is not open yet, without a read timeout. `name` is shown by CLIENT LIST.

    Raises ValueError for a URL that redis-py does not understand.
    """
    pool = ConnectionPool.from_url(
        url,
        # RESP2: a message is a plain list, and PING on a subscribed connection is answered.
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=pace.connect,
        client_name=name,
    )
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    limits = getattr(connection, "socket_keepalive_options", None)
    if isinstance(limits, dict) and hasattr(socket, "TCP_USER_TIMEOUT"):
        # What is written to a peer that has stopped reading is given up by the kernel too.
        limits[socket.TCP_USER_TIMEOUT] = int(pace.silence * 1000)
    return connection


class Line(asyncio.Protocol):
    """An open connection. `heard` is called with every reply. An error among them ends the line, as does what
    `heard` raises; `lost` is told once why it ended, unless it was closed from here."""

    def __init__(
        self,
        connection: AbstractConnection,
        heard: Callable[[Any], None],
        lost: Callable[[Exception], None],
    ) -> None:
        """Raises ConnectionError when the server has hung up already."""
        reader, writer = connection._reader, connection._writer
        if reader is None or writer is None or reader.at_eof():
            raise ConnectionError("Redis has closed the connection")
        self.open = True
        self._heard = heard
        self._lost = lost
        self._replies = hiredis.Reader(notEnoughData=_NOTHING)
        self._transport = writer.transport
        self._transport.set_protocol(self)

    def write(self, commands: bytes) -> None:
        self._transport.write(commands)

    def close(self) -> None:
        self.open = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        replies = self._replies
        try:
            replies.feed(data)
            while self.open and (reply := replies.gets()) is not _NOTHING:
                if isinstance(reply, Exception):
                    raise reply
                self._heard(reply)
        except Exception as error:
            self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("Redis has closed the connection"))

    def _end(self, error: Exception) -> None:
        if self.open:
            self.close()
            self._lost(error)


async def connect(
    connection: AbstractConnection,
    pace: Pace,
    heard: Callable[[Any], None],
    lost: Callable[[Exception], None],
) -> Line:
    """Opens the connection, or raises what redis-py raises, or TimeoutError."""
    async with asyncio.timeout(pace.connect):
        await connection.connect()  # type: ignore[no-untyped-call]
    return Line(connection, heard, lost)
