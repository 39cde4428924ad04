"""Plain WebSockets, without Engine.IO: text messages both ways, for `wscat` and the like.

Messages of one client are handled one at a time and in order, its end last and exactly once. Peers are
pinged with WebSocket's own pings. What the messages mean is for the callbacks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from hub.realtime.connection import Connection
from hub.realtime.departures import Departures
from hub.realtime.errors import ProtocolError, WrongKind
from hub.realtime.frames import Profile, text_frame
from hub.realtime.outflow import Tick
from hub.realtime.pulse import Pulse
from hub.realtime.serial import Serial
from hub.realtime.takeover import take_over
from hub.realtime.websocket import CLOSE_TIMEOUT, POLICY, RESTART, WebSocket, accept_key
from hub.realtime.wsframes import Op, Parsers, frame

log = structlog.get_logger(__name__)
PING = frame(Op.PING, b"")


class PlainSocket(WebSocket):
    """One plain WebSocket."""

    __slots__ = (
        *("_on_close", "_on_text", "_over", "awaiting_pong", "beat", "deadline", "inbox"),
        *("sockets", "worker"),
    )

    def __init__(
        self,
        sockets: PlainSockets,
        transport: asyncio.Transport,
        on_text: Callable[[str], Awaitable[None]],
        on_close: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(sockets.tick, transport, sockets.parsers, sockets.departures)
        self.sockets = sockets
        self._on_text = on_text
        self._on_close = on_close
        self._over = False
        # Kept by Heartbeat and Serial:
        self.beat = 0
        self.awaiting_pong = False
        self.deadline = 0.0
        self.inbox: deque[Any] | None = None
        self.worker: asyncio.Task[None] | None = None

    def connection(
        self, id: str, profile: Profile, *, types: tuple[str, ...] | None = None, context: Any = None
    ) -> Connection:
        """A connection on this WebSocket."""
        profile = profile._replace(transport="plain")
        return Connection(id, self, profile, self.tick, _end, types=types, context=context)

    def send(self, text: str) -> None:
        """One text message."""
        if self.open:
            self.push(text_frame(text.encode()))

    async def handle(self, text: str | None) -> None:
        """One item of its inbox; None is its end."""
        if text is None:
            await self._on_close()
        else:
            await self._on_text(text)

    # -- WebSocket -----------------------------------------------------------------------------------
    def on_message(self, payload: str | bytes) -> None:
        if isinstance(payload, bytes):
            raise WrongKind("binary message")
        self.sockets.serial.put(self, payload)

    def on_pong(self) -> None:
        self.sockets.pulse.pong(self)

    def on_broken(self, error: ProtocolError) -> None:
        log.info("a client broke the protocol", action="connection.refuse", reason=str(error)[:120])
        self._finish()

    def on_gone(self) -> None:
        self._finish()

    def end(self, code: int, reason: str = "") -> None:
        super().end(code, reason)
        self._finish()

    def _finish(self) -> None:
        if not self._over:
            self._over = True
            self.beat += 1  # takes it out of the heartbeat
            self.sockets.links.discard(self)
            self.sockets.serial.put_last(self, None)


class PlainSockets:
    """All plain WebSockets of a process. Times in seconds, `max_message` in bytes."""

    def __init__(
        self,
        tick: Tick,
        *,
        max_message: int = 64 << 10,
        ping_interval: float = 20,
        ping_timeout: float = 15,
        max_inbox: int = 100,
    ) -> None:
        self.tick = tick
        self.parsers = Parsers(max_message)
        self.links: set[PlainSocket] = set()
        self.departures = Departures()  # closing handshakes under way
        self.serial: Serial[PlainSocket] = Serial(
            PlainSocket.handle, lambda link, error: link.on_broken(error), max_inbox=max_inbox
        )
        self.pulse: Pulse[PlainSocket] = Pulse(
            ping_interval, ping_timeout, ping=lambda link: link.push(PING), dead=lambda link: link.cut()
        )

    def __len__(self) -> int:
        return len(self.links)

    def open(
        self,
        request: web.Request,
        *,
        on_text: Callable[[str], Awaitable[None]],
        on_close: Callable[[], Awaitable[None]],
    ) -> PlainSocket:
        """Accept `request` as a WebSocket; the handler then returns `Taken()` without awaiting anything.

        `on_close` is called once, after the last `on_text`. Raises `HandshakeError` for a request that is no
        handshake, ConnectionResetError when the client is gone.
        """
        key = accept_key(request)
        link = PlainSocket(self, take_over(request), on_text, on_close)
        self.links.add(link)
        link.accept(key)
        self.pulse.start(link)
        return link

    async def shutdown(self) -> None:
        """Close all, so that clients come back; returns when they are gone or `CLOSE_TIMEOUT` has passed."""
        for link in tuple(self.links):
            link.end(RESTART)
        self.pulse.close()
        await self.serial.idle(CLOSE_TIMEOUT)
        await self.departures.over(CLOSE_TIMEOUT)


def _end(conn: Connection, code: str, reason: str, reconnect: bool) -> None:
    """`Connection.close`: the close code says whether to come back (RFC 6455's 1008, IANA's 1012)."""
    assert isinstance(conn.link, PlainSocket)
    conn.link.end(RESTART if reconnect else POLICY, code)
