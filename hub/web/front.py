"""The quick way in for Socket.IO on a WebSocket: the connection never becomes a request of aiohttp's.

Most connections of a hub are these, and after a restart all of them come at once. The head is judged by the
same rules as a request; whatever is unusual, or to be refused, goes the long way and is answered there, but
for those for whom there is no place: a flood of them must cost little. The log has the same line of both.
"""

from __future__ import annotations

import asyncio
import time
from typing import cast

import structlog
from aiohttp import hdrs, web

from hub.domain.errors import Refusal
from hub.realtime.engineio.head import Reader
from hub.web import problems
from hub.web.context import HUB
from hub.web.middleware import put_common, request_id
from hub.web.origins import ORIGINS
from hub.web.sockets import PATH, Sockets
from hub.web.written import bytes_of

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
        if head is None:
            return False
        id, status = request_id(head.headers.get("X-Request-Id")), 101
        try:
            if not self._sockets.server.eio.take(head):
                return False
        except Refusal as refusal:
            response = problems.answer(refusal)
            status = response.status
            if hdrs.ORIGIN in head.headers:
                response.headers.update(head.app[ORIGINS].headers(cast(web.Request, head)))
            put_common(response.headers, id)
            response.headers[hdrs.CONNECTION] = "close"
            transport.write(bytes_of(response))
            transport.close()
            head.app[HUB].traffic.answered(head.method, PATH, status, time.monotonic() - started)
        log.info(
            "http.answered",
            request_id=id,
            method=head.method,
            route=PATH,
            status=status,
            ms=round((time.monotonic() - started) * 1000, 1),
        )
        return True
