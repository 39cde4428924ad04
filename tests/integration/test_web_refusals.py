"""Whoever may not, and whatever cannot be: refused by a real hub, with nothing stored."""

from __future__ import annotations

import io
import time
import warnings
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from sqlalchemy import func, select
from ulid import ULID

from hub.domain.access import SCOPES
from hub.settings import DEVELOPMENT_KEY, DEVELOPMENT_SECRET
from hub.store import tables
from hub.web.openapi import examples
from hub.web.routes import ROUTES, make_app
from tests.living import Living, Start

ID = str(ULID())
NOW = int(time.time())
GOOD = {"type": "system", "to": "user:42"}


async def stored(hub: Living) -> dict[str, int]:
    """How many rows there are of everything that a request could leave behind."""
    found = {}
    async with hub.hub.db.read() as conn:
        for table in (tables.events, tables.scheduled, tables.deliveries, tables.people, tables.receipts):
            found[table.name] = (await conn.execute(select(func.count()).select_from(table))).scalar_one()
        keys = select(func.count()).select_from(tables.idempotency_keys)
        found["idempotency_keys"] = (await conn.execute(keys)).scalar_one()
    return {name: count for name, count in found.items() if count}


async def request(hub: Living, method: str, path: str, **options: Any) -> tuple[int, str]:
    """Status, and the code of a refusal."""
    async with hub.http.request(method, path, allow_redirects=False, **options) as answer:
        if answer.content_type != "application/problem+json":
            return answer.status, ""
        return answer.status, (await answer.json(content_type=None))["code"]


