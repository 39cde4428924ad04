"""The streams of older programs: their paths, their words, and behind them the same stream as everywhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from hub.domain.events import Cursor
from tests.living import Living, Start, Stream

CANONICAL, MESSAGES, BOOKINGS, ENVELOPES = (
    "/notifications/sse",
    "/sse/notifications",
    "/sse/bookings",
    "/api/notifications/stream",
)
PATHS = pytest.mark.parametrize("path", [CANONICAL, MESSAGES, BOOKINGS, ENVELOPES])
OLDER = pytest.mark.parametrize("path", [MESSAGES, BOOKINGS, ENVELOPES])


def with_query(path: str, **query: str) -> str:
    return "?".join([path, "&".join(f"{name}={value}" for name, value in query.items())]) if query else path


async def listen(
    hub: Living, path: str, token: str, *, cursor: str | None = None, headers: Any = None, **query: str
) -> Stream:
    """A stream that has joined: what is sent from now on reaches it."""
    stream = Stream(hub.http, with_query(path, **query))
    stream.cursor = cursor
    await stream.open(token, headers=headers or {})
    if path == BOOKINGS and "format" not in query:
        await stream.wait("", lambda fields: "id" in fields)
    else:
        await stream.wait("connected" if path == CANONICAL and "format" not in query else "message")
    return stream


def id_in(data: Any) -> Any:
    """The notification's mark in whatever dialect: the tests number them in `data`."""
    inner = data["data"]
    return inner["data"]["n"] if data["type"] == "notification" else inner["n"]


async def numbered(hub: Living, *numbers: int, to: Any = "user:42") -> None:
    for number in numbers:
        await hub.notify("booking.created", to, data={"n": number})


async def heard(stream: Stream, count: int) -> list[Any]:
    """The numbers of the first `count` bookings, in the order they came, whatever the dialect."""

    def booking(data: Any) -> bool:
        shown = data["data"] if data["type"] == "notification" else data
        return bool(shown["type"].startswith("booking."))

    event = "booking.created" if any(item.event == "connected" for item in stream.heard) else "message"
    return [id_in(await stream.wait(event, booking, number)) for number in range(1, count + 1)]


# -- the words -------------------------------------------------------------------------------------------
async def test_unnamed_notifications_begin_with_connected_and_have_the_older_names(living: Start) -> None:
    hub = await living()
    stream = await listen(hub, MESSAGES, hub.token("42"))
    [connected] = stream.all("message")
    assert connected["type"] == "connected"
    assert (connected["userId"], connected["recovered"]) == ("42", False)
    assert connected["cursor"] == stream.cursor
    sent = await hub.notify("payment.failed", "user:42", link="/pay/1", data={"n": 1})
    got = await stream.wait("message", lambda data: data["type"] == "payment.failed")
    assert (got["id"], got["isRead"], got["actionUrl"]) == (sent["id"], False, "/pay/1")
    assert (got["read"], got["link"], got["data"]) == (False, "/pay/1", {"n": 1})
    assert stream.cursor == sent["cursor"] == got["cursor"]
    await stream.close()


async def test_wrapped_notifications_are_typed_and_timed(living: Start) -> None:
    hub = await living()
    stream = await listen(hub, ENVELOPES, hub.token("42"))
    [connected] = stream.all("message")
    assert connected.keys() == {"type", "timestamp"}
    assert connected["type"] == "connected"
    datetime.fromisoformat(connected["timestamp"])
    sent = await hub.notify("session_created", "user:42", link="/sessions/123", title="Réservée")
    got = await stream.wait("message", lambda data: data["type"] == "notification")
    assert got.keys() == {"type", "data", "timestamp"}
    assert (got["data"]["id"], got["data"]["title"]) == (sent["id"], "Réservée")
    assert (got["data"]["isRead"], got["data"]["actionUrl"]) == (False, "/sessions/123")
    assert got["timestamp"] == got["data"]["createdAt"]
    await stream.close()


async def test_bookings_are_all_that_a_reader_of_bookings_hears(living: Start) -> None:
    hub = await living()
    stream = await listen(hub, BOOKINGS, hub.token("42", "STAFF"))
    await hub.notify("payment.failed", "user:42")
    await hub.notify("checkin.reminder", "user:42")
    await hub.notify("booking.created", "role:STAFF", tenant="other", data={"guestName": "Eve"})
    await hub.notify("booking.created", "user:7", data={"guestName": "Bob"})
    await hub.notify("NEW_BOOKING", "role:STAFF", data={"guestName": "Ana"})
    await hub.post("/events", {"type": "booking.moved", "to": "tenant:acme", "data": {}, "durable": False})
    await stream.wait("message", lambda data: data["type"] == "booking.moved")
    assert stream.all("message") == [
        {"type": "booking.created", "data": {"guestName": "Ana"}, "tenantId": "acme"},
        {"type": "booking.moved", "data": {}, "tenantId": "acme"},
    ]
    await stream.close()


