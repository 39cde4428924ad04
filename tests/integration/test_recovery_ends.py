"""Connection state recovery: who gives way to whom, what ends for good, and how long a state lives."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from tests.living import Start
from tests.recovering import Raw, first_of, is_as_new, send


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
