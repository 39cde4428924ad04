"""An admin of one tenant sees and touches nothing of another: whatever is foreign does not exist."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from hub.settings import DEVELOPMENT_KEY
from hub.store import tables
from tests.living import Ear, Living, Start

CANARY = "canary-of-acme"


async def key_of(hub: Living, tenant: str) -> str:
    body = {"scopes": ["admin"], "name": f"canary-of-{tenant}", "tenantId": tenant}
    secret: str = (await hub.post("/admin/api-keys", body, tenant=tenant))["secret"]
    return secret


async def everything(hub: Living) -> dict[str, str]:
    """One thing of each kind in acme, each with the canary in it; their ids."""
    contact = {"id": CANARY, "email": f"{CANARY}@example.com"}
    sent = await hub.notify(
        "booking.confirmed", contact, channels=["inApp", "email"], title=CANARY, data={"of": CANARY}
    )
    delivery = sent["deliveries"][0]["id"]
    async with hub.hub.db.write() as conn:
        dead = update(tables.deliveries).where(tables.deliveries.c.id == delivery)
        await conn.execute(dead.values(status="dead", due_at=None, error=CANARY))
    key = await hub.post("/admin/api-keys", {"scopes": ["notify"], "name": CANARY})
    await hub.post("/admin/revoke", {"jti": CANARY})
    struck = {"channel": "email", "address": f"x@{CANARY}.example.com"}
    suppression = await hub.post("/admin/suppressions", struck)
    return {"delivery": delivery, "key": key["id"], "suppression": suppression["id"]}


async def rows(hub: Living) -> list[Any]:
    """What a foreign admin could have changed."""
    found = []
    async with hub.hub.db.read() as conn:
        for table in (
            tables.deliveries,
            tables.api_keys,
            tables.events,
            tables.revocations,
            tables.suppressions,
        ):
            mine = select(table).where(table.c.tenant == "acme").order_by(*table.primary_key)
            found += [tuple(row) for row in await conn.execute(mine)]
    return found


READ = (
    "/admin/notifications/logs",
    "/admin/notifications/logs?format=csv",
    f"/admin/notifications/logs?userId={CANARY}",
    "/admin/notifications/stats",
    "/admin/deliveries",
    "/admin/deliveries?status=dead",
    "/admin/api-keys",
    "/admin/audit",
    "/admin/presence",
    "/admin/suppressions",
)


async def test_a_foreign_admin_sees_and_touches_nothing(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    ids = await everything(hub)
    async with Ear(hub.url, hub.token("42", jti="j1", sid="s1")) as ear:
        touch = (
            ("POST", f"/admin/deliveries/{ids['delivery']}/retry", "delivery_unknown"),
            ("DELETE", f"/admin/api-keys/{ids['key']}", "key_unknown"),
            ("DELETE", f"/admin/suppressions/email/{ids['suppression']}", "suppression_unknown"),
            ("POST", f"/admin/connections/{ear.connected['sid']}/disconnect", "connection_unknown"),
        )
        before = await rows(hub)
        for token in (hub.token("1", "ADMIN", tenant="globex"), await key_of(hub, "globex")):
            for path in READ:
                async with hub.http.get(path, headers={"Authorization": f"Bearer {token}"}) as answer:
                    assert answer.status == 200, path
                    assert CANARY not in await answer.text(), path
            for method, path, code in touch:
                status, shape = await hub.user(method, path, token)
                assert (status, shape["code"]) == (404, code), path
            for body in ({"userId": "42"}, {"jti": "j1"}, {"sessionId": "s1"}):
                assert (await hub.user("POST", "/admin/revoke", token, json=body))[0] == 200
            status, _ = await hub.user(
                "POST", "/admin/notifications/broadcast", token, json={"title": "to globex only"}
            )
            assert status == 202
        assert await rows(hub) == before
        assert await ear.ask("ping")
        assert not ear.all("session:closed")
        assert not ear.all("system.maintenance")
    # The same paths, as the tenant's own admin: the canary is there to be seen.
    own = hub.token("1", "ADMIN")
    for path in (*READ[:3], READ[-1]):
        async with hub.http.get(path, headers={"Authorization": f"Bearer {own}"}) as answer:
            assert CANARY in await answer.text(), path


async def test_naming_another_tenant_is_refused_to_all_but_the_platform(living: Start) -> None:
    hub = await living()
    await everything(hub)
    before = await rows(hub)
    calls: tuple[tuple[str, str, Any], ...] = (
        ("GET", "/admin/notifications/logs", None),
        ("GET", "/admin/notifications/stats", None),
        ("GET", "/admin/deliveries", None),
        ("GET", "/admin/audit", None),
        ("GET", "/admin/api-keys", None),
        ("POST", "/admin/api-keys", {"scopes": ["admin"]}),
        ("POST", "/admin/revoke", {"jti": "x"}),
        ("POST", "/admin/notifications/broadcast", {"title": "x"}),
    )
    for method, path, body in calls:
        for token in (hub.token("1", "ADMIN", tenant="globex"), await key_of(hub, "globex")):
            headers = {"Authorization": f"Bearer {token}", "X-Tenant-Id": "acme"}
            async with hub.http.request(method, path, headers=headers, json=body) as answer:
                assert (answer.status, (await answer.json())["code"]) == (403, "tenant_forbidden"), path
            if body is not None:
                status, shape = await hub.user(method, path, token, json={**body, "tenantId": "acme"})
                assert (status, shape["code"]) == (403, "tenant_forbidden"), path
        headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
        if method == "GET":
            async with hub.http.get(path, headers=headers) as answer:
                assert answer.status == 200, path
    assert await rows(hub) == before


async def test_what_one_platform_key_may_no_tenant_admin_may(living: Start) -> None:
    hub = await living()
    for token in (hub.token("1", "ADMIN"), await key_of(hub, "acme")):
        for method, path, body in (
            ("GET", "/admin/tenants", None),
            ("POST", "/admin/tenants", {"id": "globex"}),
            ("PATCH", "/admin/tenants/acme", {"retentionDays": 1}),
        ):
            status, shape = await hub.user(method, path, token, json=body)
            assert (status, shape["code"]) == (403, "forbidden")
        status, made = await hub.user("POST", "/admin/api-keys", token, json={"scopes": ["admin"]})
        assert (status, made["tenantId"]) == (201, "acme")  # never one of the platform
