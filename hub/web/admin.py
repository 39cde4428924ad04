"""What admins change. Each handler: who and where, parse, one service, format.

A tenant's admin acts in its tenant and finds nothing of another one; a platform key names the tenant, and
where it names none it means the platform itself.
"""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from hub.domain.access import TENANT_PATTERN, Admin, Principal
from hub.domain.drafts import Draft
from hub.domain.errors import ConnectionUnknown, DeliveryUnknown, Invalid, KeyUnknown, TenantUnknown
from hub.services.admin import By
from hub.services.reports import Rows
from hub.web import admin_bodies, idempotency
from hub.web.answers import answer_bytes, answer_json
from hub.web.bodies import require_object
from hub.web.context import HUB, REQUEST_ID
from hub.web.credentials import tenant_for, tenant_or_platform
from hub.web.reading import read_json
from hub.web.selections import answer_rows, limit_of, require_ulid

_MAX_SID = 128


def by(request: web.Request, who: Admin) -> By:
    return By(who.name, request[REQUEST_ID])


# -- tokens and connections ------------------------------------------------------------------------------
async def revoke(request: web.Request, who: Admin) -> web.Response:
    """Call tokens back: of a user, of a session, one, or all that were issued before a moment."""
    body = require_object(await read_json(request))
    what = admin_bodies.revoke(body, now=datetime.now(UTC))
    tenant = tenant_for(request, who, body)
    return answer_json(
        await request.app[HUB].admin.revoke(by(request, who), tenant, what.kind, what.value, what.before)
    )


async def disconnect(request: web.Request, who: Admin) -> web.Response:
    """End one connection, in whatever process it is."""
    sid = request.match_info["sid"]
    if len(sid) > _MAX_SID or not sid.isascii() or not sid.isprintable():
        raise ConnectionUnknown("no such connection")
    await request.app[HUB].admin.disconnect(by(request, who), tenant_for(request, who), sid)
    return web.Response(status=204)


# -- deliveries and notifications ------------------------------------------------------------------------
async def retry(request: web.Request, who: Admin) -> web.Response:
    """Try a dead delivery again; the delivery as it stands now."""
    id = require_ulid(request.match_info["id"], DeliveryUnknown, "delivery")
    return answer_json(await request.app[HUB].admin.retry(by(request, who), tenant_for(request, who), id))


async def broadcast(request: web.Request, who: Admin) -> web.Response:
    """Notify everybody of the tenant, or of a role."""
    hub = request.app[HUB]
    body = require_object(await read_json(request))
    once = idempotency.key_of(request, "broadcast", body)
    draft = admin_bodies.broadcast(body, tenant=tenant_for(request, who, body), options=hub.options)
    accepted = await hub.admin.broadcast(by(request, who), draft, once)
    headers = {idempotency.REPLAYED: "true"} if accepted.replayed else None
    return answer_bytes(accepted.body, status=202, headers=headers)


async def test(request: web.Request, who: Principal) -> web.Response:
    """`POST /dev/notifications/test`: a notification to the caller."""
    draft = Draft(tenant=who.tenant, type="test", to=(f"user:{who.user}",))
    return answer_bytes((await request.app[HUB].ingest.accept(draft)).body, status=202)


# -- keys and tenants ------------------------------------------------------------------------------------
async def create_key(request: web.Request, who: Admin) -> web.Response:
    """A new key; its secret is in this answer and nowhere else."""
    body = require_object(await read_json(request))
    form = admin_bodies.key(body)
    tenant = tenant_or_platform(request, who, body)
    made = await request.app[HUB].admin.create_key(by(request, who), tenant, set(form.scopes), form.name)
    return answer_json(made, status=201)


async def keys(request: web.Request, who: Admin) -> web.Response:
    """All keys, revoked ones too, without their secrets."""
    return answer_json(await request.app[HUB].admin.keys(tenant_or_platform(request, who)))


async def revoke_key(request: web.Request, who: Admin) -> web.Response:
    """End a key, for good."""
    id = require_ulid(request.match_info["id"], KeyUnknown, "API key")
    await request.app[HUB].admin.revoke_key(by(request, who), tenant_or_platform(request, who), id)
    return web.Response(status=204)


async def create_tenant(request: web.Request, who: Admin) -> web.Response:
    """The tenant; 201 when it is new."""
    id = admin_bodies.tenant(require_object(await read_json(request)))
    tenant, is_new = await request.app[HUB].admin.create_tenant(by(request, who), id)
    return answer_json(tenant, status=201 if is_new else 200)


async def change_tenant(request: web.Request, who: Admin) -> web.Response:
    """Say how long a tenant's log is kept; the tenant as it stands now."""
    id = request.match_info["id"]
    if not TENANT_PATTERN.fullmatch(id):
        raise TenantUnknown("no such tenant")
    days = admin_bodies.retention(require_object(await read_json(request)))
    return answer_json(await request.app[HUB].admin.keep_for(by(request, who), id, days))


async def tenants(request: web.Request, who: Admin) -> web.Response:
    """Tenants by their ids, a page at a time."""
    limit, after = limit_of(request), request.query.get("after", "")
    if after and not TENANT_PATTERN.fullmatch(after):
        raise Invalid("'after' is the id of a tenant")
    found = await request.app[HUB].admin.tenants(limit=limit, after=after)
    return answer_rows(request, Rows(found, found[-1]["id"] if len(found) == limit else None))
