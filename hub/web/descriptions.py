"""What the hub says about itself: REST as OpenAPI, events as AsyncAPI.

The documents are those of this very process: its routes, its limits, its event types.
"""

from __future__ import annotations

from functools import lru_cache

from aiohttp import web

from hub.services.wire import dumps
from hub.web.answers import answer_bytes, answer_json
from hub.web.context import HUB, WebOptions
from hub.web.openapi.asyncapi import asyncapi
from hub.web.openapi.document import document
from hub.web.proxies import peer_of
from hub.web.routing import TABLE, Route


@lru_cache(maxsize=4)
def _rest(routes: tuple[Route, ...], options: WebOptions) -> bytes:
    return dumps(document(routes, options))


async def rest(request: web.Request) -> web.Response:
    """`GET /openapi.json`."""
    return answer_bytes(_rest(request.app[TABLE], request.app[HUB].options))


async def events(request: web.Request) -> web.Response:
    """`GET /asyncapi.json`; its servers are where the caller has reached this one."""
    hub = request.app[HUB]
    secure = peer_of(request).scheme == "https"
    types = hub.registry.types.values()
    return answer_json(asyncapi(types, hub.options, host=request.host, secure=secure))
