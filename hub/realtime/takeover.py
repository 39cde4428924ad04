"""Taking a connection away from aiohttp once its request has been read.

aiohttp keeps some 20 KB and a task for a request that is being served; a connection that lives for hours
needs neither. After `take_over` the connection is the caller's, and the handler returns `Taken()`. The
names of aiohttp that this relies on are listed in `hub.realtime.engineio`.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from hub.realtime.outflow import set_user_timeout


class Taken(web.StreamResponse):
    """What aiohttp gets to see of a connection that is ours now: a status for its access log."""

    def __init__(self, status: int = 101) -> None:
        super().__init__(status=status)

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def take_over(request: web.Request) -> asyncio.Transport:
    """Detach the connection of `request`. Raises ConnectionResetError when the client is gone.

    From here to the handler's `return Taken()` nothing may be awaited: aiohttp cancels its task.
    """
    handler, transport = request.protocol, request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("client is gone")
    # aiohttp is told that its connection is lost, so that it frees what it holds. It would close its
    # transport first, so that is taken away before. (uvloop's transports are no asyncio.Transport: never
    # check for the class.)
    handler.transport = None
    handler.connection_lost(None)
    set_user_timeout(transport.get_extra_info("socket"))
    return transport
