"""One connection to Redis for the bus, and how patient the bus is with it.

The bus talks on connections of its own, outside of every pool: a pool's health checks and timeouts would
end a subscription that is merely quiet. This file knows redis-py's connection class and nothing of records.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

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


async def connect(connection: AbstractConnection, pace: Pace) -> None:
    """Opens the connection, or raises what redis-py raises, or TimeoutError."""
    async with asyncio.timeout(pace.connect):
        await connection.connect()  # type: ignore[no-untyped-call]
