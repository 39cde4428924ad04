"""What backends tell the hub about the people it notifies."""

from __future__ import annotations

from aiohttp import web

from hub.domain.access import ApiKey
from hub.web import bodies
from hub.web.answers import answer_json
from hub.web.context import HUB
from hub.web.credentials import tenant_for
from hub.web.parameters import user_id
from hub.web.reading import read_json


async def put(request: web.Request, key: ApiKey) -> web.Response:
    """Create a person, or change what is given; the person as it stands now."""
    body = bodies.require_object(await read_json(request))
    contact = bodies.person(body, user=user_id(request))
    return answer_json(await request.app[HUB].people.put(tenant_for(request, key, body), contact))


async def put_many(request: web.Request, key: ApiKey) -> web.Response:
    """Create or change many, all or none."""
    hub = request.app[HUB]
    body = await read_json(request)
    contacts = bodies.people(body, options=hub.options)
    return answer_json({"users": await hub.people.put_many(tenant_for(request, key, body), contacts)})


async def get(request: web.Request, key: ApiKey) -> web.Response:
    """What the hub knows about a person."""
    return answer_json(await request.app[HUB].people.get(tenant_for(request, key), user_id(request)))


async def delete(request: web.Request, key: ApiKey) -> web.Response:
    """Forget a person's contact."""
    await request.app[HUB].people.delete(tenant_for(request, key), user_id(request))
    return web.Response(status=204)
