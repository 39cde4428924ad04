"""`POST /api/sse/broadcast`: rows of older programs' databases, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from hub.domain.drafts import Draft
from tests.doors import KEY, USER, doors

PATH = "/api/sse/broadcast"
PLATFORM = {"Authorization": "Bearer hub_platform"}
ROW = {
    "id": 71,
    "type": "booking_created",
    "title": "New booking",
    "message": "Ana booked the bounce house",
    "link": "/bookings/17",
    "priority": "high",
    "relatedBooking": {"id": 17},
    "createdAt": "2025-12-02T10:00:00.000Z",
}


async def test_a_stored_row_reaches_the_room_of_its_tenant_and_nobody_is_mailed() -> None:
    async with doors() as door:
        answer = await door.post(PATH, {"tenantId": 6, "notification": ROW}, headers=PLATFORM)
        assert answer.status == 202
        assert answer.json.keys() == {"id", "cursor", "recipients", "deliveries"}
        assert door.hub.stored == [
            Draft(
                tenant="6",
                type="booking_created",
                to=("tenant:6",),
                title="New booking",
                message="Ana booked the bounce house",
                link="/bookings/17",
                channels=("inApp",),
                data={
                    "id": 71,
                    "priority": "high",
                    "relatedBooking": {"id": 17},
                    "createdAt": "2025-12-02T10:00:00.000Z",
                },
            )
        ]


async def test_other_names_of_the_same_are_understood_and_data_wins() -> None:
    row = {
        "type": "system",
        "description": "Down at noon",
        "actionUrl": "/status",
        "severity": "warning",
        "data": {"n": 1},
        "n": 2,
    }
    async with doors() as door:
        assert (await door.post(PATH, {"notification": row}, headers=KEY)).status == 202
        [draft] = door.hub.stored
        assert (draft.tenant, draft.to) == ("acme", ("tenant:acme",))
        assert (draft.message, draft.link, draft.severity) == ("Down at noon", "/status", "warning")
        assert draft.data == {"n": 1}


async def test_a_body_without_a_content_type_is_json_all_the_same() -> None:
    """As `fetch(url, {method: "POST", body: JSON.stringify(...)})` sends it."""
    headers = {**PLATFORM, "Content-Type": "text/plain;charset=UTF-8"}
    async with doors() as door:
        body = {"tenantId": 6, "notification": {"type": "system"}}
        assert (await door.post(PATH, body, headers=headers)).status == 202


async def test_sent_again_with_the_same_key_it_is_one_notification() -> None:
    headers = {**KEY, "Idempotency-Key": "row-71"}
    async with doors() as door:
        first = await door.post(PATH, {"notification": ROW}, headers=headers)
        again = await door.post(PATH, {"notification": ROW}, headers=headers)
        assert again.json == first.json
        assert again.headers["Idempotency-Replayed"] == "true"
        assert len(door.hub.stored) == 1


WRONG: list[tuple[Any, set[str]]] = [
    ({}, {"notification"}),
    ({"notification": None}, {"notification"}),
    ({"notification": [ROW]}, {"notification"}),
    ({"notification": {"title": "x"}}, {"notification.type"}),
    ({"notification": {"type": ""}}, {"notification.type"}),
    ({"notification": {"type": "notification:new"}}, {"notification.type"}),
    ({"notification": {"type": "system", "title": 7, "link": "javascript:x"}, "x": 1}, {"x"}),
    ({"notification": {"type": "system", "title": "a\nb"}}, {"notification.title"}),
    ({"notification": {"type": "system", "actionUrl": "javascript:alert(1)"}}, {"notification.actionUrl"}),
    ({"notification": {"type": "system", "severity": "high"}}, {"notification.severity"}),
    ({"notification": {"type": "system", "data": [1]}}, {"notification.data"}),
    ({"notification": {"type": "system", "more": "y" * 70_000}}, {"notification"}),
    ({"tenantId": "a/b", "notification": ROW}, {"tenantId"}),
    ({"tenantId": [6], "notification": ROW}, {"tenantId"}),
]


@pytest.mark.parametrize(("body", "fields"), WRONG)
async def test_what_is_wrong_is_named_and_nothing_is_stored(body: Any, fields: set[str]) -> None:
    headers = {**PLATFORM, "X-Tenant-Id": "acme"} if "tenantId" not in body else PLATFORM
    async with doors() as door:
        answer = await door.post(PATH, body, headers=headers)
        assert answer.refused == (422, "validation_failed")
        assert fields <= answer.fields.keys()
        assert door.hub.stored == []


async def test_only_a_backend_of_that_tenant_may_speak_to_all_of_it() -> None:
    body = {"tenantId": "globex", "notification": ROW}
    async with doors() as door:
        assert (await door.post(PATH, body)).refused == (401, "token_missing")
        assert (await door.post(PATH, body, headers=USER)).refused == (403, "scope_missing")
        reader = {"Authorization": "Bearer hub_reader"}
        assert (await door.post(PATH, body, headers=reader)).refused == (403, "scope_missing")
        assert (await door.post(PATH, body, headers=KEY)).refused == (403, "tenant_forbidden")
        del body["tenantId"]
        assert "tenantId" in (await door.post(PATH, body, headers=PLATFORM)).fields
        assert door.hub.stored == []
