"""The quick way in for Socket.IO on a WebSocket: the connection never becomes a request of aiohttp's.

Most connections of a hub are these, and after a restart all of them come at once. The head is judged by the
same rules as a request; whatever is unusual, or to be refused, goes the long way and is answered there. The
log has the same line of both.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from aiohttp import web

from hub.realtime.engineio.head import Reader
from hub.web.middleware import request_id
from hub.web.sockets import PATH, Sockets

log = structlog.get_logger("hub.web")


class Front:
    """For `app`, of which `sockets` is a part."""

    def __init__(self, app: web.Application, sockets: Sockets) -> None:
        self._reader = Reader(app, PATH)
        self._sockets = sockets

    def take(self, transport: asyncio.Transport, data: bytes) -> bool:
        """Whether the connection was taken; `data` is all that it has sent."""
        started = time.monotonic()
        head = self._reader.read(data, transport)
        if head is None or not self._sockets.server.eio.take(head):
            return False
        log.info(
            "http.answered",
            request_id=request_id(head.headers.get("X-Request-Id")),
            method=head.method,
            route=PATH,
            status=101,
            ms=round((time.monotonic() - started) * 1000, 1),
        )
        return True
