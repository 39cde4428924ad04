"""What a connection lives through: in, replayed, live, refreshed, warned, closed; on every transport."""

from __future__ import annotations

import time
from typing import Any

import pytest
import socketio.exceptions

from hub.domain.events import Cursor
from tests.living import Ear, Start, Stream


async def test_connected_says_where_the_client_stands(living: Start) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42", "ADMIN", sid="s1")) as ear:
        said = ear.connected
    assert said["rooms"] == ["user:42", "role:ADMIN", "tenant:acme", "session:s1"]
    assert (said["userId"], said["tenantId"], said["sessionId"]) == ("42", "acme", "s1")
    assert (said["recovered"], said["recoveryReason"], said["replayed"]) == (False, None, 0)
    assert (said["unreadCount"], said["heartbeatMs"]) == (0, 30000)
    assert Cursor.parse(said["cursor"]).offset == 0
    assert said["expiresAt"].endswith("Z")


@pytest.mark.parametrize("namespace", ["/", "/ws/notifications"])
async def test_a_notification_arrives_under_both_names_and_is_one_envelope(
    living: Start, namespace: str
) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42", "ADMIN"), namespace=namespace) as ear:
        answer = await hub.notify("BOOKING_CREATED", ["role:ADMIN", "user:42"], data={"guestName": "Ana"})
        typed = await ear.wait("booking.created")
    assert ear.all("notification:new") == [typed]
    assert ear.all("booking.created") == [typed]
    assert typed["id"] == answer["id"]
    assert typed["cursor"] == answer["cursor"]
    assert (typed["type"], typed["data"]) == ("booking.created", {"guestName": "Ana"})
    assert "room" not in typed


@pytest.mark.parametrize(
    ("events", "names"),
    [
        ("generic", ["notification:new"]),
        ("typed", ["nearby-job"]),
        ("both", ["notification:new", "nearby-job"]),
    ],
)
async def test_auth_events_chooses_the_names(living: Start, events: str, names: list[str]) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42"), events=events) as ear:
        await hub.notify("job.nearby", "user:42")
        await hub.post("/events", {"type": "nudge", "to": "user:42", "data": {}})
        await ear.wait("nudge")
    assert [item.event for item in ear.heard if item.event in ("notification:new", "nearby-job")] == names


async def test_auth_types_filters_live_and_replayed_events_alike(living: Start) -> None:
    hub = await living()
    ear = Ear(hub.url, hub.token("42"), types=["booking.*"])
    cursor = (await ear.open())["cursor"]
    await ear.close()
    for kind in ("payment.received", "booking.created"):
        await hub.notify(kind, "user:42")
    again = Ear(hub.url, hub.token("42"), types=["booking.*"], cursor=cursor)
    said = await again.open()
    for kind in ("payment.due", "booking.updated"):
        await hub.notify(kind, "user:42")
    await again.wait("booking.updated")
    await again.close()
    assert said["replayed"] == 1
    assert [item["type"] for item in again.all("notification:new")] == ["booking.created", "booking.updated"]


async def test_a_client_gets_only_what_its_rooms_get_and_never_what_excludes_it(living: Start) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("7", "STAFF")) as ear:
        await hub.notify("system", "role:ADMIN")
        await hub.notify("system", "user:42")
        await hub.notify("system", "tenant:other", tenant="other")
        await hub.notify("reminder", "role:STAFF", exclude=["user:7"])
        mine = await hub.notify("test", "role:STAFF")
        await ear.wait("test")
        cursor = ear.connected["cursor"]
    assert [item["id"] for item in ear.all("notification:new")] == [mine["id"]]
    again = Ear(hub.url, hub.token("7", "STAFF"), cursor=cursor)
    assert (await again.open())["replayed"] == 1
    await again.close()


async def _offsets(listener: Any, event: str) -> list[int]:
    return [Cursor.parse(item["cursor"]).offset for item in listener.all(event)]


