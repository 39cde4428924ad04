"""A stock python-socketio server on stock python-engineio, to show that a scenario bites where it can.

It says and sends what the scenarios' clients expect, and does nothing for them that its packages do not.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import socketio
from aiohttp import web

ROOM = "everyone"


class Stock:
    """`gone`: the disconnects it noticed; `heard`: what its event handlers were given."""

    def __init__(self, **options: Any) -> None:
        self.sio = socketio.AsyncServer(async_mode="aiohttp", **options)
        self.port = 0
        self.offset = 0
        self.gone: list[str] = []
        self.heard: list[Any] = []
        self.sio.on("connect", self._connect)
        self.sio.on("disconnect", self._disconnect)
        self.sio.on("ping", self._ping)

    async def _connect(self, sid: str, environ: Any, auth: Any) -> None:
        await self.sio.enter_room(sid, ROOM)
        await self.sio.emit("connected", {"cursor": f"e:{self.offset}", "recovered": True}, to=sid)

    async def _disconnect(self, sid: str, reason: str) -> None:
        self.gone.append(reason)

    async def _ping(self, sid: str, data: Any = None) -> None:
        self.heard.append(data)

    async def publish(self, size: int = 0) -> None:
        self.offset += 1
        envelope = {"cursor": f"e:{self.offset}", "data": {"text": "x" * size}}
        await self.sio.emit("system", json.loads(json.dumps(envelope)), to=ROOM)

    @property
    def members(self) -> int:
        """Who gets what is published."""
        return len(self.sio.manager.rooms.get("/", {}).get(ROOM, {}))

    @property
    def sockets(self) -> int:
        """Sessions it keeps, whether anybody is there or not."""
        return len(self.sio.eio.sockets)

    def waiting(self) -> int:
        """Most packets that wait for one client."""
        return max((one.queue.qsize() for one in self.sio.eio.sockets.values()), default=0)


@asynccontextmanager
async def stock(**options: Any) -> AsyncIterator[Stock]:
    """A stock server on a free port, in this process."""
    served = Stock(**options)
    loggers = [logging.getLogger(name) for name in ("engineio.server", "aiohttp.server")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)  # it has a traceback for whatever a client sends
    app = web.Application()
    served.sio.attach(app)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.port = runner.addresses[0][1]
    try:
        yield served
    finally:
        for one in list(served.sio.eio.sockets.values()):
            one.closed = True
            one.queue.put_nowait(None)  # its writer waits for that
        await served.sio.shutdown()
        await runner.cleanup()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