@pytest.mark.parametrize("path", [MESSAGES, ENVELOPES])
async def test_what_is_no_notification_stays_out_of_lists_of_notifications(living: Start, path: str) -> None:
    hub = await living()
    token = hub.token("42")
    stream = await listen(hub, path, token)
    await hub.post("/events", {"type": "nudge", "to": "user:42", "data": {}})
    sent = await hub.notify("system", "user:42")
    await hub.user("PATCH", f"/notifications/{sent['id']}/read", token)  # signals are for newer programs
    await numbered(hub, 1)
    assert await heard(stream, 1) == [1]
    kinds = [
        data["data"]["type"] if path == ENVELOPES else data["type"] for data in stream.all("message")[1:]
    ]
    assert kinds == ["system", "booking.created"]
    await stream.close()


@PATHS
async def test_format_overrides_the_dialect_on_every_path(living: Start, path: str) -> None:
    hub = await living()
    token = hub.token("42")
    named = Stream(hub.http, with_query(path, format="named"))
    await named.open(token)
    assert (await named.wait("connected"))["userId"] == "42"
    message = await listen(hub, path, token, format="message")
    envelope = await listen(hub, path, token, format="envelope")
    assert message.all("message")[0]["userId"] == "42"
    assert envelope.all("message")[0].keys() == {"type", "timestamp"}
    await numbered(hub, 1)
    assert (await named.wait("booking.created"))["data"] == {"n": 1}
    got = await message.wait("message", lambda data: data["type"] == "booking.created")
    assert (got["data"], got["isRead"]) == ({"n": 1}, False)
    wrapped = await envelope.wait("message", lambda data: data["type"] == "notification")
    assert wrapped["data"] == got
    for stream in (named, message, envelope):
        await stream.close()


@PATHS
async def test_an_unknown_format_is_refused_and_says_which_there_are(living: Start, path: str) -> None:
    hub = await living()
    for wrong in ("xml", "booking", ""):
        headers = {"Authorization": f"Bearer {hub.token('42')}"}
        async with hub.http.get(with_query(path, format=wrong), headers=headers) as answer:
            problem = await answer.json(content_type=None)
        assert (answer.status, problem["code"]) == (400, "invalid_request")
        assert problem["detail"] == "'format' is one of named, message, envelope"


@PATHS
async def test_nobody_is_refused_in_the_words_of_the_path(living: Start, path: str) -> None:
    hub = await living()
    for token, says in (("", "Bearer"), ("nonsense", 'Bearer error="invalid_token"')):
        async with hub.http.get(with_query(path, **({"token": token} if token else {}))) as answer:
            body = await answer.json(content_type=None)
        assert (answer.status, body["error"]) == (401, "Unauthorized")
        assert answer.headers["WWW-Authenticate"] == says
        brief = path == ENVELOPES
        assert (body == {"error": "Unauthorized"}) is brief
        assert answer.content_type == ("application/json" if brief else "application/problem+json")


async def test_a_tenant_in_the_address_changes_nothing(living: Start) -> None:
    hub = await living()
    stream = await listen(hub, MESSAGES, hub.token("42"), tenantId="other")
    await hub.notify("system", "tenant:other", tenant="other")
    await hub.notify("system", "tenant:acme", data={"n": 1})
    await stream.wait("message", lambda data: data["type"] == "system")
    assert [data["tenantId"] for data in stream.all("message")] == ["acme", "acme"]
    await stream.close()


# -- the same stream ---------------------------------------------------------------------------------------
@PATHS
async def test_a_reader_that_comes_back_gets_what_it_missed_then_what_is_new(
    living: Start, path: str
) -> None:
    hub = await living()
    token = hub.token("42")
    stream = await listen(hub, path, token)
    start = Cursor.parse(stream.cursor)
    await numbered(hub, 1)
    assert await heard(stream, 1) == [1]
    assert Cursor.parse(stream.cursor) == Cursor(start.epoch, 1)
    await stream.close()
    await hub.notify("payment.failed", "user:7")
    await numbered(hub, 2, 3)
    back = await listen(hub, path, token, cursor=stream.cursor)
    await numbered(hub, 4)
    assert await heard(back, 3) == [2, 3, 4]
    assert Cursor.parse(back.cursor).offset == 5
    await back.close()


async def test_what_is_replayed_is_counted_after_the_selection(living: Start) -> None:
    hub = await living()
    token = hub.token("42")
    stream = await listen(hub, MESSAGES, token)
    await stream.close()
    await hub.post("/events", {"type": "nudge", "to": "user:42", "data": {}})
    await numbered(hub, 1)
    back = await listen(hub, MESSAGES, token, cursor=stream.cursor)
    [connected] = [data for data in back.all("message") if data["type"] == "connected"]
    assert (connected["recovered"], connected["replayed"]) == (True, 1)
    assert await heard(back, 1) == [1]
    await back.close()