@pytest.mark.parametrize("ring", [0, 2000], ids=["from SQL", "from the ring"])
async def test_one_cursor_brings_back_what_was_missed_on_any_transport(living: Start, ring: int) -> None:
    hub = await living(ring_events=ring)
    token = hub.token("42", "ADMIN")
    ear = Ear(hub.url, token, events="typed")
    await ear.open()
    await hub.notify(title="1")
    await ear.wait("booking.created")
    cursor = ear.all("booking.created")[-1]["cursor"]
    await ear.close()

    await hub.notify(title="2")
    await hub.notify("system", "user:somebody-else")
    await hub.notify(title="3")
    stream = Stream(hub.http)
    stream.cursor = cursor
    await stream.open(token)
    said = await stream.wait("connected")
    await hub.notify(title="4")
    await stream.wait("booking.created", count=3)
    await stream.close()
    assert (said["recovered"], said["replayed"], said["cursor"]) == (True, 2, cursor)
    assert [item["title"] for item in stream.all("booking.created")] == ["2", "3", "4"]

    await hub.notify(title="5")
    back = Ear(hub.url, token, events="typed", cursor=stream.cursor)
    assert (await back.open())["replayed"] == 1
    await hub.notify(title="6")
    await back.wait("booking.created", count=2)
    await back.close()
    assert [item["title"] for item in back.all("booking.created")] == ["5", "6"]


async def test_a_stream_that_saw_no_event_resumes_from_connected(living: Start) -> None:
    hub = await living()
    stream = await Stream(hub.http).open(hub.token("42"))
    await stream.wait("connected")
    await stream.close()
    await hub.notify("system", "user:42", title="meanwhile")
    await stream.open(hub.token("42"))
    assert (await stream.wait("system"))["title"] == "meanwhile"
    await stream.close()


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [("nonsense", "invalid"), ("wrongone:0", "epoch"), ("{epoch}:99", "invalid"), ("x" * 300, "invalid")],
)
async def test_a_cursor_that_cannot_be_honoured_says_why(living: Start, cursor: str, reason: str) -> None:
    hub = await living()
    answer = await hub.notify("system", "user:42")
    epoch = Cursor.parse(answer["cursor"]).epoch
    async with Ear(hub.url, hub.token("42"), cursor=cursor.format(epoch=epoch)) as ear:
        assert (ear.connected["recovered"], ear.connected["recoveryReason"]) == (False, reason)
        assert await ear.wait("sync:reset") == {"reason": reason, "earliest": f"{epoch}:0"}
        assert ear.connected["cursor"] == answer["cursor"]
    assert ear.all("notification:new") == []


async def test_more_than_the_replay_limit_is_not_replayed(living: Start) -> None:
    hub = await living(replay_limit=3)
    first = await hub.notify("system", "user:42")
    for _ in range(4):
        last = await hub.notify("system", "user:42")
    async with Ear(hub.url, hub.token("42"), cursor=first["cursor"]) as ear:
        assert ear.connected["recoveryReason"] == "limit"
        assert ear.connected["cursor"] == last["cursor"]


async def test_a_long_replay_reaches_a_client_whole_and_in_order_with_live_events_behind_it(
    living: Start,
) -> None:
    hub = await living(outbox_bytes=65536)
    token = hub.token("42")
    ear = Ear(hub.url, token)
    cursor = (await ear.open())["cursor"]
    await ear.close()
    text = "x" * 2000
    batch = [{"type": "system", "to": "user:42", "message": text}] * 200
    for _ in range(5):
        await hub.post("/notifications/batch", batch)
    back = Ear(hub.url, token, events="typed", cursor=cursor)
    assert (await back.open())["replayed"] == 1000
    await hub.notify("system", "user:42", title="live")
    await back.wait("system", count=1001)
    await back.close()
    assert await _offsets(back, "system") == list(range(1, 1002))
    assert back.all("system")[-1]["title"] == "live"


async def test_a_volatile_event_is_shown_and_not_replayed(living: Start) -> None:
    hub = await living()
    stream = await Stream(hub.http).open(hub.token("42"))
    answer = await hub.post(
        "/events", {"type": "typing", "to": "user:42", "data": {"n": 1}, "durable": False}
    )
    said = await stream.wait("typing")
    cursor = stream.cursor
    await stream.close()
    assert answer["cursor"] is None
    assert (said["data"], said["cursor"]) == ({"n": 1}, None)
    async with Ear(hub.url, hub.token("42"), cursor=cursor) as ear:
        assert ear.connected["replayed"] == 0


async def test_what_passes_is_told_on_other_processes_to_whom_it_is_for(living: Start) -> None:
    here, there = await living(), await living()
    stream = await Stream(there.http).open(there.token("42"))
    delivered = there.hub.publish.delivered["event"]
    for to in ("user:7", "user:42"):
        await here.post("/events", {"type": "typing", "to": to, "data": {"to": to}, "durable": False})
    said = await stream.wait("typing")
    await stream.close()
    assert said["data"] == {"to": "user:42"}
    assert there.hub.bus.counts.received >= 2
    assert there.hub.publish.delivered["event"] - delivered == 1


