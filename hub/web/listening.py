"""The port: every connection comes in here, gets its time for a first head, and goes where it belongs.

A WebSocket of Socket.IO goes to it straight away, a request that many send takes the short way, everything
else goes to aiohttp. `stop` ends the listening and leaves open connections alone; `close` ends those of
plain requests. Does not know what is served.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from aiohttp import web

from hub.realtime.outflow import set_user_timeout
from hub.realtime.places import neighbourhood
from hub.web.arrivals import Arrivals
from hub.web.front import Front
from hub.web.proxies import TRUSTED, address_of
from hub.web.routing import TABLE
from hub.web.short import ShortWay
from hub.web.sockets import PATH, Sockets
from hub.web.unreadable import Reader

BACKLOG = 4096
# The longest line of a request's head: a token has up to 8 KiB, and its address may hold it.
MAX_LINE = 16 << 10
# How long the rest of a refused body is read, so that its sender reads the refusal.
LINGER_SECONDS = 2.0
# What a request under way gets when the process ends.
SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOptions:
    """Seconds until the head of a connection's first request must be there, and between two requests; how
    many connections may owe their first head."""

    head_timeout: float = 10.0
    keepalive_timeout: float = 75.0
    most_silent: int = 10_000


class Listening:
    """For `app`, of which `sockets` is a part."""

    def __init__(self, app: web.Application, sockets: Sockets, options: ListenOptions) -> None:
        self._options = options
        self._app = app
        self._front = Front(app, sockets)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS)
        streams = [route.path for route in app[TABLE] if not route.head]
        self._lasting = frozenset(path.encode() for path in (PATH, *streams))
        self._arrivals: Arrivals | None = None
        self._short: ShortWay | None = None
        self._server: asyncio.Server | None = None

    async def open(
        self, host: str, port: int, *, share: bool = False, tls: ssl.SSLContext | None = None
    ) -> None:
        """Listen. `share`: with other processes that do the same. Raises OSError when it cannot."""
        await self._runner.setup()
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None

        def onward() -> Reader:
            return Reader(
                server,
                loop=loop,
                access_log=None,  # type: ignore[arg-type]  # the hub writes its own, without tokens
                keepalive_timeout=self._options.keepalive_timeout,
                lingering_time=LINGER_SECONDS,
                max_line_size=MAX_LINE,
                max_field_size=MAX_LINE,
            )

        self._short = short = ShortWay(self._app, onward, keepalive=self._options.keepalive_timeout)
        self._arrivals = Arrivals(
            onward,
            timeout=self._options.head_timeout,
            most=self._options.most_silent,
            take=lambda transport, data: self._front.take(transport, data) or short.take(transport, data),
            stays=self._stays,
        )
        self._server = await loop.create_server(
            self._arrivals,
            host,
            port,
            backlog=BACKLOG,
            reuse_port=share,
            ssl=tls,
            ssl_handshake_timeout=self._options.head_timeout if tls is not None else None,
        )
        for sock in self._server.sockets:
            set_user_timeout(sock)

    def _stays(self, transport: asyncio.Transport, head: bytes) -> str | None:
        """Whose head opens a connection that will last; a transport that is known (`sid`) is in already."""
        method, _, rest = head[:MAX_LINE].partition(b" ")
        path, _, query = rest.partition(b" ")[0].partition(b"?")
        if method != b"GET" or path not in self._lasting or b"sid=" in query:
            return None
        trusted = self._app[TRUSTED]
        return neighbourhood(address_of(transport, head, trusted))

    def stop(self) -> None:
        """Nobody comes in any more; who has not asked for anything yet is sent away."""
        if self._server is not None and self._arrivals is not None:
            self._server.close()
            self._arrivals.close()

    async def close(self) -> None:
        self.stop()
        if self._short is not None:
            await self._short.close(SHUTDOWN_SECONDS)
        await self._runner.cleanup()
