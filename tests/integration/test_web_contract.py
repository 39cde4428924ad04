"""Each REST endpoint against a real hub, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.services.wire import iso
from hub.settings import DEVELOPMENT_KEY
from tests.doors import message
from tests.living import Ear, Living, Start, Stream

ENVELOPE = {
    *("id", "type", "title", "message", "link", "data", "severity", "room", "tenantId", "createdAt"),
    *("cursor", "read", "readAt", "seenAt", "archivedAt", "channels"),
}


async def call(
    hub: Living, method: str, path: str, body: Any = None, *, tenant: str = "acme", **headers: str
) -> tuple[int, Any, Any]:
    """As a backend: status, JSON and headers."""
    given = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": tenant}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with hub.http.request(method, path, json=body, headers=given) as answer:
        shape = None if answer.status == 204 else await answer.json(content_type=None)
        return answer.status, shape, answer.headers


async def inbox(hub: Living, user: str = "42", query: str = "", **who: Any) -> tuple[list[Any], Any]:
    """A user's page: the envelopes and the headers."""
    headers = {"Authorization": f"Bearer {hub.token(user, **who)}"}
    async with hub.http.get(f"/notifications{query}", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json(), answer.headers


def titles(items: list[Any]) -> list[str]:
    return [item["title"] for item in items]


# -- sending ---------------------------------------------------------------------------------------------
async def test_what_was_accepted_stands_in_the_inbox_as_the_contract_shows_it(
    living: Start, url: str
) -> None:
    hub = await living(database_url=url)
    body = {
        "type": "BOOKING_CONFIRMED",
        "to": {"id": 42, "email": "ana@example.com"},
        "data": {"guestName": "Ana \u2603 \U0001f6cf", "odd": "\u0000", "n": [1, 2.5, None, True]},
        "title": "Booked",
        "message": "Two nights",
        "link": "/b/17",
        "channels": ["inApp", "email"],
        "severity": "success",
    }
    status, answer, headers = await call(hub, "POST", "/notifications", body)
    assert status == 202
    assert set(answer) == {"id", "cursor", "recipients", "deliveries"}
    [delivery] = answer["deliveries"]
    assert (delivery["userId"], delivery["channel"], delivery["status"]) == ("42", "email", "planned")
    assert headers["X-Request-Id"]
    [envelope], headers = await inbox(hub)
    assert set(envelope) == ENVELOPE
    assert {name: envelope[name] for name in ("id", "cursor")} == {
        name: answer[name] for name in ("id", "cursor")
    }
    assert (envelope["type"], envelope["room"], envelope["tenantId"]) == (
        "booking.confirmed",
        "user:42",
        "acme",
    )
    assert envelope["data"] == body["data"]
    assert (envelope["title"], envelope["severity"], envelope["link"]) == ("Booked", "success", "/b/17")
    assert envelope["channels"][0]["channel"] == "email"
    assert (headers["X-Total-Count"], headers["X-Unread-Count"]) == ("1", "1")
    _, person, _ = await call(hub, "GET", "/users/42")
    assert person["email"] == "ana@example.com"


async def test_the_older_shape_does_the_same(living: Start) -> None:
    hub = await living()
    body = {
        "type": "PAYMENT_RECEIVED",
        "recipientId": "42",
        "recipientEmail": "ana@example.com",
        "data": {"amount": "10", "bookingId": "17"},
        "channels": ["email"],
    }
    status, answer, _ = await call(hub, "POST", "/notifications", body)
    assert (status, len(answer["deliveries"])) == (202, 1)
    items, _ = await inbox(hub)
    assert [item["type"] for item in items] == ["payment.received"]


async def test_the_older_shape_takes_a_phone_and_every_channel_it_knew(living: Start) -> None:
    hub = await living()
    body = {
        "type": "BOOKING_CONFIRMED",
        "recipientId": "42",
        "recipientEmail": "ana@example.com",
        "recipientPhone": "+84 90 123 4567",
        "data": {"bookingId": "17", "propertyName": "Sea View", "totalPrice": 120},
        "channels": ["email", "sms", "push", "discord"],
    }
    status, answer, _ = await call(hub, "POST", "/notifications", body)
    assert status == 202
    assert {item["channel"]: item["status"] for item in answer["deliveries"]} == {
        "email": "planned",
        "sms": "planned",
        "webpush": "skipped",
        "discord": "skipped",
    }
    [item], _ = await inbox(hub)
    assert (item["type"], item["data"]) == ("booking.confirmed", body["data"])
    _, person, _ = await call(hub, "GET", "/users/42")
    assert (person["email"], person["phone"]) == ("ana@example.com", "+84901234567")


async def test_fifty_at_once_with_one_key_are_one_notification(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    body = {"type": "system", "to": "user:42", "title": "once"}
    answers = await asyncio.gather(
        *(call(hub, "POST", "/notifications", body, Idempotency_Key="k1") for _ in range(50))
    )
    assert {status for status, _, _ in answers} == {202}
    assert len({answer["id"] for _, answer, _ in answers}) == 1
    assert sum("Idempotency-Replayed" not in headers for _, _, headers in answers) == 1
    status, problem, _ = await call(
        hub, "POST", "/notifications", body | {"title": "twice"}, Idempotency_Key="k1"
    )
    assert (status, problem["code"]) == (422, "idempotency_conflict")
    other, _, headers = await call(hub, "POST", "/notifications", body, tenant="other", Idempotency_Key="k1")
    assert (other, "Idempotency-Replayed" in headers) == (202, False)
    assert titles((await inbox(hub))[0]) == ["once"]


async def test_a_batch_is_stored_but_for_its_bad_entries(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    one = {"type": "system", "to": "user:42", "title": "1", "idempotencyKey": "b1"}
    items = [one, {"type": "system", "to": "x"}, one, {"type": "system", "to": "role:X", "title": "2"}]
    status, answer, _ = await call(hub, "POST", "/notifications/batch", items)
    assert status == 207
    results = answer["results"]
    assert [result["status"] for result in results] == [202, 422, 202, 202]
    assert results[0]["id"] == results[2]["id"]
    assert titles((await inbox(hub, "42", "", roles=["X"]))[0]) == ["2", "1"]


@pytest.mark.parametrize("durable", [True, False])
async def test_an_event_is_heard_and_stands_in_no_inbox(living: Start, durable: bool) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42")) as ear:
        body = {"type": "job.moved", "to": "user:42", "data": {"x": 1}, "durable": durable}
        status, answer, _ = await call(hub, "POST", "/events", body)
        heard = await ear.wait("job.moved")
    assert status == 202
    assert heard["data"] == {"x": 1}
    assert (answer["cursor"] is not None) == durable
    assert ear.all("notification:new") == []
    assert (await inbox(hub))[0] == []


# -- taking back -----------------------------------------------------------------------------------------
async def test_what_was_not_sent_is_cancelled_once_and_only_by_its_tenant(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    to = {"id": "42", "email": "ana@example.com"}
    _, sent, _ = await call(
        hub, "POST", "/notifications", {"type": "system", "to": to, "channels": ["email"]}
    )
    path = f"/notifications/{sent['id']}/pending"
    foreign = await call(hub, "DELETE", path, tenant="other")
    assert (foreign[0], foreign[1]["code"]) == (404, "notification_unknown")
    first, again = await call(hub, "DELETE", path), await call(hub, "DELETE", path)
    assert (first[0], first[1]) == (200, {"id": sent["id"], "cancelled": 1})
    assert again[1]["cancelled"] == 0
    [envelope], _ = await inbox(hub)
    assert envelope["channels"][0]["status"] == "cancelled"


async def test_a_scheduled_notification_is_not_there_yet_and_can_be_taken_back(
    living: Start, url: str
) -> None:
    hub = await living(database_url=url)
    at = iso(datetime.now(UTC) + timedelta(hours=1))
    body = {"type": "system", "to": "user:42", "sendAt": at}
    status, answer, _ = await call(hub, "POST", "/notifications", body)
    assert (status, answer["cursor"], answer["scheduledAt"]) == (202, None, at)
    assert (await inbox(hub))[0] == []
    cancelled = await call(hub, "DELETE", f"/notifications/{answer['id']}/pending")
    assert cancelled[1] == {"id": answer["id"], "cancelled": 1}
    gone = await call(hub, "DELETE", f"/notifications/{answer['id']}/pending")
    assert gone[1]["code"] == "notification_unknown"


# -- the inbox -------------------------------------------------------------------------------------------
async def test_pages_filters_and_cursors_of_an_inbox(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    sent = []
    for number in range(5):
        kind = "reminder" if number == 2 else "system"
        sent.append(await hub.notify(kind, "user:42", title=str(number)))
    items, headers = await inbox(hub, query="?limit=2")
    assert titles(items) == ["4", "3"]
    assert headers["X-Total-Count"] == "5"
    following = headers["Link"].removeprefix("</notifications").partition(">")[0]
    assert titles((await inbox(hub, query=following))[0]) == ["2", "1"]
    last, headers = await inbox(hub, query="?limit=2&offset=4")
    assert (titles(last), "Link" in headers) == (["0"], False)
    assert titles((await inbox(hub, query="?type=reminder"))[0]) == ["2"]
    assert titles((await inbox(hub, query=f"?after={sent[2]['cursor']}"))[0]) == ["4", "3"]
    status, _ = await hub.user("PATCH", f"/notifications/{sent[4]['id']}/read", hub.token("42"))
    assert status == 200
    assert titles((await inbox(hub, query="?read=true"))[0]) == ["4"]
    assert titles((await inbox(hub, query="?read=false"))[0]) == ["3", "2", "1", "0"]
    assert (await inbox(hub, query="?archived=true"))[0] == []


async def test_an_etag_holds_until_something_changes(living: Start) -> None:
    hub = await living()
    sent = await hub.notify("system", "user:42", title="1")
    token = hub.token("42")
    _, headers = await inbox(hub)
    known = {"Authorization": f"Bearer {token}", "If-None-Match": headers["ETag"]}
    async with hub.http.get("/notifications", headers=known) as same:
        assert (same.status, await same.read()) == (304, b"")
    await hub.user("PATCH", f"/notifications/{sent['id']}/read", token)
    async with hub.http.get("/notifications", headers=known) as changed:
        assert changed.status == 200


async def test_reading_is_told_counted_and_shown(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    token = hub.token("42")
    sent = [await hub.notify("system", "user:42", title=str(number)) for number in range(3)]
    assert (await hub.user("GET", "/notifications/unread-count", token))[1] == {"count": 3}
    async with Ear(hub.url, token) as ear:
        status, envelope = await hub.user("PATCH", f"/notifications/{sent[0]['id']}/read", token)
        assert await ear.wait("notification:read") == sent[0]["id"]
        assert (status, envelope["id"], envelope["read"]) == (200, sent[0]["id"], True)
        assert envelope["readAt"].endswith("Z")
        assert (await hub.user("GET", f"/notifications/{sent[0]['id']}", token))[1] == envelope
        status, change = await hub.user("PATCH", "/notifications/read-all", token)
        assert (status, change["updated"], change["unreadCount"]) == (200, 2, 0)
        assert (await ear.wait("notification:read_all"))["unreadCount"] == 0
    assert (await hub.user("GET", "/notifications/unread-count", token))[1] == {"count": 0}


async def test_nobody_reads_what_is_not_in_their_inbox(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    sent = await hub.notify("system", "user:42", title="secret")
    strangers = [hub.token("43"), hub.token("43", "ADMIN"), hub.token("42", tenant="other")]
    for token in strangers:
        for method, tail in (("GET", ""), ("PATCH", "/read")):
            status, problem = await hub.user(method, f"/notifications/{sent['id']}{tail}", token)
            assert (status, problem["code"]) == (404, "notification_unknown")
        assert (await hub.user("GET", "/notifications", token))[1] == []
    assert (await hub.user("GET", "/notifications/unread-count", hub.token("42")))[1] == {"count": 1}


async def test_a_cursor_of_another_epoch_is_refused(living: Start) -> None:
    hub = await living()
    await hub.notify("system", "user:42")
    status, problem = await hub.user("GET", "/notifications?after=zzzz:1", hub.token("42"))
    assert (status, problem["code"]) == (400, "cursor_invalid")


# -- people and tickets ----------------------------------------------------------------------------------
async def test_a_person_is_created_changed_shown_and_forgotten(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    first = {"email": "ana@example.com", "phone": "+351 912 345 678", "roles": ["CUSTOMER"]}
    status, person, _ = await call(hub, "PUT", "/users/ana", first)
    assert (status, person["id"], person["email"]) == (200, "ana", "ana@example.com")
    status, person, _ = await call(hub, "PUT", "/users/ana", {"locale": "pt-PT", "phone": None})
    assert (person["email"], person["phone"], person["locale"]) == ("ana@example.com", None, "pt-PT")
    assert person["roles"] == ["CUSTOMER"]
    assert (await call(hub, "GET", "/users/ana"))[1] == person
    assert (await call(hub, "GET", "/users/ana", tenant="other"))[0] == 404
    assert (await call(hub, "DELETE", "/users/ana"))[0] == 204
    assert (await call(hub, "DELETE", "/users/ana"))[0] == 404


async def test_many_people_are_stored_all_or_none(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    users: list[Any] = [{"id": "1", "email": "a@example.com"}, {"id": 2, "timezone": "Asia/Ho_Chi_Minh"}]
    bad = await call(hub, "PUT", "/users/batch", [*users, {"id": "3", "email": "x"}])
    assert bad[0] == 422
    assert (await call(hub, "GET", "/users/1"))[0] == 404
    status, answer, _ = await call(hub, "PUT", "/users/batch", {"users": users})
    assert (status, [person["id"] for person in answer["users"]]) == (200, ["1", "2"])
    assert (await call(hub, "GET", "/users/2"))[1]["timezone"] == "Asia/Ho_Chi_Minh"


async def test_a_ticket_opens_one_stream(living: Start) -> None:
    hub = await living()
    status, issued = await hub.user("POST", "/auth/ticket", hub.token("42"))
    assert (status, set(issued)) == (200, {"ticket", "expiresIn"})
    assert 1 <= issued["expiresIn"] <= 30
    stream = await Stream(hub.http, f"/notifications/sse?ticket={issued['ticket']}").open()
    assert (await stream.wait("connected"))["userId"] == "42"
    await stream.close()
    async with hub.http.get(f"/notifications/sse?ticket={issued['ticket']}") as again:
        assert (again.status, (await again.json(content_type=None))["code"]) == (401, "token_invalid")


# -- probes and pages ------------------------------------------------------------------------------------
async def test_a_hub_that_says_goodbye_is_alive_but_not_ready(living: Start) -> None:
    hub = await living()
    assert (await call(hub, "GET", "/readyz"))[:2] == (200, {"status": "ready"})
    await hub.hub.drain()
    status, problem, headers = await call(hub, "GET", "/readyz")
    assert (status, problem["code"], headers["Retry-After"]) == (503, "unavailable", "1")
    assert (await call(hub, "GET", "/livez"))[0] == 200


async def test_the_outbox_shows_what_would_have_been_sent(living: Start) -> None:
    hub = await living()
    await hub.hub.outbox.add(message(subject="Booked"))
    _, [mail], _ = await call(hub, "GET", "/dev/outbox")
    assert (mail["subject"], mail["to"]) == ("Booked", "ana@example.com")
