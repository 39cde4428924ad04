"""`GET /metrics`: this process in numbers, for Prometheus.

They tell about every tenant, so they are for the operator: where they are not open, a key of the whole
platform with the scope `read` is asked for, as Prometheus sends it (`authorization: credentials`).
"""

from __future__ import annotations

from aiohttp import hdrs, web

from hub.domain.errors import Forbidden
from hub.web.context import HUB
from hub.web.credentials import backend


async def metrics(request: web.Request) -> web.Response:
    """Raises `Unauthorized` and `Forbidden`."""
    hub = request.app[HUB]
    if not hub.options.metrics_open:
        key = await backend(request, "read")
        if key.tenant is not None:
            raise Forbidden("this takes a key of the whole platform with the scope 'read'")
    body, media = await hub.metrics()
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: media})