def signed(secret: str = DEVELOPMENT_SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    shape = {"sub": "42", "tenant": "acme", "exp": NOW + 3600} | claims
    with warnings.catch_warnings(action="ignore"):  # of a key too short for HS512
        return jwt.encode({k: v for k, v in shape.items() if v is not None}, secret, algorithm=algorithm)


TOKENS = {
    "expired": (signed(exp=NOW - 3600), "token_expired"),
    "without an end": (signed(exp=None), "token_invalid"),
    "of another secret": (signed("x" * 40), "token_invalid"),
    "unsigned": (signed("", "none"), "token_invalid"),
    "of another algorithm": (signed(algorithm="HS512"), "token_invalid"),
    "cut": (signed()[:-4], "token_invalid"),
    "of nobody": (signed(sub=None), "token_invalid"),
    "with a user that is no room": (signed(sub="a b"), "token_invalid"),
    "of a tenant that is none": (signed(tenant="a/b"), "token_invalid"),
    "not yet valid": (signed(nbf=NOW + 3600), "token_invalid"),
    "nonsense": ("abc", "token_invalid"),
    "of three parts": ("a.b.c", "token_invalid"),
    "too long": ("a" * 8000, "token_invalid"),
}
PLACES = {
    "bearer": lambda token: {"headers": {"Authorization": f"Bearer {token}"}},
    "cookie": lambda token: {"headers": {"Cookie": f"access_token={token}"}},
    "query": lambda token: {"params": {"token": token}},
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_bad_token_is_refused_wherever_it_stands(living: Start, place: str) -> None:
    hub = await living()
    for name, (token, code) in TOKENS.items():
        for method, path in (
            ("GET", "/notifications"),
            ("POST", "/auth/ticket"),
            ("GET", "/notifications/sse"),
        ):
            found = await request(hub, method, path, **PLACES[place](token))
            assert found == (401, code), f"{name}: {method} {path}"


async def test_keys_are_refused_when_they_are_revoked_foreign_or_too_small(living: Start) -> None:
    hub = await living()
    await hub.notify("system", "user:42")
    before = await stored(hub)
    now = datetime.now(UTC)
    keys = hub.hub.keys
    made = {
        scope: await keys.create("acme", [scope], scope, now=now) for scope in ("notify", "read", "admin")
    }
    revoked = await keys.create("acme", list(SCOPES), "revoked", now=now)
    assert await keys.revoke("acme", revoked[0].id, now=now)

    async def send(secret: str, **body: Any) -> tuple[int, str]:
        return await request(
            hub, "POST", "/notifications", json=GOOD | body, headers={"Authorization": f"Bearer {secret}"}
        )

    assert await send(revoked[1]) == (401, "token_invalid")
    assert await send("hub_" + "x" * 40) == (401, "token_invalid")
    assert await send(made["read"][1]) == (403, "scope_missing")
    assert await send(made["notify"][1], tenantId="other") == (403, "tenant_forbidden")
    assert await send(DEVELOPMENT_KEY) == (422, "validation_failed")
    assert await stored(hub) == before
    assert await send(made["notify"][1]) == (202, "")
    assert await send(made["admin"][1], tenantId="acme") == (202, "")


BAD_BODIES: list[tuple[str, str, bytes, tuple[int, str]]] = [
    ("POST", "/notifications", b"{", (400, "json_invalid")),
    ("POST", "/notifications", b'{"type": NaN}', (400, "json_invalid")),
    ("POST", "/notifications", b"[" * 50_000, (400, "json_invalid")),
    ("POST", "/notifications", b'{"type":"system","to":"user:1","to":"user:2"}', (400, "json_invalid")),
    ("POST", "/notifications", b" " * (1 << 20) + b"{}", (413, "body_too_large")),
    ("POST", "/notifications", b"[]", (422, "validation_failed")),
    ("POST", "/notifications", b'{"type":"system"}', (422, "validation_failed")),
    ("POST", "/notifications", b'{"type":"system","to":"all"}', (422, "validation_failed")),
    ("POST", "/notifications", b'{"type":"system","to":"user:1","x":1}', (422, "validation_failed")),
    ("POST", "/notifications", b'{"type":"no type!","to":"user:1"}', (422, "type_unknown")),
    (
        "POST",
        "/notifications",
        b'{"type":"system","to":"user:1","expiresAt":"2020-01-01T00:00:00Z"}',
        (422, "validation_failed"),
    ),
    (
        "POST",
        "/notifications",
        b'{"type":"system","to":{"id":"1","email":"a@example.com"},"title":"\\u0000"}',
        (422, "validation_failed"),
    ),
    (
        "POST",
        "/notifications",
        b'{"type":"system","to":"user:1","data":{"x":"' + b"y" * 100_000 + b'"}}',
        (422, "validation_failed"),
    ),
    ("POST", "/notifications/batch", b"[]", (422, "validation_failed")),
    ("POST", "/events", b'{"type":"x","to":[]}', (422, "validation_failed")),
    ("PUT", "/users/ana", b'{"email":"x"}', (422, "validation_failed")),
    ("PUT", "/users/a%00b", b"{}", (422, "validation_failed")),
    ("PUT", "/users/batch", b'[{"id":"1"},{}]', (422, "validation_failed")),
]


async def test_bad_input_is_refused_and_leaves_nothing_behind(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
    for method, path, body, expected in BAD_BODIES:
        found = await request(hub, method, path, data=io.BytesIO(body), headers=headers)
        assert found == expected, body[:60]
    for key in ("", "x" * 256, "a\tb"):
        found = await request(
            hub, "POST", "/notifications", json=GOOD, headers={**headers, "Idempotency-Key": key}
        )
        assert found == (400, "invalid_request"), key
    assert await stored(hub) == {}


async def test_a_tenant_that_nobody_created_is_unknown(living: Start) -> None:
    hub = await living(auto_tenants=False)
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "nobody"}
    for method, path, body in (
        ("POST", "/notifications", GOOD),
        ("POST", "/events", GOOD),
        ("PUT", "/users/ana", {}),
    ):
        assert await request(hub, method, path, json=body, headers=headers) == (404, "tenant_unknown")
    token = {"Authorization": f"Bearer {hub.token(tenant='nobody')}"}
    assert await request(hub, "GET", "/notifications", headers=token) == (404, "tenant_unknown")
    assert await stored(hub) == {}


# What to ask of every route; a route that is not here fails the walk.
WALK: dict[tuple[str, str], tuple[str, Any]] = {
    ("GET", "/notifications/sse"): ("/notifications/sse", None),
    ("GET", "/notifications/sse/test"): ("/notifications/sse/test", None),
    ("GET", "/sse/notifications"): ("/sse/notifications", None),
    ("GET", "/sse/bookings"): ("/sse/bookings", None),
    ("GET", "/api/notifications/stream"): ("/api/notifications/stream", None),
    ("POST", "/api/sse/broadcast"): ("/api/sse/broadcast", {"notification": {"type": "system"}}),
    ("GET", "/ws/notifications"): ("/ws/notifications", None),
    ("GET", "/notifications"): ("/notifications", None),
    ("GET", "/notifications/unread-count"): ("/notifications/unread-count", None),
    ("PATCH", "/notifications/read-all"): ("/notifications/read-all", None),
    ("GET", "/notifications/{id}"): (f"/notifications/{ID}", None),
    ("DELETE", "/notifications/{id}"): (f"/notifications/{ID}", None),
    ("PATCH", "/notifications/{id}/read"): (f"/notifications/{ID}/read", None),
    ("PATCH", "/notifications/{id}/unread"): (f"/notifications/{ID}/unread", None),
    ("PATCH", "/notifications/{id}/seen"): (f"/notifications/{ID}/seen", None),
    ("PATCH", "/notifications/{id}/archive"): (f"/notifications/{ID}/archive", None),
    ("PATCH", "/notifications/{id}/unarchive"): (f"/notifications/{ID}/unarchive", None),
    ("GET", "/notifications/{id}/timeline"): (f"/notifications/{ID}/timeline", None),
    ("GET", "/notifications/stats"): ("/notifications/stats", None),
    ("GET", "/notifications/preferences"): ("/notifications/preferences", None),
    ("PATCH", "/notifications/preferences"): ("/notifications/preferences", {"sms": False}),
    ("POST", "/notifications/preferences"): ("/notifications/preferences", {"sms": False}),
    ("POST", "/auth/ticket"): ("/auth/ticket", None),
    ("PUT", "/me/location"): ("/me/location", {"lat": 1, "lon": 2}),
    ("DELETE", "/me/location"): ("/me/location", None),
    ("POST", "/me/push-subscriptions"): ("/me/push-subscriptions", examples.PUSH_SUBSCRIPTION),
    ("GET", "/me/push-subscriptions"): ("/me/push-subscriptions", None),
    ("GET", "/me/push-subscriptions/key"): ("/me/push-subscriptions/key", None),
    ("DELETE", "/me/push-subscriptions/{id}"): (f"/me/push-subscriptions/{ID}", None),
    ("GET", "/admin/suppressions"): ("/admin/suppressions", None),
    ("POST", "/admin/suppressions"): (
        "/admin/suppressions",
        {"channel": "email", "address": "nobody@example.com"},
    ),
    ("DELETE", "/admin/suppressions/{channel}/{id}"): (f"/admin/suppressions/email/{'0' * 64}", None),
    ("GET", "/unsubscribe/{token}"): ("/unsubscribe/none", None),
    ("POST", "/unsubscribe/{token}"): ("/unsubscribe/none", {}),
    ("POST", "/providers/twilio/status"): ("/providers/twilio/status", {}),
    ("POST", "/providers/sendgrid/events"): ("/providers/sendgrid/events", []),
    ("POST", "/providers/resend/events"): ("/providers/resend/events", {}),
    ("POST", "/notifications"): ("/notifications", GOOD),
    ("POST", "/notifications/batch"): ("/notifications/batch", [GOOD]),
    ("POST", "/notifications/explain"): ("/notifications/explain", GOOD),
    ("DELETE", "/notifications/{id}/pending"): (f"/notifications/{ID}/pending", None),
    ("POST", "/events"): ("/events", GOOD),
    ("PUT", "/users/batch"): ("/users/batch", [{"id": "ana"}]),
    ("PUT", "/users/{id}"): ("/users/ana", {}),
    ("GET", "/users/{id}"): ("/users/ana", None),
    ("DELETE", "/users/{id}"): ("/users/ana", None),
    ("GET", "/admin/presence"): ("/admin/presence", None),
    ("GET", "/admin/notifications/logs"): ("/admin/notifications/logs", None),
    ("GET", "/admin/notifications/stats"): ("/admin/notifications/stats", None),
    ("POST", "/admin/notifications/broadcast"): ("/admin/notifications/broadcast", {"title": "x"}),
    ("GET", "/admin/notifications/{id}/timeline"): (f"/admin/notifications/{ID}/timeline?userId=42", None),
    ("GET", "/admin/deliveries"): ("/admin/deliveries", None),
    ("POST", "/admin/deliveries/{id}/retry"): (f"/admin/deliveries/{ID}/retry", None),
    ("POST", "/admin/revoke"): ("/admin/revoke", {"jti": "nobody's"}),
    ("POST", "/admin/connections/{sid}/disconnect"): ("/admin/connections/nobody/disconnect", None),
    ("POST", "/admin/api-keys"): ("/admin/api-keys", {"scopes": ["read"]}),
    ("GET", "/admin/api-keys"): ("/admin/api-keys", None),
    ("DELETE", "/admin/api-keys/{id}"): (f"/admin/api-keys/{ID}", None),
    ("GET", "/admin/preferences"): ("/admin/preferences", None),
    ("PUT", "/admin/preferences"): ("/admin/preferences", {"sms": False}),
    ("GET", "/admin/types"): ("/admin/types", None),
    ("GET", "/admin/types/{type}"): ("/admin/types/test", None),
    ("PUT", "/admin/types/{type}"): ("/admin/types/test", {"severity": "warning"}),
    ("DELETE", "/admin/types/{type}"): ("/admin/types/test", None),
    ("GET", "/admin/templates"): ("/admin/templates", None),
    ("POST", "/admin/templates/preview"): ("/admin/templates/preview", {"type": "test", "channel": "sms"}),
    ("GET", "/admin/templates/{type}/{channel}"): ("/admin/templates/test/sms", None),
    ("PUT", "/admin/templates/{type}/{channel}"): (
        "/admin/templates/test/sms",
        {"source": "{% block text %}{% endblock %}"},
    ),
    ("DELETE", "/admin/templates/{type}/{channel}"): ("/admin/templates/test/sms", None),
    ("GET", "/admin/audit"): ("/admin/audit", None),
    ("POST", "/admin/tenants"): ("/admin/tenants", {"id": "globex"}),
    ("PATCH", "/admin/tenants/{id}"): ("/admin/tenants/acme", {"retentionDays": 30}),
    ("GET", "/admin/tenants"): ("/admin/tenants", None),
    ("POST", "/dev/notifications/test"): ("/dev/notifications/test", None),
    ("GET", "/livez"): ("/livez", None),
    ("GET", "/readyz"): ("/readyz", None),
    ("GET", "/metrics"): ("/metrics", None),
    ("GET", "/"): ("/", None),
    ("GET", "/admin"): ("/admin", None),
    ("GET", "/docs"): ("/docs", None),
    ("GET", "/openapi.json"): ("/openapi.json", None),
    ("GET", "/asyncapi.json"): ("/asyncapi.json", None),
    ("GET", "/errors/{code}"): ("/errors/forbidden", None),
    ("GET", "/static/{path:[A-Za-z0-9._/-]{1,200}}"): ("/static/none.js", None),
    ("GET", "/dev/outbox"): ("/dev/outbox", None),
    ("GET", "/dev/demo"): ("/dev/demo", None),
    ("POST", "/dev/demo/booking"): ("/dev/demo/booking", {"tenant": "city-hotel"}),
}
# Older programs expect a 401 of few words there.
NO_CODE = {"/api/notifications/stream"}
# Its entries are refused one by one.
ONE_BY_ONE = {"/notifications/batch"}
# access -> caller -> what a refusal for want of rights is; "": let through to the handler
MAY = {
    "public": dict.fromkeys(
        ("nobody", "user", "admin", "reader", "backend", "keeper", "platform", "stranger", "foreign keeper"),
        "",
    ),
    "user": {
        "nobody": "token_missing",
        "user": "",
        "admin": "",
        "reader": "forbidden",
        "backend": "forbidden",
        "keeper": "forbidden",
        "platform": "forbidden",
        "stranger": "",
        "foreign keeper": "forbidden",
    },
    "notify": {
        "nobody": "token_missing",
        "user": "scope_missing",
        "admin": "scope_missing",
        "reader": "scope_missing",
        "backend": "",
        "keeper": "",
        "platform": "",
        "stranger": "scope_missing",
        "foreign keeper": "tenant_forbidden",
    },
    "admin": {
        "nobody": "token_missing",
        "user": "forbidden",
        "admin": "",
        "reader": "scope_missing",
        "backend": "scope_missing",
        "keeper": "",
        "platform": "",
        "stranger": "tenant_forbidden",
        "foreign keeper": "tenant_forbidden",
    },
    "platform": {
        "nobody": "token_missing",
        "user": "forbidden",
        "admin": "forbidden",
        "reader": "scope_missing",
        "backend": "scope_missing",
        "keeper": "forbidden",
        "platform": "",
        "stranger": "forbidden",
        "foreign keeper": "forbidden",
    },
}


async def test_every_route_lets_in_whom_its_entry_names_and_nobody_else(living: Start) -> None:
    hub = await living()
    made = await hub.hub.keys.create("acme", ["read"], "reader", now=datetime.now(UTC))
    backend = await hub.hub.keys.create("acme", ["notify"], "backend", now=datetime.now(UTC))
    keeper = await hub.hub.keys.create("acme", ["admin"], "keeper", now=datetime.now(UTC))
    foreign = await hub.hub.keys.create("globex", ["admin"], "foreign", now=datetime.now(UTC))
    callers: dict[str, dict[str, str]] = {
        "nobody": {},
        "user": {"Authorization": f"Bearer {hub.token('42', 'CUSTOMER')}"},
        "admin": {"Authorization": f"Bearer {hub.token('1', 'ADMIN')}"},
        "reader": {"Authorization": f"Bearer {made[1]}"},
        "backend": {"Authorization": f"Bearer {backend[1]}"},
        "keeper": {"Authorization": f"Bearer {keeper[1]}"},
        "platform": {"Authorization": f"Bearer {DEVELOPMENT_KEY}", "X-Tenant-Id": "acme"},
        "stranger": {
            "Authorization": f"Bearer {hub.token('1', 'ADMIN', tenant='globex')}",
            "X-Tenant-Id": "acme",
        },
        "foreign keeper": {"Authorization": f"Bearer {foreign[1]}", "X-Tenant-Id": "acme"},
    }
    assert {(route.method, route.path) for route in ROUTES} == set(WALK)
    for route in ROUTES:
        path, body = WALK[route.method, route.path]
        for caller, headers in callers.items():
            status, code = await request(hub, route.method, path, json=body, headers=headers)
            expected = MAY[route.access][caller]
            where = f"{caller}: {route.method} {route.path}"
            if expected and caller == "nobody":
                assert (status, code) == (401, "" if route.path in NO_CODE else expected), where
            elif expected == "tenant_forbidden" and route.path in ONE_BY_ONE:
                assert status == 207, where
            elif expected:
                assert (status, code) == (403, expected), where
            else:
                assert status not in (401, 403, 405, 500), where


async def test_an_admins_route_tells_nobody_of_keys_too(living: Start) -> None:
    hub = await living()
    async with hub.http.get("/admin/types") as answer:
        problem = await answer.json(content_type=None)
    assert (answer.status, problem["code"]) == (401, "token_missing")
    assert "X-API-Key" in problem["detail"]


async def test_nothing_is_served_that_is_not_in_the_table(living: Start) -> None:
    hub = await living()
    served = {
        (route.method, route.resource.canonical)
        for route in make_app(hub.hub).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    walked = {(method, path.partition(":")[0] + "}" if ":" in path else path) for method, path in WALK}
    assert {path for _, path in served - walked} == {"/socket.io/"}
    assert walked <= served