# -- who may come in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "code"),
    [("", "token_missing"), ("nonsense", "token_invalid"), (None, "token_expired")],
)
async def test_a_bad_token_is_a_connect_error_with_a_code(
    living: Start, token: str | None, code: str
) -> None:
    hub = await living()
    ear = Ear(hub.url, hub.token(lives=-60) if token is None else token)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await ear.open()
    assert (await ear.wait("connect_error"))["data"]["code"] == code
    async with hub.http.get("/notifications/sse", params={"token": ear.auth["token"]}) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (401, code)


async def test_a_token_may_stand_in_header_query_cookie_or_ticket(living: Start) -> None:
    hub = await living()
    token = hub.token("42")
    status, ticket = await hub.user("POST", "/auth/ticket", token)
    assert status == 200
    for options in (
        {"headers": {"Authorization": f"Bearer {token}"}},
        {"params": {"token": token}},
        {"headers": {"Cookie": f"access_token={token}"}},
        {"params": {"ticket": ticket["ticket"]}},
    ):
        stream = await Stream(hub.http).open(**options)
        assert (await stream.wait("connected"))["userId"] == "42"
        await stream.close()
    async with hub.http.get("/notifications/sse", params={"ticket": ticket["ticket"]}) as answer:
        assert answer.status == 401


async def test_one_user_has_a_bounded_number_of_connections(living: Start) -> None:
    hub = await living(connections_per_user=2)
    first, second = Ear(hub.url, hub.token("42")), Ear(hub.url, hub.token("42"))
    await first.open()
    await second.open()
    async with hub.http.get("/notifications/sse", params={"token": hub.token("42")}) as answer:
        assert answer.status == 429
        assert "Retry-After" in answer.headers
    await second.close()
    async with Ear(hub.url, hub.token("43")):
        pass
    await first.close()


# -- rooms and tokens --------------------------------------------------------------------------------


async def test_a_topic_is_joined_by_right_and_left_at_will(living: Start) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42", topics=["jobs.*"])) as ear:
        assert await ear.ask("joinRoom", {"room": "topic:jobs.hanoi"}) == {"room": "topic:jobs.hanoi"}
        assert await ear.wait("joinedRoom") == {"room": "topic:jobs.hanoi"}
        await hub.notify("job.nearby", "topic:jobs.hanoi")
        await ear.wait("nearby-job")
        assert await ear.ask("leaveRoom", {"room": "topic:jobs.hanoi"}) == {"room": "topic:jobs.hanoi"}
        await hub.notify("job.nearby", "topic:jobs.hanoi")
        await hub.notify("test", "user:42")
        await ear.wait("test")
    assert len(ear.all("nearby-job")) == 1


@pytest.mark.parametrize(
    ("room", "code"),
    [
        ("topic:secret", "room_forbidden"),
        ("role:ADMIN", "room_forbidden"),
        ("user:7", "room_forbidden"),
        ("tenant:other", "room_invalid"),
        ("nonsense", "room_invalid"),
        (7, "room_invalid"),
        (None, "invalid_request"),
    ],
)
async def test_a_foreign_room_is_an_error(living: Start, room: Any, code: str) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42", topics=["jobs.*"])) as ear:
        assert (await ear.ask("joinRoom", {"room": room}))["code"] == code
        assert (await ear.wait("error"))["code"] == code
        assert (await ear.ask("leaveRoom", {"room": "user:42"}))["code"] == "room_forbidden"


async def test_rooms_can_be_asked_for_at_the_door(living: Start) -> None:
    hub = await living()
    token = hub.token("42", topics=["jobs.*"])
    async with Ear(hub.url, token, rooms=["topic:jobs.hanoi"]) as ear:
        assert "topic:jobs.hanoi" in ear.connected["rooms"]
        cursor = ear.connected["cursor"]
    await hub.notify("job.nearby", "topic:jobs.hanoi")
    stream = Stream(hub.http, "/notifications/sse?rooms=topic:jobs.hanoi")
    stream.cursor = cursor
    await stream.open(token)
    await stream.wait("nearby-job")
    await stream.close()
    async with hub.http.get(f"/notifications/sse?rooms=role:ADMIN&token={token}") as answer:
        assert answer.status == 403


