"""What admins change: each thing by its REST call on a real hub, and what it leaves in the audit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update
from ulid import ULID

from hub.settings import DEVELOPMENT_KEY
from hub.store import tables
from tests.living import Ear, Living, Start, Stream, next_page

ROOT = {"X-API-Key": DEVELOPMENT_KEY}


async def ask(hub: Living, method: str, path: str, **options: Any) -> tuple[int, Any]:
    """As the platform, which names no tenant unless `tenant` says one."""
    tenant = options.pop("tenant", None)
    headers = ROOT | ({"X-Tenant-Id": tenant} if tenant else {}) | options.pop("headers", {})
    async with hub.http.request(method, path, headers=headers, **options) as answer:
        return answer.status, await answer.json(content_type=None)


async def audit(hub: Living, tenant: str | None = "acme") -> list[tuple[str, str, str | None]]:
    """Actor, action and target of each note, oldest first."""
    status, notes = await ask(hub, "GET", "/admin/audit", tenant=tenant, params={"limit": "100"})
    assert status == 200
    return [(note["actor"], note["action"], note["target"]) for note in reversed(notes)]


# -- connections -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("transport", ["socketio", "sse"])
async def test_an_admin_ends_one_connection_in_whatever_process_it_is(living: Start, transport: str) -> None:
    here, there = await living(), await living()
    ear: Any
    if transport == "sse":
        ear = await Stream(there.http).open(there.token("42"))
        said = await ear.wait("connected")
    else:
        ear = Ear(there.url, there.token("42"))
        said = await ear.open()
    async with Ear(there.url, there.token("42")) as other:
        admin = here.token("1", "ADMIN")
        status, _ = await here.user("POST", f"/admin/connections/{said['sid']}/disconnect", admin)
        assert status == 204
        closed = await ear.wait("session:closed")
        assert (closed["code"], closed["reconnect"]) == ("disconnected", False)
        assert await other.ask("ping")
        assert not other.all("session:closed")
    await ear.close()
    status, shape = await here.user("POST", f"/admin/connections/{said['sid']}/disconnect", admin)
    assert (status, shape["code"]) == (404, "connection_unknown")
    assert await audit(here) == [("user:1", "connection.disconnect", said["sid"])] * 2


async def test_without_redis_only_the_connections_of_this_process_can_be_ended(living: Start) -> None:
    hub = await living(redis_url="redis://127.0.0.1:1/0")
    admin = hub.token("1", "ADMIN")
    async with Ear(hub.url, hub.token("42")) as ear:
        status, _ = await hub.user("POST", f"/admin/connections/{ear.connected['sid']}/disconnect", admin)
        assert status == 204
        await ear.wait("session:closed")
    status, shape = await hub.user("POST", "/admin/connections/elsewhere/disconnect", admin)
    assert (status, shape["code"]) == (503, "unavailable")


# -- dead letters ----------------------------------------------------------------------------------------
async def dead(
    hub: Living, user: str = "42", *, status: str = "dead", tenant: str = "acme", **more: Any
) -> str:
    """A delivery by mail that was given up after eight attempts and twenty claims."""
    answer = await hub.notify(
        "booking.confirmed", {"id": user, "email": "ana@example.com"}, channels=["email"], tenant=tenant
    )
    id: str = answer["deliveries"][0]["id"]
    given = {"status": status, "attempts": 8, "fence": 20, "due_at": None, "error": "no such box"} | more
    async with hub.hub.db.write() as conn:
        await conn.execute(update(tables.deliveries).where(tables.deliveries.c.id == id).values(**given))
    return id


async def test_a_dead_letter_is_found_tried_again_and_sent(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    id = await dead(hub)
    fine = await hub.notify("booking.confirmed", {"id": "7", "email": "b@example.com"}, channels=["email"])
    status, found = await ask(hub, "GET", "/admin/deliveries?status=dead", tenant="acme")
    assert status == 200
    assert [(item["id"], item["status"], item["error"]) for item in found] == [(id, "dead", "no such box")]
    async with Ear(hub.url, hub.token("1", "ADMIN")) as ear:
        status, shape = await ask(hub, "POST", f"/admin/deliveries/{id}/retry", tenant="acme")
        assert (status, shape["status"], shape["attempts"]) == (200, "planned", 8)
        assert (await ear.wait("delivery:update"))["status"] == "planned"
    assert await hub.hub.deliver.send(id) == "sent"  # although its patience was used up before
    [message] = [one for one in await hub.hub.outbox.recent(limit=10) if one.user == "42"]
    assert message.address == "ana@example.com"
    for other in (id, fine["deliveries"][0]["id"]):
        status, shape = await ask(hub, "POST", f"/admin/deliveries/{other}/retry", tenant="acme")
        assert (status, shape["code"]) == (409, "state_conflict")
    assert [(action, target) for _, action, target in await audit(hub)] == [("delivery.retry", id)]


async def test_a_retry_has_all_its_patience_again_and_no_more(living: Start) -> None:
    hub = await living(delivery_attempts=2, email_host="127.0.0.1", email_port=1, email_tls="none")
    id = await dead(hub)
    for _ in range(2):
        await ask(hub, "POST", f"/admin/deliveries/{id}/retry", tenant="acme")
        assert await hub.hub.deliver.send(id) == "failed"
        async with hub.hub.db.write() as conn:
            now = datetime.now(UTC)
            await conn.execute(
                update(tables.deliveries).where(tables.deliveries.c.id == id).values(due_at=now)
            )
        assert await hub.hub.deliver.send(id) == "dead"
    _, [found] = await ask(hub, "GET", "/admin/deliveries", tenant="acme")
    assert found["attempts"] == 12
    assert found["error"].startswith("given up after 2 attempts")


async def test_what_nobody_knows_about_can_be_sent_again_and_is_marked(living: Start) -> None:
    hub = await living()
    id = await dead(hub, status="unknown")
    _, found = await ask(hub, "GET", "/admin/deliveries?status=unknown", tenant="acme")
    assert [item["id"] for item in found] == [id]
    status, shape = await ask(hub, "POST", f"/admin/deliveries/{id}/retry", tenant="acme")
    assert (status, shape["status"]) == (200, "unknown")
    assert await hub.hub.deliver.send(id) == "sent"
    _, [found] = await ask(hub, "GET", "/admin/deliveries", tenant="acme")
    assert found["maybeDuplicate"] is True


async def test_a_delivery_that_is_none_is_unknown(living: Start) -> None:
    hub = await living()
    for id in (str(ULID()), "x", "%00"):
        status, shape = await ask(hub, "POST", f"/admin/deliveries/{id}/retry", tenant="acme")
        assert (status, shape["code"]) == (404, "delivery_unknown"), id
    assert await audit(hub) == []


# -- broadcasts ------------------------------------------------------------------------------------------
async def test_a_broadcast_reaches_the_tenant_or_a_role(living: Start) -> None:
    hub = await living()
    admin = hub.token("1", "ADMIN")
    async with Ear(hub.url, hub.token("42")) as guest, Ear(hub.url, hub.token("7", "STAFF")) as staff:
        path = "/admin/notifications/broadcast"
        status, answer = await hub.user(
            "POST", path, admin, json={"title": "Soon", "message": "Away at noon"}
        )
        assert status == 202
        for ear in (guest, staff):
            heard = await ear.wait("system.maintenance")
            assert (heard["id"], heard["title"], heard["room"]) == (answer["id"], "Soon", "tenant:acme")
        status, answer = await hub.user("POST", path, admin, json={"role": "STAFF", "type": "reminder"})
        assert (await staff.wait("reminder"))["room"] == "role:STAFF"
        assert not guest.all("reminder")
        status, answer = await hub.user("POST", path, admin, json={"to": "user:42"})
        assert [fault["field"] for fault in answer["errors"]] == ["to"]
    notes = await audit(hub)
    assert notes == [
        ("user:1", "notification.broadcast", "tenant:acme"),
        ("user:1", "notification.broadcast", "role:STAFF"),
    ]


async def test_a_broadcast_sent_twice_under_one_key_is_one(living: Start) -> None:
    hub = await living()
    body = {"title": "Soon", "tenantId": "acme"}
    answers = [
        await ask(hub, "POST", "/admin/notifications/broadcast", json=body, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    bad: tuple[dict[str, Any], ...] = ({"to": "user:42"}, {"role": "a b"}, {"x": 1}, {"channels": []})
    for wrong in bad:
        status, shape = await ask(hub, "POST", "/admin/notifications/broadcast", tenant="acme", json=wrong)
        assert (status, shape["code"]) == (422, "validation_failed"), wrong


async def test_the_test_notification_goes_to_the_caller(living: Start) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42")) as ear, Ear(hub.url, hub.token("7")) as other:
        status, answer = await hub.user("POST", "/dev/notifications/test", hub.token("42"))
        assert status == 202
        assert (await ear.wait("test"))["id"] == answer["id"]
        assert await other.ask("ping")
        assert not other.all("test")


# -- keys ------------------------------------------------------------------------------------------------
async def test_a_key_is_shown_once_works_and_can_be_ended(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    admin = hub.token("1", "ADMIN")
    status, made = await hub.user(
        "POST", "/admin/api-keys", admin, json={"scopes": ["notify"], "name": "the shop"}
    )
    assert status == 201
    secret = made.pop("secret")
    assert made["prefix"] == secret[:12]
    assert (made["tenantId"], made["scopes"], made["name"]) == ("acme", ["notify"], "the shop")
    assert await hub.user("GET", "/admin/api-keys", admin) == (200, [made])
    send = {"type": "system", "to": "user:42"}
    assert (await hub.user("POST", "/notifications", secret, json=send))[0] == 202
    assert (await hub.user("DELETE", f"/admin/api-keys/{made['id']}", admin))[0] == 204
    async with asyncio.timeout(5):
        while (await hub.user("POST", "/notifications", secret, json=send))[0] != 401:
            await asyncio.sleep(0.1)  # it is remembered for a moment
    _, [shown] = await hub.user("GET", "/admin/api-keys", admin)
    assert shown["revokedAt"]
    status, shape = await hub.user("DELETE", f"/admin/api-keys/{made['id']}", admin)
    assert (status, shape["code"]) == (404, "key_unknown")
    assert await audit(hub) == [("user:1", "key.create", made["id"]), ("user:1", "key.revoke", made["id"])]
    assert secret not in str(await ask(hub, "GET", "/admin/audit", tenant="acme"))


async def test_the_platform_makes_keys_of_its_own_and_of_tenants(living: Start) -> None:
    hub = await living()
    status, own = await ask(hub, "POST", "/admin/api-keys", json={"scopes": ["admin", "read"]})
    assert (status, own["tenantId"]) == (201, None)
    status, theirs = await ask(
        hub, "POST", "/admin/api-keys", json={"scopes": ["notify"], "tenantId": "acme"}
    )
    assert (status, theirs["tenantId"]) == (201, "acme")
    _, platform = await ask(hub, "GET", "/admin/api-keys")
    assert own["id"] in [key["id"] for key in platform]
    assert theirs["id"] not in [key["id"] for key in platform]
    assert [key["id"] for key in (await ask(hub, "GET", "/admin/api-keys", tenant="acme"))[1]] == [
        theirs["id"]
    ]
    assert [target for _, _, target in await audit(hub, None)] == [own["id"]]
    bad: tuple[dict[str, Any], ...] = (
        {"scopes": []},
        {"scopes": ["all"]},
        {},
        {"scopes": ["read"], "name": "a\nb"},
    )
    for body in bad:
        assert (await ask(hub, "POST", "/admin/api-keys", json=body))[0] == 422, body


# -- tenants ---------------------------------------------------------------------------------------------
async def test_the_platform_creates_and_lists_tenants(living: Start, url: str) -> None:
    hub = await living(database_url=url, auto_tenants=False)
    for name in ("acme", "beta", "gamma"):
        status, made = await ask(hub, "POST", "/admin/tenants", json={"id": name})
        assert (status, made["id"], made["events"]) == (201, name, 0)
    assert (await ask(hub, "POST", "/admin/tenants", json={"id": "beta"}))[0] == 200
    await hub.notify("system", "user:42", tenant="beta")
    status, page = await ask(hub, "GET", "/admin/tenants?limit=2")
    assert [(item["id"], item["events"]) for item in page] == [("acme", 0), ("beta", 1)]
    assert [item["id"] for item in (await ask(hub, "GET", "/admin/tenants?after=beta"))[1]] == ["gamma"]
    for body in ({}, {"id": "a/b"}, {"id": "x" * 65}, {"id": "x", "y": 1}):
        assert (await ask(hub, "POST", "/admin/tenants", json=body))[0] == 422, body
    assert [target for _, action, target in await audit(hub, None) if action == "tenant.create"] == [
        "acme",
        "beta",
        "gamma",
    ]


async def test_the_platform_says_how_long_a_tenants_log_is_kept(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    await ask(hub, "POST", "/admin/tenants", json={"id": "beta"})
    for days in (1, 3650, None):
        status, shape = await ask(hub, "PATCH", "/admin/tenants/beta", json={"retentionDays": days})
        assert (status, shape["id"], shape["retentionDays"]) == (200, "beta", days)
        found = {item["id"]: item["retentionDays"] for item in (await ask(hub, "GET", "/admin/tenants"))[1]}
        assert found["beta"] == days
    words = {
        0: "must be at least 1",
        3651: "must be at most 3650",
        1.5: "must be a whole number",
        True: "must be a whole number",
        "30": "must be a whole number",
    }
    for bad, said in words.items():
        status, shape = await ask(hub, "PATCH", "/admin/tenants/beta", json={"retentionDays": bad})
        assert (status, shape["errors"]) == (422, [{"field": "retentionDays", "message": said}]), bad
    assert (await ask(hub, "PATCH", "/admin/tenants/beta", json={}))[0] == 422
    for name in ("nobody", "a%20b"):
        status, shape = await ask(hub, "PATCH", f"/admin/tenants/{name}", json={"retentionDays": 3})
        assert (status, shape["code"]) == (404, "tenant_unknown")
    notes = [
        note for note in (await ask(hub, "GET", "/admin/audit"))[1] if note["action"] == "tenant.retention"
    ]
    assert [note["details"]["retentionDays"] for note in notes] == ["default", 3650, 1]


# -- the audit -------------------------------------------------------------------------------------------
async def test_a_note_says_who_what_when_and_in_which_request(living: Start) -> None:
    hub = await living()
    await hub.post("/admin/revoke", {"userId": "42"}, **{"X-Request-Id": "r-1"})
    [note] = (await ask(hub, "GET", "/admin/audit", tenant="acme"))[1]
    keys = (await ask(hub, "GET", "/admin/api-keys"))[1]
    assert note.pop("actor") == f"key:{keys[0]['id']}"
    assert (note["action"], note["target"], note["requestId"]) == ("token.revoke", "user:42", "r-1")
    assert note["details"]["issuedBefore"] == note["at"]


async def test_the_audit_is_filtered_and_read_page_by_page(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    for number in range(5):
        await hub.post("/admin/revoke", {"jti": str(number)})
    await hub.user("POST", "/admin/revoke", hub.token("1", "ADMIN"), json={"jti": "5"})
    seen: list[str] = []
    path: str | None = "/admin/audit?limit=2&action=token.revoke"
    while path:
        async with hub.http.get(path, headers=ROOT | {"X-Tenant-Id": "acme"}) as answer:
            seen += [note["target"] for note in await answer.json()]
            path = next_page(answer)
    assert seen == [f"jti:{number}" for number in (5, 4, 3, 2, 1, 0)]
    _, mine = await ask(hub, "GET", "/admin/audit?actor=user:1", tenant="acme")
    assert [note["target"] for note in mine] == ["jti:5"]
    assert (await ask(hub, "GET", "/admin/audit?action=key.create", tenant="acme"))[1] == []


async def test_old_notes_are_forgotten(living: Start) -> None:
    hub = await living(audit_days=1)
    await hub.post("/admin/revoke", {"jti": "1"})
    await hub.hub.timers.clean()
    assert len(await audit(hub)) == 1
    old = datetime(2020, 1, 1, tzinfo=UTC)
    async with hub.hub.db.write() as conn:
        await conn.execute(update(tables.audit).values(created_at=old))
    await hub.hub.timers.clean()
    assert await audit(hub) == []
