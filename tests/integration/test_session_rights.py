"""Who may come in, into which rooms, and for how long: by the token, while the connection lives."""

from __future__ import annotations

from typing import Any

import pytest
import socketio.exceptions

from tests.living import Ear, Start, Stream


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
