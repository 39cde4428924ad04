"""POST /notifications, /notifications/batch, /events and DELETE .../pending, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.domain.drafts import Contact, Draft
from hub.domain.errors import RateLimited, StoreUnavailable, TypeUnknown
from tests.doors import ID, KEY, USER, Doors, doors
from tests.names import cut

GOOD = {"type": "booking.created", "to": "user:42"}
PLATFORM = {"Authorization": "Bearer hub_platform"}


@pytest.fixture(params=["short way", "long way"])
async def web(request: pytest.FixtureRequest) -> AsyncIterator[Doors]:
    async with doors(short=request.param == "short way") as served:
        yield served


def with_(**changes: Any) -> dict[str, Any]:
    return GOOD | changes


# -- what is accepted ------------------------------------------------------------------------------------
async def test_the_whole_body_becomes_one_draft(web: Doors) -> None:
    body = {
        "type": "booking.confirmed",
        "to": ["user:42", "role:ADMIN", "user:42"],
        "data": {"guestName": "Ana", "nights": 2},
        "title": "Booked",
        "message": "Two nights\nin Room 4",
        "link": "/b/17",
        "channels": ["inApp", "email", "email"],
        "severity": "success",
        "sendAt": "2026-11-21T12:00:00+02:00",
        "expiresAt": "2026-11-22T10:00:00Z",
        "collapseKey": "booking-17",
        "exclude": ["user:7"],
        "actor": "user:7",
    }
    answer = await web.post("/notifications", body, headers=KEY)
    assert answer.status == 202
    assert answer.json == {"id": f"{1:026}", "cursor": "e:1", "recipients": 1, "deliveries": []}
    assert answer.type == "application/json"
    assert web.hub.stored == [
        Draft(
            tenant="acme",
            type="booking.confirmed",
            to=("user:42", "role:ADMIN"),
            data={"guestName": "Ana", "nights": 2},
            title="Booked",
            message="Two nights\nin Room 4",
            link="/b/17",
            channels=("inApp", "email"),
            severity="success",
            collapse_key="booking-17",
            send_at=datetime(2026, 11, 21, 10, tzinfo=UTC),
            expires_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
            exclude=("user:7",),
            actor="user:7",
        )
    ]


ANA = Contact(user="42", email="ana@example.com", phone="+84901234567")
TO = [
    ("topic:jobs.hanoi", ("topic:jobs.hanoi",), None),
    (["user:1", "user:2"], ("user:1", "user:2"), None),
    ({"id": "42", "email": "ana@example.com", "phone": "+84 90 123-45 67"}, ("user:42",), ANA),
    ({"id": 42, "email": None}, ("user:42",), Contact(user="42")),
    (["role:ADMIN", {"id": "42"}], ("role:ADMIN", "user:42"), Contact(user="42")),
]


@pytest.mark.parametrize(("to", "rooms", "contact"), TO)
async def test_every_form_of_to_is_read(web: Doors, to: Any, rooms: Any, contact: Any) -> None:
    answer = await web.post("/notifications", {"type": "test", "to": to}, headers=KEY)
    assert answer.status == 202
    [draft] = web.hub.stored
    assert (draft.to, draft.contact) == (rooms, contact)


async def test_the_older_shape_with_a_recipient_is_read(web: Doors) -> None:
    body = {
        "type": "BOOKING_CONFIRMED",
        "recipientId": "42",
        "recipientEmail": "ana@example.com",
        "recipientPhone": None,
        "data": {"bookingId": "17"},
        "channels": ["email", "push", "webpush"],
    }
    assert (await web.post("/notifications", body, headers=KEY)).status == 202
    [draft] = web.hub.stored
    assert draft.to == ("user:42",)
    assert draft.contact == Contact(user="42", email="ana@example.com")
    assert draft.channels == ("email", "webpush")
    assert draft.data == {"bookingId": "17"}


async def test_the_content_type_does_not_matter(web: Doors) -> None:
    headers = {**KEY, "Content-Type": "text/plain;charset=UTF-8"}
    assert (await web.post("/notifications", GOOD, headers=headers)).status == 202


# -- who may ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [{"X-API-Key": "hub_acme"}, {"Authorization": "bearer hub_admin"}])
async def test_a_key_may_stand_in_either_header_and_admin_includes_notify(
    web: Doors, headers: dict[str, str]
) -> None:
    assert (await web.post("/notifications", GOOD, headers=headers)).status == 202


async def test_a_key_in_x_api_key_counts_beside_a_users_token(web: Doors) -> None:
    headers = {**USER, "X-API-Key": "hub_acme"}
    assert (await web.post("/notifications", GOOD, headers=headers)).status == 202


TENANTS = [({"X-Tenant-Id": "acme"}, {}), ({}, {"tenantId": "acme"}), ({"X-Tenant-Id": "6"}, {"tenantId": 6})]


@pytest.mark.parametrize(("headers", "fields"), TENANTS)
async def test_a_platform_key_acts_in_the_tenant_it_names(
    web: Doors, headers: dict[str, str], fields: dict[str, Any]
) -> None:
    answer = await web.post("/notifications", GOOD | fields, headers={**PLATFORM, **headers})
    assert answer.status == 202
    assert web.hub.stored[0].tenant == str(fields.get("tenantId", "acme"))


async def test_a_platform_key_cannot_name_two_tenants(web: Doors) -> None:
    headers = {**PLATFORM, "X-Tenant-Id": "acme"}
    answer = await web.post("/notifications", with_(tenantId="other"), headers=headers)
    assert answer.refused == (422, "validation_failed")
    assert set(answer.fields) == {"tenantId"}


async def test_a_tenants_key_cannot_name_another_tenant_in_the_body(web: Doors) -> None:
    answer = await web.post("/notifications", with_(tenantId="other"), headers=KEY)
    assert answer.refused == (403, "tenant_forbidden")
    assert (await web.post("/notifications", with_(tenantId="acme"), headers=KEY)).status == 202


# -- idempotency -----------------------------------------------------------------------------------------
def keyed(key: str) -> dict[str, str]:
    return {**KEY, "Idempotency-Key": key}


async def test_a_repeated_request_gets_the_first_answer_and_says_so(web: Doors) -> None:
    first = await web.post("/notifications", GOOD, headers=keyed("k1"))
    again = await web.call(
        "POST", "/notifications", data=b'{"to":"user:42",  "type":"booking.created"}', headers=keyed("k1")
    )
    assert (first.status, again.status) == (202, 202)
    assert first.body == again.body
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(web.hub.stored) == 1


@pytest.mark.parametrize("path", ["/notifications", "/events"])
async def test_a_key_with_another_body_or_another_route_is_a_conflict(web: Doors, path: str) -> None:
    assert (await web.post("/notifications", GOOD, headers=keyed("k1"))).status == 202
    body = GOOD if path == "/events" else with_(title="Other")
    assert (await web.post(path, body, headers=keyed("k1"))).refused == (422, "idempotency_conflict")
    assert len(web.hub.stored) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "\xfcber"])
@pytest.mark.parametrize("path", ["/notifications", "/events"])
async def test_a_bad_idempotency_key_is_refused(web: Doors, path: str, key: str) -> None:
    answer = await web.post(path, GOOD, headers=keyed(key))
    assert answer.refused == (400, "invalid_request")
    assert set(answer.fields) == {"Idempotency-Key"}
    assert web.hub.stored == []


async def test_an_idempotency_key_may_have_255_printable_characters(web: Doors) -> None:
    assert (await web.post("/notifications", GOOD, headers=keyed("~ " * 127 + "~"))).status == 202


# -- what services refuse --------------------------------------------------------------------------------
REFUSALS = [
    (RateLimited(retry_after=0.2), 429, "rate_limited", "1"),
    (StoreUnavailable(retry_after=2.1), 503, "store_unavailable", "3"),
    (StoreUnavailable(), 503, "store_unavailable", "1"),
    (TypeUnknown(), 422, "type_unknown", None),
    (ZeroDivisionError("secret detail"), 500, "internal_error", None),
]


@pytest.mark.parametrize(("refusal", "status", "code", "wait"), REFUSALS)
async def test_a_refusal_of_a_service_keeps_its_status_and_code(
    web: Doors, refusal: Exception, status: int, code: str, wait: str | None
) -> None:
    web.hub.refusal = refusal
    answer = await web.post("/notifications", GOOD, headers=KEY)
    assert answer.refused == (status, code)
    assert answer.headers.get("Retry-After") == wait
    assert answer.json.get("retryAfter") == (int(wait) if wait else None)
    assert b"secret" not in answer.body


# -- batches ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("wrapped", [True, False])
async def test_a_batch_is_answered_in_order(web: Doors, wrapped: bool) -> None:
    items = [with_(title="one"), with_(title="two")]
    answer = await web.post(
        "/notifications/batch", {"notifications": items} if wrapped else items, headers=KEY
    )
    assert answer.status == 200
    assert [(result["status"], result["cursor"]) for result in answer.json["results"]] == [
        (202, "e:1"),
        (202, "e:2"),
    ]
    assert [draft.title for draft in web.hub.stored] == ["one", "two"]


async def test_a_bad_entry_of_a_batch_does_not_stop_the_others(web: Doors) -> None:
    items = [with_(title="one"), with_(title=2), "text", with_(tenantId="other"), with_(title="two")]
    answer = await web.post("/notifications/batch", items, headers=KEY)
    assert answer.status == 207
    results = answer.json["results"]
    assert [result["status"] for result in results] == [202, 422, 422, 403, 202]
    assert [result.get("code") for result in results[1:4]] == [
        "validation_failed",
        "validation_failed",
        "tenant_forbidden",
    ]
    assert results[1]["errors"] == [{"field": "title", "message": "must be text"}]
    assert [draft.title for draft in web.hub.stored] == ["one", "two"]


async def test_an_entry_may_be_repeated_in_a_batch_or_alone(web: Doors) -> None:
    item = with_(idempotencyKey="k1")
    first = await web.post("/notifications/batch", [item, with_(title="x")], headers=KEY)
    again = await web.post("/notifications/batch", [item], headers=KEY)
    alone = await web.post("/notifications", GOOD, headers=keyed("k1"))
    assert again.json["results"][0] == first.json["results"][0] | {"idempotencyReplayed": True}
    assert alone.headers["Idempotency-Replayed"] == "true"
    conflict = await web.post("/notifications/batch", [item | {"title": "y"}], headers=KEY)
    assert (conflict.status, conflict.json["results"][0]["code"]) == (207, "idempotency_conflict")
    assert len(web.hub.stored) == 2


BAD_BATCHES = [
    ({}, {"notifications"}),
    ([], {"notifications"}),
    ("x", {"notifications"}),
    ({"notifications": {}}, {"notifications"}),
    ({"notifications": [GOOD], "all": True}, {"all"}),
    ([GOOD] * 1001, {"notifications"}),
]


@pytest.mark.parametrize(("body", "fields"), BAD_BATCHES, ids=cut(30))
async def test_a_batch_that_is_none_is_refused_whole(web: Doors, body: Any, fields: set[str]) -> None:
    answer = await web.post("/notifications/batch", body, headers=KEY)
    assert answer.refused == (422, "validation_failed")
    assert set(answer.fields) == fields
    assert web.hub.stored == []


async def test_a_thousand_make_a_batch(web: Doors) -> None:
    answer = await web.post("/notifications/batch", [GOOD] * 1000, headers=KEY)
    assert (answer.status, len(answer.json["results"]), len(web.hub.stored)) == (200, 1000, 1000)


@pytest.mark.parametrize("key", ["", "x" * 256, 7, "a\nb"])
async def test_a_bad_key_of_an_entry_is_named(web: Doors, key: Any) -> None:
    answer = await web.post("/notifications/batch", [with_(idempotencyKey=key), GOOD], headers=KEY)
    assert answer.json["results"][0]["errors"][0]["field"] == "idempotencyKey"
    assert len(web.hub.stored) == 1


async def test_a_batch_as_a_whole_has_no_idempotency_key(web: Doors) -> None:
    answer = await web.post("/notifications/batch", [GOOD], headers=keyed("k"))
    assert answer.refused == (400, "invalid_request")
    assert web.hub.stored == []


async def test_a_batch_nobody_could_store_is_one_refusal(web: Doors) -> None:
    web.hub.refusal = StoreUnavailable(retry_after=1)
    answer = await web.post("/notifications/batch", [GOOD, GOOD], headers=KEY)
    assert answer.refused == (503, "store_unavailable")
    assert answer.headers["Retry-After"] == "1"


async def test_the_tenant_of_a_batch_counts_for_entries_without_one(web: Doors) -> None:
    body = {"tenantId": "acme", "notifications": [GOOD, with_(tenantId="other")]}
    answer = await web.post("/notifications/batch", body, headers=PLATFORM)
    assert answer.status == 200
    assert [draft.tenant for draft in web.hub.stored] == ["acme", "other"]


# -- events ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("durable", [True, False])
async def test_an_event_enters_no_inbox(web: Doors, durable: bool) -> None:
    body = {"type": "job.moved", "to": ["topic:jobs"], "data": {"x": 1}, "durable": durable}
    assert (await web.post("/events", body, headers=KEY)).status == 202
    assert web.hub.stored == [
        Draft(
            tenant="acme", type="job.moved", to=("topic:jobs",), data={"x": 1}, inbox=False, durable=durable
        )
    ]


async def test_an_event_is_durable_unless_it_says_otherwise(web: Doors) -> None:
    assert (await web.post("/events", GOOD, headers=KEY)).status == 202
    assert web.hub.stored[0].durable is True


BAD_EVENTS = [
    ({}, {"type", "to"}),
    (with_(durable="no"), {"durable"}),
    (with_(to={"id": "1"}), {"to"}),
    (with_(to=["user:1", {"id": "1"}]), {"to.1"}),
    (with_(to=[]), {"to"}),
    (with_(title="x"), {"title"}),
    (with_(data={"x": "y" * (64 << 10)}), {"data"}),
]


@pytest.mark.parametrize(("body", "fields"), BAD_EVENTS, ids=cut(40))
async def test_a_bad_event_is_refused(web: Doors, body: Any, fields: set[str]) -> None:
    answer = await web.post("/events", body, headers=KEY)
    assert answer.refused == (422, "validation_failed")
    assert set(answer.fields) == fields
    assert web.hub.stored == []


async def test_a_volatile_event_cannot_be_idempotent(web: Doors) -> None:
    answer = await web.post("/events", with_(durable=False), headers=keyed("k"))
    assert answer.refused == (400, "invalid_request")
    assert web.hub.stored == []


# -- taking back -----------------------------------------------------------------------------------------
async def test_cancelling_says_how_much_was_cancelled(web: Doors) -> None:
    answer = await web.call("DELETE", f"/notifications/{ID}/pending", headers=KEY)
    assert (answer.status, answer.json) == (200, {"id": ID, "cancelled": 2})
    assert web.hub.stored == [("cancelled", "acme", ID)]


@pytest.mark.parametrize("id", ["7", "x" * 26, "%00" * 26, "%27" * 26])
async def test_what_is_unknown_cannot_be_cancelled(web: Doors, id: str) -> None:
    answer = await web.call("DELETE", f"/notifications/{id}/pending", headers=KEY)
    assert answer.refused == (404, "notification_unknown")
