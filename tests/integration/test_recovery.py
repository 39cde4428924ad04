"""Connection state recovery, packet by packet: who gets what back, and who begins anew."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.living import Start
from tests.recovering import Raw, is_as_new, send


async def test_only_who_asks_for_it_gets_a_pid_and_a_last_argument(living: Start) -> None:
    hub = await living()
    async with Raw(hub, hub.token()) as asks, Raw(hub, hub.token(), recovery=False) as other:
        await send(hub, 1)
        for raw in (asks, other):
            await raw.wait("booking.created")
            await raw.say("ping", {})
            await raw.wait("pong")
    assert set(asks.reply) == {"sid", "pid"}
    assert set(other.reply) == {"sid"}
    cursor = asks.all("booking.created")[0]["cursor"]
    stored = ("notification:new", "booking.created")
    assert [item.args[1:] for item in asks.heard if item.event in stored] == [(cursor,)] * 2
    assert [len(item.args) for item in asks.heard if item.event == "pong"] == [1]
    assert asks.offset == cursor
    assert {len(item.args) for item in other.heard if item.event not in ("end",)} == {1}


async def test_nothing_without_a_place_in_the_log_is_taken_for_one(living: Start) -> None:
    hub = await living()
    async with Raw(hub, hub.token()) as raw:
        place = raw.offset
        await hub.post("/events", {"type": "nudge", "to": "user:42", "data": {}, "durable": False})
        await raw.wait("nudge")
        manager = hub.hub.manager
        key = "acme/user:42"
        await manager.emit("bare", None, room=key)
        await manager.emit("worded", ("a", "b"), room=key)
        await manager.emit("packed", (b"\x00", "b"), room=key)  # goes out with an attachment
        await manager.emit("last", None, room=key)
        await raw.wait("last")
    heard = {item.event: item.args for item in raw.heard}
    assert place == raw.offset == raw.said["cursor"]
    assert heard["bare"] == (None,)
    assert heard["worded"] == ("a", "b", None)
    assert heard["packed"] == ({"_placeholder": True, "num": 0}, "b", None)


@pytest.mark.parametrize("namespace", ["/", "/ws/notifications"])
async def test_a_dropped_connection_is_itself_again_on_another_process(living: Start, namespace: str) -> None:
    here, there = await living(), await living()
    token = here.token("42", "CUSTOMER", topics=["jobs.*"])
    async with Raw(here, token, namespace=namespace) as before:
        await before.say("joinRoom", {"room": "topic:jobs.hanoi"})
        await before.wait("joinedRoom")
        await send(here, 1)
        await before.wait("booking.created")
    await send(here, 2)
    await send(here, 3, "topic:jobs.hanoi")
    await send(here, 99, "topic:jobs.hue")
    async with before.again(there) as after:
        await after.wait("booking.created", count=2)
        await send(here, 4, "topic:jobs.hanoi")
        await after.wait("booking.created", count=3)
    assert before.numbers() == [1]
    assert after.numbers() == after.numbers("notification:new") == [2, 3, 4]
    assert after.reply == before.reply
    same = ("sid", "sessionId", "userId")
    assert {name: after.said[name] for name in same} == {name: before.said[name] for name in same}
    assert after.said["rooms"] == [*before.said["rooms"], "topic:jobs.hanoi"]
    assert (after.said["recovered"], after.said["recoveryReason"], after.said["replayed"]) == (True, None, 2)
    assert after.all("sync:reset") == []


async def test_a_room_that_was_left_stays_left(living: Start) -> None:
    hub = await living()
    token = hub.token(topics=["*"])
    async with Raw(hub, token, rooms=["topic:a", "topic:b"]) as before:
        await before.say("leaveRoom", {"room": "topic:a"})
        await before.wait("leftRoom")
    async with before.again(rooms=["topic:a", "topic:b"]) as after:
        assert after.said["recovered"]
        assert "topic:a" not in after.said["rooms"]
        assert "topic:b" in after.said["rooms"]


async def test_rooms_are_those_of_the_token_it_comes_back_with(living: Start) -> None:
    hub = await living()
    claims = {"sid": "s1", "topics": ["*"]}
    async with Raw(hub, hub.token("42", "ADMIN", **claims), rooms=["topic:a", "topic:b"]) as before:
        pass
    await send(hub, 1, "role:ADMIN")
    await send(hub, 2, "topic:a")
    await send(hub, 3, "topic:b")
    await send(hub, 4, "role:CUSTOMER")
    fewer = hub.token("42", "CUSTOMER", sid="s1", topics=["b"])
    async with before.again(token=fewer) as after:
        await after.wait("booking.created", count=2)
    assert after.numbers() == [3, 4]
    assert after.reply == before.reply
    assert after.said["rooms"] == ["user:42", "role:CUSTOMER", "tenant:acme", "session:s1", "topic:b"]


@pytest.mark.parametrize(
    "thief",
    [
        {"user": "7"},
        {"tenant": "other"},
        {"sid": "another"},
        {"namespace": "/ws/notifications"},
    ],
    ids=["user", "tenant", "session", "namespace"],
)
async def test_a_pid_is_worth_nothing_to_anybody_else(living: Start, thief: dict[str, Any]) -> None:
    hub = await living()
    named = {"user": "42", "sid": "s1", "tenant": "acme"} | thief
    namespace = named.pop("namespace", "/")
    async with Raw(hub, hub.token("42", sid="s1")) as owner:
        await send(hub, 1)
        await owner.wait("booking.created")
        token = hub.token(named.pop("user"), **named)
        stolen = {"pid": owner.reply["pid"], "offset": owner.offset}
        async with Raw(hub, token, namespace=namespace, **stolen) as other:
            assert await is_as_new(owner, other, "invalid")
        await send(hub, 2)
        await owner.wait("booking.created", count=2)  # nobody has disturbed it
        assert other.all("booking.created") == []
    async with owner.again() as back:
        assert back.said["recovered"]


@pytest.mark.parametrize("pid", ["x", "x" * 32, "", "ä" * 32, "x" * 100_00, 7, [], {"a": 1}, True])
async def test_what_is_no_pid_begins_anew(living: Start, pid: Any) -> None:
    hub = await living()
    async with Raw(hub, hub.token()) as before:
        pass
    async with before.again(pid=pid) as after:
        assert await is_as_new(before, after, "invalid")


@pytest.mark.parametrize("offset", [None, "", "x", "7", "zzz:1", "e:" + "9" * 300, 7, [], {"a": 1}])
async def test_what_is_no_offset_begins_anew(living: Start, offset: Any) -> None:
    hub = await living()
    async with Raw(hub, hub.token()) as before:
        pass
    async with before.again(offset=offset) as after:
        assert await is_as_new(before, after, "epoch" if offset == "zzz:1" else "invalid")
    async with before.again() as late:  # and the old pid is spent
        assert await is_as_new(before, late, "invalid")
        assert late.reply["pid"] != after.reply["pid"]


async def test_the_offset_of_another_tenant_begins_anew(living: Start) -> None:
    hub = await living()
    async with Raw(hub, hub.token(tenant="other")) as other, Raw(hub, hub.token()) as before:
        pass
    async with before.again(offset=other.offset) as after:
        assert await is_as_new(before, after, "epoch")


async def test_more_than_one_replay_may_hold_begins_anew(living: Start) -> None:
    hub = await living(replay_limit=1)
    async with Raw(hub, hub.token()) as before:
        pass
    await send(hub, 1)
    await send(hub, 2)
    async with before.again() as after:
        assert await is_as_new(before, after, "limit")
        assert after.numbers() == []
        await send(hub, 3)
        await after.wait("booking.created")
        assert after.numbers() == [3]
    async with after.again() as again:  # the new one is as good as any
        assert again.said["recovered"]
        assert again.reply == after.reply


async def test_a_cursor_of_its_own_is_used_when_the_pid_is_not_known(living: Start) -> None:
    hub = await living()
    async with Raw(hub, hub.token()) as before:
        pass
    await send(hub, 1)
    async with before.again(pid="x" * 32, cursor=before.offset) as after:
        await after.wait("booking.created")
        assert after.said["recovered"]
        assert after.reply["sid"] != before.reply["sid"]


async def test_without_redis_a_client_gets_no_pid_and_everything_else(living: Start, valkey_url: str) -> None:
    hub = await living(redis_url=None, broker_url=valkey_url)
    async with Raw(hub, hub.token()) as raw:
        await send(hub, 1)
        await raw.wait("booking.created")
        assert set(raw.reply) == {"sid"}


async def test_recovery_is_a_yes_or_a_no(living: Start) -> None:
    hub = await living()
    async with hub.http.ws_connect("/socket.io/?EIO=4&transport=websocket") as ws:
        await ws.send_str("40" + json.dumps({"token": hub.token(), "recovery": "yes"}))
        answers = [await ws.receive_str(timeout=5), await ws.receive_str(timeout=5)]
    assert answers[1].startswith("44")
    assert "auth.recovery" in answers[1]
