"""The doors at which providers knock. Whether they are who they say is judged by their signatures alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from hub.providers.post import Post
from hub.web.context import HUB
from hub.web.reading import read_body

Handler = Callable[[web.Request], Awaitable[web.Response]]


def of(provider: str) -> Handler:
    """The handler of one provider's callbacks: 204, also for what is known already or nobody here sent."""

    async def handle(request: web.Request) -> web.Response:
        hub = request.app[HUB]
        hub.callbacks.require(provider)
        options = hub.options
        body = await read_body(request, most=options.max_body_bytes, seconds=options.body_timeout)
        await hub.callbacks.take(provider, Post(request.raw_path, request.headers, body))
        return web.Response(status=204)

    return handle
