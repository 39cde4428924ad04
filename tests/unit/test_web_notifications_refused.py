"""What backends must not send, and who must not send at all: each refusal exact, nothing stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.services.wire import dumps
from tests.doors import EXPIRED, ID, KEY, REVOKED, Doors, doors
from tests.names import cut

GOOD = {"type": "booking.created", "to": "user:42"}
PLATFORM = {"Authorization": "Bearer hub_platform"}


@pytest.fixture(params=["short way", "long way"])
async def web(request: pytest.FixtureRequest) -> AsyncIterator[Doors]:
    async with doors(short=request.param == "short way") as served:
        yield served


# -- what is refused -------------------------------------------------------------------------------------
def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def with_(**changes: Any) -> dict[str, Any]:
    return GOOD | changes


def near(**changes: Any) -> dict[str, Any]:
    return {"near": {"lat": 21.0, "lon": 105.8, "radiusMeters": 500} | changes}


BAD_BYTES = [
    (b"", 400, "json_invalid"),
    (b"{", 400, "json_invalid"),
    (b"{'type': 1}", 400, "json_invalid"),
    (b'{"type": NaN}', 400, "json_invalid"),
    (b'{"type": Infinity}', 400, "json_invalid"),
    (b'{"a": 1e999}', 400, "json_invalid"),
    (b'\xff\xfe{"a": 1}', 400, "json_invalid"),
    (b'{"type": "\\ud800"}', 400, "json_invalid"),
    (b"[" * 100_000, 400, "json_invalid"),
    (b'{"type": "test", "to": "user:1", "to": "user:2"}', 400, "json_invalid"),
    (b'{"type": "test", "to": "user:1", "data": {"a": [{"b": 1, "b": 2}]}}', 400, "json_invalid"),
    (dumps(with_(data={"a": nested(31)})), 400, "json_invalid"),
    (b" " * ((1 << 20) + 1), 413, "body_too_large"),
    (b'"text"', 422, "validation_failed"),
    (b"null", 422, "validation_failed"),
    (b"[]", 422, "validation_failed"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD_BYTES, ids=cut(24))
@pytest.mark.parametrize("path", ["/notifications", "/events"])
async def test_an_unreadable_body_is_refused(
    web: Doors, path: str, body: bytes, status: int, code: str
) -> None:
    assert (await web.call("POST", path, data=body, headers=KEY)).refused == (status, code)
    assert web.hub.stored == []


async def test_32_levels_are_deep_enough_and_no_deeper(web: Doors) -> None:
    assert (await web.post("/notifications", with_(data={"a": nested(30)}), headers=KEY)).status == 202
    refused = await web.post("/notifications", with_(data={"a": nested(31)}), headers=KEY)
    assert "deeper than 32" in refused.json["detail"]


BAD_FIELDS = [
    ({}, {"type", "to"}),
    ({"type": "test"}, {"to"}),
    ({"to": "user:1"}, {"type"}),
    (with_(type=1), {"type"}),
    (with_(type=""), {"type"}),
    (with_(type="x" * 129), {"type"}),
    (with_(type="a\nb"), {"type"}),
    (with_(to=None), {"to"}),
    (with_(to=7), {"to"}),
    (with_(to=""), {"to"}),
    (with_(to=[]), {"to"}),
    (with_(to={}), {"to.id"}),
    (with_(to="user"), {"to"}),
    (with_(to="user:"), {"to"}),
    (with_(to="users:1"), {"to"}),
    (with_(to="user:a b"), {"to"}),
    (with_(to="user:\x00"), {"to"}),
    (with_(to="tenant:other"), {"to"}),
    (with_(to=["user:1", "x", 3, None, ["user:2"]]), {"to.1", "to.2", "to.3", "to.4"}),
    (with_(to=[f"user:{n}" for n in range(1001)]), {"to"}),
    (with_(to={"id": "a b"}), {"to.id"}),
    (with_(to={"id": True}), {"to.id"}),
    (with_(to={"id": "1", "email": "nobody", "phone": "call me", "x": 1}), {"to.email", "to.phone", "to.x"}),
    (with_(to=[{"id": "1"}, {"id": "2"}]), {"to.1"}),
    (with_(to={"near": None}), {"to.near"}),
    (with_(to={"near": {}}), {"to.near.lat", "to.near.lon", "to.near.radiusMeters"}),
    (with_(to=near(lat="21")), {"to.near.lat"}),
    (with_(to=near(lat=True)), {"to.near.lat"}),
    (with_(to=near(lat=85.06)), {"to.near.lat"}),
    (with_(to=near(lat=-85.06)), {"to.near.lat"}),
    (with_(to=near(lon=180.01)), {"to.near.lon"}),
    (with_(to=near(lon=-180.01)), {"to.near.lon"}),
    (with_(to=near(lon=1e300)), {"to.near.lon"}),
    (with_(to=near(radiusMeters=0)), {"to.near.radiusMeters"}),
    (with_(to=near(radiusMeters=-500)), {"to.near.radiusMeters"}),
    (with_(to=near(radiusMeters=50_001)), {"to.near.radiusMeters"}),
    (with_(to=near(radiusMeters=None)), {"to.near.radiusMeters"}),
    (with_(to=near(role="a b")), {"to.near.role"}),
    (with_(to=near(role=["ADMIN"])), {"to.near.role"}),
    (with_(to=near(radius=5)), {"to.near.radius"}),
    (with_(to=near() | {"id": "7"}), {"to.id"}),
    (with_(to=["user:1", near(), near()]), {"to.2"}),
    (with_(to=["user:1", near(lat=91)]), {"to.1.near.lat"}),
    (with_(exclude=near()), {"exclude"}),
    (with_(collapseKey="k" * 129), {"collapseKey"}),
    (with_(collapseKey="a\nb"), {"collapseKey"}),
    (with_(data=[]), {"data"}),
    (with_(data="x"), {"data"}),
    (with_(data={"x": "y" * (100 << 10)}), {"data"}),
    (with_(title=1), {"title"}),
    (with_(title="x" * 257), {"title"}),
    (with_(title="a\r\nBcc: all@example.com"), {"title"}),
    (with_(message="\x00"), {"message"}),
    (with_(message="x" * 8193), {"message"}),
    (with_(link="javascript:alert(1)"), {"link"}),
    (with_(link="JaVaScRiPt:alert(1)"), {"link"}),
    (with_(link="java\tscript:alert(1)"), {"link"}),
    (with_(link=" javascript:alert(1)"), {"link"}),
    (with_(link="data:text/html,x"), {"link"}),
    (with_(link=""), {"link"}),
    (with_(severity="bad"), {"severity"}),
    (with_(channels=[]), {"channels"}),
    (with_(channels="email"), {"channels"}),
    (with_(channels=["email", "pigeon"]), {"channels.1"}),
    (with_(channels=["push"]), {"channels.0"}),
    (with_(sendAt="tomorrow"), {"sendAt"}),
    (with_(sendAt="2026-11-21T10:00:00"), {"sendAt"}),
    (with_(sendAt="2026-11-21"), {"sendAt"}),
    (with_(sendAt="2026-13-21T10:00:00Z"), {"sendAt"}),
    (with_(sendAt="0001-01-01T00:00:00+14:00"), {"sendAt"}),
    (with_(sendAt=1795255200), {"sendAt"}),
    (with_(sendAt="2026-11-21T10:00:00Z", expiresAt="2026-11-21T10:00:00Z"), {"expiresAt"}),
    (with_(exclude=["x"]), {"exclude.0"}),
    (with_(exclude=[{"id": "1"}]), {"exclude.0"}),
    (with_(actor=7), {"actor"}),
    (with_(tite="x", Data={}), {"tite", "Data"}),
    (with_(recipientId="1"), {"recipientId"}),
    (with_(tenantId=True), {"tenantId"}),
    ({"type": "test", "recipientEmail": "ana@example.com"}, {"recipientId"}),
    ({"type": "test", "recipientId": "1", "channels": ["pigeon"]}, {"channels.0"}),
    ({"type": 1, "to": "x", "title": 2, "nope": 3}, {"type", "to", "title", "nope"}),
]


@pytest.mark.parametrize(("body", "fields"), BAD_FIELDS, ids=cut(60))
async def test_every_bad_field_is_named_and_nothing_is_stored(
    web: Doors, body: Any, fields: set[str]
) -> None:
    answer = await web.post("/notifications", body, headers=KEY)
    assert answer.refused == (422, "validation_failed")
    assert set(answer.fields) == fields
    assert all(answer.fields.values())
    assert web.hub.stored == []


NAMES = ["disconnect", "connect_error", "connected", "error", "message", "heartbeat", "notificationRead"]
NAMES += ["notification:read", "notification:new", "session:closed", "sync:reset", "auth:expiring"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", ["/notifications", "/events"])
async def test_nobodys_event_passes_for_one_of_the_protocol(web: Doors, path: str, name: str) -> None:
    answer = await web.post(path, with_(type=name), headers=KEY)
    assert answer.refused == (422, "validation_failed")
    assert set(answer.fields) == {"type"}
    assert web.hub.stored == []


@pytest.mark.parametrize("name", ["session.created", "order:created", "system", "error.raised", "Error"])
async def test_a_name_that_only_resembles_the_protocol_is_free(web: Doors, name: str) -> None:
    assert (await web.post("/notifications", with_(type=name), headers=KEY)).status == 202


async def test_a_refusal_lists_at_most_100_faults(web: Doors) -> None:
    answer = await web.post("/notifications", with_(to=["x"] * 1000), headers=KEY)
    assert len(answer.json["errors"]) == 100
    assert len(answer.json["detail"]) < 600


# -- who may ---------------------------------------------------------------------------------------------
WHO = [
    ({}, 401, "token_missing"),
    ({"Authorization": "Basic hub_acme"}, 401, "token_missing"),
    ({"Authorization": "Bearer"}, 401, "token_missing"),
    ({"Authorization": "Bearer hub_wrong"}, 401, "token_invalid"),
    ({"X-API-Key": "wrong"}, 401, "token_invalid"),
    ({"X-API-Key": "hub_\xfc"}, 401, "token_invalid"),
    ({"Authorization": f"Bearer {REVOKED}"}, 401, "token_revoked"),
    ({"Authorization": f"Bearer {EXPIRED}"}, 401, "token_expired"),
    ({"Authorization": "Bearer nonsense"}, 401, "token_invalid"),
    ({"Authorization": "Bearer hub_reader"}, 403, "scope_missing"),
    ({"Authorization": "Bearer ana-token"}, 403, "scope_missing"),
    ({"Authorization": "Bearer marta-token"}, 403, "scope_missing"),
    ({**KEY, "X-Tenant-Id": "other"}, 403, "tenant_forbidden"),
    ({**PLATFORM}, 422, "validation_failed"),
    ({**PLATFORM, "X-Tenant-Id": "no/tenant"}, 422, "validation_failed"),
]
ROUTES = [
    ("POST", "/notifications", GOOD),
    ("POST", "/events", GOOD),
    ("DELETE", f"/notifications/{ID}/pending", None),
    ("PUT", "/users/ana", {}),
    ("PUT", "/users/batch", [{"id": "ana"}]),
    ("GET", "/users/ana", None),
    ("DELETE", "/users/ana", None),
]


@pytest.mark.parametrize(("headers", "status", "code"), WHO)
@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=cut(24))
async def test_a_backend_route_takes_only_a_key_that_may(
    web: Doors, method: str, path: str, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await web.call(method, path, json=body, headers=headers)
    assert answer.refused == (status, code)
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert web.hub.stored == []
