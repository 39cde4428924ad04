"""Connection state recovery, packet by packet: who gets what back, who gets nothing, and who is ended.

`Raw` speaks just enough Socket.IO to say what a client of good or bad will would say; stock clients are in
test_recovery_clients.py.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Self

import pytest
from redis.asyncio import Redis

from hub.web.background import end
from tests.living import Listener, Living, Start


class Raw(Listener):
    """One WebSocket. `auth` is sent as it is; `reply` is what CONNECT was answered with."""

    def __init__(self, hub: Living, token: str, *, namespace: str = "/", **auth: Any) -> None:
        super().__init__()
        self.hub = hub
        self.token = token
        self.space = "" if namespace == "/" else f"{namespace},"
        self.namespace = namespace
        self.auth = {"token": token, "recovery": True, **auth}
        self.reply: dict[str, Any] = {}
        self.offset: str | None = None  # as the stock client keeps it
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.knock()
        await self.wait("CONNECT")
        await self.wait("connected")
        return self

    async def knock(self) -> None:
        self.ws = await self.hub.http.ws_connect("/socket.io/?EIO=4&transport=websocket")
        await self.ws.send_str(f"40{self.space}{json.dumps(self.auth)}")
        self._reading = asyncio.create_task(self._read())

    async def __aexit__(self, *_: object) -> None:
        await self.drop()

    async def drop(self) -> None:
        """The transport is gone; the hub hears of it by its end."""
        with suppress(ConnectionError):
            await self.ws.close()
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def _read(self) -> None:
        async for message in self.ws:
            if not isinstance(text := message.data, str):
                continue  # an attachment
            kind, rest = text[:2], text[2:].removeprefix(self.space)
            if text == "2":
                await self.ws.send_str("3")
            elif kind == "40":
                self.reply = json.loads(rest)
                self.hear("CONNECT", self.reply)
            elif kind in ("42", "45"):
                name, *args = json.loads(rest if kind == "42" else rest.partition("-")[2])
                last = [name, *args][-1]
                if "pid" in self.reply and isinstance(last, str):
                    self.offset = last
                self.hear(name, *args)
            elif kind in ("41", "44"):
                self.hear({"41": "DISCONNECT", "44": "CONNECT_ERROR"}[kind], rest)
        self.hear("end")

    async def say(self, event: str, data: Any) -> None:
        await self.ws.send_str(f"42{self.space}{json.dumps([event, data])}")

    def again(self, hub: Living | None = None, **auth: Any) -> Raw:
        """What the stock client does after a drop."""
        more = {"pid": self.reply["pid"], "offset": self.offset} | auth
        return Raw(hub or self.hub, more.pop("token", self.token), namespace=self.namespace, **more)

    @property
    def said(self) -> dict[str, Any]:
        return dict(self.all("connected")[-1])

    def numbers(self, event: str = "booking.created") -> list[int]:
        return [envelope["data"]["n"] for envelope in self.all(event)]


async def send(hub: Living, n: int, to: str = "user:42", **more: Any) -> None:
    await hub.notify("booking.created", to, data={"n": n}, **more)


async def first_of(raw: Raw, *events: str) -> None:
    """Wait for one of them."""
    ways = [asyncio.create_task(raw.wait(event)) for event in events]
    _, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    await end(others)


async def is_as_new(before: Raw, after: Raw, reason: str) -> bool:
    """It got nothing of what `before` had, and was told why."""
    assert (after.said["recovered"], after.said["recoveryReason"]) == (False, reason)
    assert (await after.wait("sync:reset"))["reason"] == reason
    assert isinstance(after.reply["pid"], str)
    return after.reply["pid"] != before.reply["pid"] and after.reply["sid"] != before.reply["sid"]


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


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
async def test_a_connection_that_is_still_open_gives_way(living: Start, elsewhere: bool) -> None:
    hub = await living(connections_per_user=1)
    there = await living(connections_per_user=1) if elsewhere else hub
    async with Raw(hub, hub.token()) as old:
        await send(hub, 1)
        await old.wait("booking.created")
        async with old.again(there) as new:
            assert new.said["recovered"]
            assert new.reply == old.reply
            await old.wait("DISCONNECT")  # for good: or the two would take it from each other for ever
            assert [said["code"] for said in old.all("session:closed")] == ["taken_over"]
            await old.wait("end")
            await send(hub, 2)
            await new.wait("booking.created")
        assert (old.numbers(), new.numbers()) == ([1], [2])
        async with new.again(hub) as third:  # the end of the old one has spoiled nothing
            assert third.said["recovered"]
            assert third.reply == old.reply


async def test_a_connection_that_was_not_told_gives_way_all_the_same(
    living: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = await living(), await living()
    monkeypatch.setattr(there.hub.publish, "order", lambda *_: None)  # as if Redis had lost it
    token = here.token(topics=["*"])
    async with Raw(here, token) as one, one.again(there) as first:
        assert first.said["recovered"]
        await here.hub.recovery.renew()  # when it is its turn anyway
        await one.wait("DISCONNECT")
    async with Raw(here, token) as two, two.again(there) as second:
        assert second.said["recovered"]
        await two.say("joinRoom", {"room": "topic:a"})  # or when it has something to keep
        await two.wait("DISCONNECT")


async def test_a_transport_that_is_closed_in_order_is_a_drop(living: Start) -> None:
    hub = await living()
    async with Raw(hub, hub.token()) as before:
        await before.ws.send_str("1")
        await before.wait("end")
    await hub.hub.recovery.close()
    async with before.again() as after:
        assert after.said["recovered"]


async def test_of_many_that_come_with_one_pid_one_has_it(living: Start) -> None:
    hubs = [await living(), await living()]
    async with Raw(hubs[0], hubs[0].token()) as before:
        pass
    crowd = [before.again(hubs[n % 2]) for n in range(6)]
    try:
        await asyncio.gather(*(raw.knock() for raw in crowd))
        for raw in crowd:
            await first_of(raw, "connected", "end")
        for hub in hubs:
            await hub.hub.recovery.renew()  # whatever the order in which they heard of each other
        await send(hubs[0], 1)
        for raw in crowd:
            await first_of(raw, "booking.created", "end")
        there = [raw for raw in crowd if raw.numbers()]
        same = [raw for raw in there if raw.reply["pid"] == before.reply["pid"]]
        assert [raw.said["recovered"] for raw in same] == [True]
        assert not any(raw.said["recovered"] for raw in there if raw not in same)
    finally:
        await asyncio.gather(*(raw.drop() for raw in crowd))


@pytest.mark.parametrize("how", ["left", "kicked", "revoked"])
async def test_an_end_that_is_no_drop_is_final(living: Start, how: str) -> None:
    hub = await living()
    async with Raw(hub, hub.token()) as before:
        if how == "left":
            await before.ws.send_str("41")
            await before.say("ping", {})
        elif how == "kicked":
            await hub.post(f"/admin/connections/{before.reply['sid']}/disconnect", {})
            await before.wait("end")
        else:
            await hub.post("/admin/revoke", {"sessionId": before.said["sessionId"]})
            await before.wait("end")
    await hub.hub.recovery.close()
    async with before.again() as after:
        assert await is_as_new(before, after, "invalid")
        assert after.said["sessionId"] != before.said["sessionId"]


async def test_a_session_that_was_revoked_meanwhile_does_not_come_back(living: Start) -> None:
    hub = await living()
    async with Raw(hub, hub.token()) as before:
        pass
    await hub.post("/admin/revoke", {"sessionId": before.said["sessionId"]})
    async with before.again() as after:
        assert await is_as_new(before, after, "invalid")
        assert after.said["sessionId"] != before.said["sessionId"]


async def test_a_state_lives_as_long_as_is_promised_and_redis_does_not_hold_the_pid(
    living: Start, valkey_url: str, prefix: str
) -> None:
    hub = await living(recovery_seconds=40)
    async with Redis.from_url(valkey_url) as redis, Raw(hub, hub.token()) as raw:
        [key] = [key async for key in redis.scan_iter(f"{prefix}:state:*")]
        assert raw.reply["pid"].encode() not in key + b"".join((await redis.hgetall(key)).values())
        assert 40_000 < await redis.pttl(key) <= 50_000
        await redis.pexpire(key, 10_000)
        await hub.hub.recovery.renew()
        assert await redis.pttl(key) > 40_000
        await redis.delete(key)  # as a Redis that came back empty
        await hub.hub.recovery.renew()
        await raw.drop()
        async with raw.again() as after:
            assert after.said["recovered"]
        await redis.delete(key)
        async with after.again() as late:
            assert await is_as_new(raw, late, "invalid")


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
