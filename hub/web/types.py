"""Event types as a tenant has them: what there is, saying something else, and taking it back."""

from __future__ import annotations

from aiohttp import web

from hub.domain.access import Admin
from hub.domain.errors import TypeUnknown
from hub.web import rules
from hub.web.admin import by
from hub.web.answers import answer_json
from hub.web.bodies import require_object
from hub.web.context import HUB
from hub.web.credentials import tenant_for
from hub.web.reading import read_json
from hub.web.wishes import TYPE


async def every(request: web.Request, who: Admin) -> web.Response:
    """Every type with the rules that hold for the tenant."""
    return answer_json(await request.app[HUB].types.every(tenant_for(request, who)))


async def one(request: web.Request, who: Admin) -> web.Response:
    """One type."""
    return answer_json(await request.app[HUB].types.get(tenant_for(request, who), _named(request)))


async def put(request: web.Request, who: Admin) -> web.Response:
    """Say it anew, all of it."""
    body = require_object(await read_json(request))
    said, name, tenant = rules.said(body), _named(request), tenant_for(request, who, body)
    return answer_json(await request.app[HUB].types.put(by(request, who), tenant, name, said))


async def delete(request: web.Request, who: Admin) -> web.Response:
    """Back to what the hub says."""
    await request.app[HUB].types.delete(by(request, who), tenant_for(request, who), _named(request))
    return web.Response(status=204)


def _named(request: web.Request) -> str:
    name = request.match_info["type"]
    if not TYPE.fullmatch(name):
        raise TypeUnknown(f"not a type name: {name[:128]!r} (letters, digits, '.', '_', ':' and '-')")
    return name
