"""Who is online, for admins."""

from __future__ import annotations

from aiohttp import web

from hub.domain.access import Admin, Room
from hub.web.answers import answer_json
from hub.web.context import HUB
from hub.web.credentials import tenant_for
from hub.web.parameters import DEFAULT_LIMIT, MAX_LIMIT, whole_number
from hub.web.sse import words


async def overview(request: web.Request, who: Admin) -> web.Response:
    """Counts of the tenant or of one room, the first users by id, when those named by `user` were here."""
    tenant = tenant_for(request, who)
    named = [Room.parse(tenant, f"user:{word}").name for word in words(request, "user")]
    answer = await request.app[HUB].presence.overview(
        tenant,
        request.query.get("room") or None,
        limit=whole_number(request, "limit", least=1, most=MAX_LIMIT, default=DEFAULT_LIMIT),
        named=named,
    )
    return answer_json(answer, headers={"Cache-Control": "no-store"})