@PATHS
async def test_the_place_in_the_address_counts_and_the_header_wins(living: Start, path: str) -> None:
    hub = await living()
    token = hub.token("42")
    first = await listen(hub, path, token)
    start = first.cursor
    await first.close()
    await numbered(hub, 1, 2)
    by_address = await listen(hub, path, token, lastEventId=str(start))
    assert await heard(by_address, 2) == [1, 2]
    epoch = Cursor.parse(start).epoch
    by_header = await listen(hub, path, token, cursor=f"{epoch}:1", lastEventId=str(start))
    assert await heard(by_header, 1) == [2]
    for stream in (by_address, by_header):
        await stream.close()


@PATHS
async def test_types_and_rooms_are_chosen_as_on_every_stream(living: Start, path: str) -> None:
    hub = await living()
    token = hub.token("42", topics=["jobs.*"])
    query = {"types": "BOOKING_CONFIRMED", "rooms": "topic:jobs.hanoi"}  # an alias is its type
    stream = await listen(hub, path, token, **query)
    await hub.notify("booking.created", "topic:jobs.hanoi", data={"n": 1})
    await hub.notify("booking.confirmed", "topic:jobs.hue", data={"n": 2})
    await hub.notify("booking.confirmed", "topic:jobs.hanoi", data={"n": 3}, channels=["inApp"])
    event = "booking.confirmed" if path == CANONICAL else "message"
    got = await stream.wait(event, lambda data: data["type"] in ("booking.confirmed", "notification"))
    shown = got["data"] if path == ENVELOPES else got
    assert (shown["type"], shown["data"]) == ("booking.confirmed", {"n": 3})
    await stream.close()
    async with hub.http.get(with_query(path, rooms="role:ADMIN", token=token)) as answer:
        assert answer.status == 403


@PATHS
async def test_headers_and_compression_are_those_of_every_stream(living: Start, path: str) -> None:
    hub = await living()
    stream = await listen(hub, path, hub.token("42"), headers={"Accept-Encoding": "gzip"}, compress="1")
    expected = {
        "Content-Type": "text/event-stream",
        "Content-Encoding": "gzip",
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no",
    }
    assert {name: stream.headers[name] for name in expected} == expected
    await numbered(hub, 1)
    assert await heard(stream, 1) == [1]
    await stream.close()


@PATHS
async def test_every_stream_shows_life_in_its_own_way(living: Start, path: str) -> None:
    hub = await living(sse_heartbeat_interval=100)
    stream = await listen(hub, path, hub.token("42"))
    if path == MESSAGES:
        assert await stream.wait("message", lambda data: data["type"] == "ping") == {"type": "ping"}
        assert stream.comments == []
    else:
        await stream.wait(":", lambda line: line.startswith(":keep-alive 20"))
        assert not [data for data in stream.all("message") if data["type"] == "ping"]
    await stream.close()


async def test_the_ping_belongs_to_the_dialect_and_not_to_the_path(living: Start) -> None:
    hub = await living(sse_heartbeat_interval=100)
    token = hub.token("42")
    pinged = await listen(hub, CANONICAL, token, format="message")
    named = Stream(hub.http, with_query(MESSAGES, format="named"))
    await named.open(token)
    assert await pinged.wait("message", lambda data: data["type"] == "ping") == {"type": "ping"}
    await named.wait(":")
    for stream in (pinged, named):
        await stream.close()


@OLDER
async def test_a_stream_ends_at_its_age_and_its_reader_goes_on(living: Start, path: str) -> None:
    hub = await living(sse_lifetime=0.5)
    token = hub.token("42")
    stream = await listen(hub, path, token)
    await stream.ended.wait()
    await numbered(hub, 1)
    back = await listen(hub, path, token, cursor=stream.cursor)
    assert await heard(back, 1) == [1]
    await back.close()


@OLDER
async def test_a_revoked_token_ends_its_stream_and_cannot_come_back(living: Start, path: str) -> None:
    hub = await living()
    token = hub.token("42", jti="t1")
    stream = await listen(hub, path, token)
    await hub.post("/admin/revoke", {"jti": "t1"})
    await stream.ended.wait()
    async with hub.http.get(with_query(path, token=token)) as answer:
        assert answer.status == 401


@OLDER
async def test_a_hub_that_stops_gives_every_stream_a_pause_of_its_own(living: Start, path: str) -> None:
    hub = await living()
    stream = await listen(hub, path, hub.token("42"))
    await hub.hub.drain()
    await stream.ended.wait()
    pauses = [fields for fields in stream.all("") if "retry" in fields]
    assert len(pauses) == 2
    assert 0 <= int(pauses[1]["retry"]) <= 2000


@PATHS
async def test_an_older_dialect_costs_what_the_newest_costs(living: Start, path: str) -> None:
    """Written straight to the transport, the same bytes for all who speak it."""
    hub = await living()
    streams = [await listen(hub, path, hub.token(user)) for user in ("1", "2")]
    connections = [session.conn for session in hub.hub.sessions.all()]
    assert len(connections) == 2
    assert all(conn.direct is conn.link for conn in connections)
    assert connections[0].profile is connections[1].profile
    for stream in streams:
        await stream.close()