async def test_a_refreshed_token_moves_rooms_and_keeps_the_session(living: Start) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42", "STAFF", sid="s1", topics=["jobs.*"])) as ear:
        await ear.ask("joinRoom", {"room": "topic:jobs.hanoi"})
        fresh = await ear.ask("refresh", {"token": hub.token("42", "ADMIN")})
        assert fresh["expiresAt"]
        for room in ("role:STAFF", "topic:jobs.hanoi"):
            await hub.notify("reminder", room)
        for room in ("role:ADMIN", "session:s1"):
            await hub.notify("test", room)
        await ear.wait("test", count=2)
        assert ear.all("reminder") == []
        wrong = await ear.ask("refresh", {"token": hub.token("43", "ADMIN")})
        assert wrong["code"] == "token_invalid"


async def test_a_connection_is_warned_and_closed_when_its_token_ends(
    living: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.services.sessions.GRACE", 0.0)
    hub = await living()
    ear = Ear(hub.url, hub.token("42", lives=2))
    await ear.open()
    warned = await ear.wait("auth:expiring")
    assert warned["expiresAt"]
    closed = await ear.wait("session:closed")
    assert (closed["code"], closed["reconnect"]) == ("token_expired", True)
    await ear.wait("disconnect")
    stream = await Stream(hub.http).open(hub.token("42", lives=1))
    await stream.wait("session:closed")
    await stream.ended.wait()
    await ear.close()


async def test_a_refresh_puts_the_end_off(living: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.services.sessions.GRACE", 0.0)
    hub = await living()
    async with Ear(hub.url, hub.token("42", lives=2)) as ear:
        await ear.ask("refresh", {"token": hub.token("42", lives=3600)})
        async with Ear(hub.url, hub.token("43", lives=2)) as other:
            await other.wait("session:closed")  # by now the first would be closed as well
        assert (await ear.ask("ping"))["timestamp"]


# -- events ------------------------------------------------------------------------------------------


async def test_ping_works_without_an_argument_and_without_an_acknowledgement(living: Start) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42"), namespace="/ws/notifications") as ear:
        await ear.say("ping")
        assert (await ear.wait("pong"))["timestamp"].endswith("Z")
        await ear.say("dance")
        assert (await ear.wait("error"))["code"] == "event_unknown"


async def test_a_read_mark_reaches_the_users_other_screens(living: Start) -> None:
    hub = await living()
    token = hub.token("42")
    async with (
        Ear(hub.url, token) as phone,
        Ear(hub.url, token) as desk,
        Ear(hub.url, hub.token("43")) as other,
    ):
        stream = await Stream(hub.http).open(token)
        await stream.wait("connected")
        ids = [(await hub.notify("system", "user:42"))["id"] for _ in range(3)]
        assert await phone.ask("markNotificationRead", {"notificationId": ids[0]}) == {"id": ids[0]}
        await desk.wait("notification:read")
        [(_, args)] = [item for item in desk.heard if item.event == "notification:read"]
        assert args[0] == ids[0]
        assert (args[1]["ids"], args[1]["unreadCount"]) == ([ids[0]], 2)
        assert (await stream.wait("notification:read"))["unreadCount"] == 2
        assert await phone.wait("notification:unread_count") == {"count": 2}
        done = await phone.ask("markAllRead", {})
        assert done["unreadCount"] == 0
        assert (await desk.wait("notification:read_all"))["readAt"] == done["readAt"]
        wrong = await other.ask("markNotificationRead", {"id": ids[0]})
        assert wrong["code"] == "notification_unknown"
        assert phone.all("notification:read") == []
        await stream.close()
    assert other.all("notification:read") == []
    _, page = await hub.user("GET", "/notifications", token)
    assert [item["read"] for item in page] == [True, True, True]


async def test_a_flood_of_events_is_slowed_then_closed(living: Start) -> None:
    hub = await living(rate_limit_max_requests=5, rate_limit_window_ms=60_000)
    ear = Ear(hub.url, hub.token("42"))
    await ear.open()
    for _ in range(20):
        await ear.say("ping")
    error = await ear.wait("error")
    assert (error["code"], error["retryAfter"] > 0) == ("rate_limited", True)
    assert (await ear.wait("session:closed"))["reconnect"] is False
    await ear.wait("disconnect")
    assert len(ear.all("pong")) == 5


async def test_heartbeats_and_keep_alive_comments_come_by_themselves(living: Start) -> None:
    hub = await living(heartbeat_ms=100, sse_heartbeat_interval=120)
    async with Ear(hub.url, hub.token("42")) as ear:
        assert (await ear.wait("connected"))["heartbeatMs"] == 100
        assert (await ear.wait("heartbeat", count=2))["timestamp"]
    stream = await Stream(hub.http).open(hub.token("42"))
    assert (await stream.wait("connected"))["heartbeatMs"] == 120
    await stream.wait(":", count=2)
    await stream.close()
    assert stream.comments[0].startswith(":keep-alive 20")
    assert stream.all("heartbeat") == []


# -- streams -----------------------------------------------------------------------------------------


async def test_a_stream_has_the_headers_that_proxies_need(living: Start) -> None:
    hub = await living()
    stream = await Stream(hub.http).open(hub.token("42"), headers={"Origin": "http://localhost:5173"})
    await stream.wait("connected")
    await stream.close()
    expected = {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-cache, no-transform",
        "Connection": "keep-alive",
        "X-Accel-Buffering": "no",
        "Access-Control-Allow-Origin": "http://localhost:5173",
    }
    assert {name: stream.headers[name] for name in expected} == expected
    assert stream.headers["X-Request-Id"]


async def test_a_stream_ends_at_its_age_and_the_client_misses_nothing(living: Start) -> None:
    hub = await living(sse_lifetime=0.5)
    stream = await Stream(hub.http).open(hub.token("42"))
    await stream.wait("connected")
    await stream.ended.wait()
    await hub.notify("system", "user:42")
    await stream.open(hub.token("42"))
    await stream.wait("system")
    await stream.close()


async def test_a_compressed_stream_is_readable_at_once(living: Start) -> None:
    hub = await living()
    stream = Stream(hub.http, "/notifications/sse?compress=1")
    await stream.open(hub.token("42"), headers={"Accept-Encoding": "gzip"})
    await stream.wait("connected")
    assert stream.headers["Content-Encoding"] == "gzip"
    await hub.notify("system", "user:42")
    await stream.wait("system")
    await stream.close()


async def test_the_test_stream_needs_no_token_and_ticks(living: Start) -> None:
    hub = await living()
    stream = await Stream(hub.http, "/notifications/sse/test").open()
    await stream.wait("connected")
    assert (await stream.wait("tick"))["n"] == 1
    await stream.close()


# -- the plain WebSocket -----------------------------------------------------------------------------


async def test_the_plain_websocket_speaks_the_same_language(living: Start) -> None:
    hub = await living()
    path = f"/ws/notifications?token={hub.token('42')}"
    async with hub.http.ws_connect(path) as socket:
        said = await socket.receive_json()
        assert (said["event"], said["data"]["userId"]) == ("connected", "42")
        cursor = said["cursor"]
        await socket.send_json({"event": "ping", "ack": 7})
        pong = await socket.receive_json()
        assert (pong["event"], pong["ack"]) == ("pong", 7)
        await socket.send_str("{")
        assert (await socket.receive_json())["data"]["code"] == "json_invalid"
        answer = await hub.notify("system", "user:42")
        event = await socket.receive_json()
        assert (event["event"], event["data"]["id"], event["cursor"]) == (
            "system",
            answer["id"],
            answer["cursor"],
        )
    async with hub.http.ws_connect(f"{path}&cursor={cursor}") as socket:
        assert (await socket.receive_json())["data"]["replayed"] == 1
        assert (await socket.receive_json())["data"]["id"] == answer["id"]
    async with hub.http.get(path) as answer:
        assert answer.status == 400
    async with hub.http.get("/ws/notifications") as answer:
        assert answer.status == 401


async def test_draining_tells_every_client_when_to_come_back(living: Start) -> None:
    hub = await living()
    ear = Ear(hub.url, hub.token("42"))
    await ear.open()
    stream = await Stream(hub.http).open(hub.token("42"))
    await stream.wait("connected")
    started = time.monotonic()
    await hub.hub.drain()
    assert 0 <= (await ear.wait("server:draining"))["retryAfterMs"] <= 2000
    assert await stream.wait("server:draining")
    await stream.ended.wait()
    await ear.wait("disconnect")
    async with hub.http.get("/readyz") as answer:
        assert answer.status == 503
    assert time.monotonic() - started < 10
