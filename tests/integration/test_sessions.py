"""What a connection hears and says while it lives, on every transport."""

from __future__ import annotations

import time

import pytest

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
    again = Ear(hub.url, hub.token("42"), types=["booking.*", "nearby-job"], cursor=cursor)
    said = await again.open()
    for kind in ("payment.due", "job.nearby", "booking.updated"):
        await hub.notify(kind, "user:42")
    await again.wait("booking.updated")
    await again.close()
    assert said["replayed"] == 1
    got = [item["type"] for item in again.all("notification:new")]
    assert got == ["booking.created", "job.nearby", "booking.updated"]  # the second by its name on the wire


async def test_an_empty_list_of_types_filters_nothing(living: Start) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42"), types=[]) as ear:
        await hub.notify("booking.created", "user:42")
        await ear.wait("booking.created")


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
