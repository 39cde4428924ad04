"""Single-use tickets, for clients that cannot send a header: EventSource and browsers' WebSockets."""

from __future__ import annotations

from aiohttp import web

from hub.domain.access import Principal
from hub.web.answers import answer_json
from hub.web.context import HUB


async def issue(request: web.Request, who: Principal) -> web.Response:
    """A ticket for the caller; it works once and for `expiresIn` seconds, as `?ticket=`."""
    ticket, seconds = await request.app[HUB].tokens.ticket(who)
    return answer_json({"ticket": ticket, "expiresIn": seconds})
