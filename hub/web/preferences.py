"""What people want, and what a tenant wants for those who have said nothing."""

from __future__ import annotations

from aiohttp import web

from hub.domain.access import Admin, Principal
from hub.web import wishes
from hub.web.admin import by
from hub.web.answers import answer_json
from hub.web.bodies import require_object
from hub.web.context import HUB
from hub.web.credentials import tenant_for
from hub.web.reading import read_json


async def show(request: web.Request, who: Principal) -> web.Response:
    """Everything that holds for the caller."""
    return answer_json(await request.app[HUB].preferences.show(who))


async def change(request: web.Request, who: Principal) -> web.Response:
    """Change what is said, leave the rest; everything that holds now."""
    said = wishes.change(require_object(await read_json(request)))
    return answer_json(await request.app[HUB].preferences.change(who, said))


async def defaults(request: web.Request, who: Admin) -> web.Response:
    """What the tenant has said for those who say nothing themselves."""
    return answer_json(await request.app[HUB].preferences.defaults(tenant_for(request, who)))


async def set_defaults(request: web.Request, who: Admin) -> web.Response:
    """Say it anew, all of it."""
    body = require_object(await read_json(request))
    tenant = tenant_for(request, who, body)
    said = wishes.defaults({name: value for name, value in body.items() if name != "tenantId"})
    return answer_json(await request.app[HUB].preferences.set_defaults(by(request, who), tenant, said))
