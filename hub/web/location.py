"""Where the caller is: told, and forgotten again. Nobody can ask for it, not even the caller."""

from __future__ import annotations

from aiohttp import web

from hub.domain.access import Principal
from hub.web.answers import answer_json
from hub.web.context import HUB
from hub.web.places import require_location
from hub.web.reading import read_json


async def put(request: web.Request, who: Principal) -> web.Response:
    """The caller is here now; how long that holds."""
    hub = request.app[HUB]
    place = require_location(await read_json(request), max_radius=hub.options.near_radius)
    return answer_json(await hub.whereabouts.tell(who, place.lat, place.lon))


async def forget(request: web.Request, who: Principal) -> web.Response:
    """Nothing is known any more, also when nothing was."""
    await request.app[HUB].whereabouts.forget(who)
    return web.Response(status=204)
