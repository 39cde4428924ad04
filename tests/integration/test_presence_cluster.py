"""What processes know of each other's connections, over a real Valkey: soon, and right within a lease."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from hub.cluster import presence
from tests.buses import PATIENT, QUICK, TENANT, Log, Party, eventually
from tests.presences import LEASE, Crowd, Process
from tests.valkeys import Proxy, Valkey

LONG = 60.0  # a lease that does not matter


@pytest_asyncio.fixture
async def party(prefix: str) -> AsyncIterator[Party]:
    log = Log()
    log.append("other")
    party = Party(log, prefix)
    yield party
    await party.close()


@pytest_asyncio.fixture
async def crowd(party: Party, valkey_url: str, prefix: str) -> AsyncIterator[Crowd]:
    crowd = Crowd(party, valkey_url, prefix)
    yield crowd
    await crowd.close()


@pytest_asyncio.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey_url, decode_responses=True) as client:
        yield client


async def keys(redis: Redis, prefix: str) -> set[str]:
    return {key async for key in redis.scan_iter(f"{prefix}:presence:*", count=1000)}


async def test_who_comes_and_goes_is_seen_elsewhere_without_waiting_for_a_look(crowd: Crowd) -> None:
    one, other = await crowd.process(lease=LONG), await crowd.process(lease=LONG)
    one.put("c1", "1")
    await eventually(lambda: one.here._held[TENANT].version)
    assert await other.sees() == ["1"], "the first question reads what is there"
    one.put("c2", "1", roles=("ADMIN",))
    one.put("c3", "3")
    await other.comes_to_see("1", "1", "3")
    one.remove("c2")
    await other.comes_to_see("1", "3")
    one.remove("c1")
    one.remove("c3")
    await other.comes_to_see()
    one.put("c4", "4")
    await other.comes_to_see("4")
    assert await one.sees() == []


async def test_who_comes_on_a_new_process_is_news_elsewhere(crowd: Crowd) -> None:
    asking = await crowd.process(lease=LONG)
    assert await asking.sees() == []
    for name in ("ana", "ben"):
        (await crowd.process(lease=LONG)).put(f"conn-{name}", name)
    await asking.comes_to_see("ana", "ben")
    assert sorted(asking.news) == [(TENANT, "ana", True), (TENANT, "ben", True)]


async def test_a_connection_can_be_described_anew(crowd: Crowd) -> None:
    one, other = await crowd.process(lease=LONG), await crowd.process(lease=LONG)
    one.put("c1", "1", roles=("GUEST",))
    await other.comes_to_see("1")
    one.put("c1", "1", roles=("ADMIN",), rooms=("topic:a",))

    async def described() -> tuple[tuple[str, ...], tuple[str, ...], str]:
        roster = await other.elsewhere.roster(TENANT)
        assert roster is not None
        [entry] = roster.of("1")
        return entry.roles, entry.rooms, entry.traits.transport

    async with asyncio.timeout(PATIENT):
        while await described() != (("ADMIN",), ("topic:a",), "socketio"):
            await asyncio.sleep(0.01)


async def test_tenants_do_not_see_each_other(crowd: Crowd) -> None:
    one, other = await crowd.process(lease=LONG), await crowd.process(lease=LONG)
    one.put("c1", "1")
    one.put("c2", "2", tenant="other")
    await other.comes_to_see("1")
    await other.comes_to_see("2", tenant="other")
    one.remove("c1")
    await other.comes_to_see()
    assert await other.sees("other") == ["2"]


async def test_any_coming_and_going_ends_in_the_same_picture_everywhere(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "SLICE", 3)
    monkeypatch.setattr(presence, "INTERVAL", 0.003)
    crew = [await crowd.process(lease=LONG) for _ in range(3)]
    chance = random.Random(7)
    for _ in range(600):
        process = chance.choice(crew)
        if process.holds and chance.random() < 0.5:
            process.remove(chance.choice(sorted(process.holds)))
        else:
            process.put(f"c{chance.randrange(12)}", str(chance.randrange(9)))
        if chance.random() < 0.1:
            await chance.choice(crew).sees()
        await asyncio.sleep(chance.choice((0, 0, 0.001)))
    for process in crew:
        await process.comes_to_see(
            *(user for other in crew if other is not process for user in other.holds.values())
        )


async def test_who_comes_while_all_others_go_is_not_forgotten(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "SLICE", 3)
    one, other = await crowd.process(lease=LONG), await crowd.process(lease=LONG)
    for conn in ("c1", "c2", "c3"):
        one.put(conn, "1")
    await other.comes_to_see("1", "1", "1")
    for conn in ("c1", "c2", "c3"):
        one.remove(conn)
    one.put("c4", "4")  # in the same pipeline, after a slice that leaves nothing
    await other.comes_to_see("4")
    one.put("c5", "5")
    await other.comes_to_see("4", "5", within=LONG / 6)


async def test_a_process_that_dies_is_missed_when_its_lease_ends(
    crowd: Crowd, redis: Redis, prefix: str
) -> None:
    one, other = await crowd.process(), await crowd.process()
    one.put("c1", "1")
    other.put("c2", "2")
    await other.comes_to_see("1")
    await one.die()
    assert await other.sees() == ["1"]
    assert await other.comes_to_see() < LEASE + 1
    async with asyncio.timeout(PATIENT):
        while any(one.here.node in key for key in await keys(redis, prefix)):
            await asyncio.sleep(0.02)
    assert await redis.zrange(f"{prefix}:presence:nodes", 0, -1) == [other.here.node]
    assert await redis.hkeys(f"{prefix}:presence:versions:{TENANT}") == [other.here.node]


async def test_what_is_left_behind_is_removed_in_slices(
    crowd: Crowd, redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await crowd.process()
    for number in range(2000):
        one.put(f"c{number}", f"u{number}", tenant=("acme", "other")[number % 2])
    await eventually(lambda: not one.here._dirty)
    await one.die()
    rows: Any = await redis.zrange(f"{prefix}:presence:nodes", 0, -1, withscores=True)
    [ended] = dict(rows).values()
    await asyncio.sleep(LEASE)
    reap = redis.register_script(presence.script("reap"))
    args: list[str | int] = [f"{prefix}:presence", 200, 5000, 1000_000]
    rounds = 0
    while await reap(keys=[f"{prefix}:presence:nodes"], args=args):
        rounds += 1
    assert 10 <= rounds <= 40
    assert await keys(redis, prefix) == {f"{prefix}:presence:seen:{tenant}" for tenant in ("acme", "other")}
    rows = await redis.zrange(f"{prefix}:presence:seen:acme", 0, -1, withscores=True)
    seen = dict(rows)
    assert len(seen) == 1000
    assert set(seen.values()) == {ended}, "they were last seen when the lease ended"


async def test_a_graceful_end_is_seen_at_once_and_leaves_nothing(
    crowd: Crowd, redis: Redis, prefix: str
) -> None:
    one, other = await crowd.process(lease=LONG), await crowd.process(lease=LONG)
    for number in range(1200):
        one.put(f"c{number}", f"u{number}")
    await other.comes_to_see(*one.holds.values())
    await one.here.leave()
    await other.comes_to_see(within=LONG / 6)
    assert not any(one.here.node in key for key in await keys(redis, prefix))


async def test_a_process_that_lost_its_lease_goes_on_as_another_node(
    crowd: Crowd, redis: Redis, prefix: str
) -> None:
    one, other = await crowd.process(), await crowd.process()
    one.put("c1", "1")
    await other.comes_to_see("1")
    before = one.here.node
    await redis.zrem(f"{prefix}:presence:nodes", before)
    await eventually(lambda: one.here.node != before)
    await other.comes_to_see("1")
    one.put("c2", "2")
    await other.comes_to_see("1", "2")


async def test_without_a_lease_nothing_is_written(redis: Redis, prefix: str) -> None:
    write = redis.register_script(presence.script("write"))
    names = [
        f"{prefix}:presence:{name}" for name in ("nodes", "held:n", "versions:t", "entries:t:n", "seen:t")
    ]
    args: list[str | int] = ["n", "t", 1, 1, 0, 0, 10, 1000, "c1", "[]"]
    assert await write(keys=names, args=args) == -1
    await redis.zadd(names[0], {"n": time.time() * 1000 - 1})
    assert await write(keys=names, args=args) == -1
    assert await keys(redis, prefix) == {names[0]}
    await redis.zadd(names[0], {"n": time.time() * 1000 + 60_000})
    assert await write(keys=names, args=args) == 1


async def test_records_that_never_arrive_are_found_by_the_next_look(crowd: Crowd) -> None:
    one, other = await crowd.process(), await crowd.process()
    one.put("c1", "1")
    await other.comes_to_see("1")
    other.deaf = True
    one.put("c2", "2")
    assert await other.comes_to_see("1", "2") < LEASE
    one.remove("c1")
    one.remove("c2")
    assert await other.comes_to_see() < LEASE


async def test_a_record_that_does_not_continue_makes_its_node_be_read_again(crowd: Crowd) -> None:
    one, other = await crowd.process(lease=LONG), await crowd.process(lease=LONG)
    one.put("c1", "1")
    await other.comes_to_see("1")
    other.deaf = True
    version = one.here._held[TENANT].version
    one.put("c2", "2")
    one.remove("c1")
    await eventually(lambda: one.here._held[TENANT].version > version)
    await asyncio.sleep(0.1)
    other.deaf = False
    one.put("c3", "3")
    await other.comes_to_see("2", "3", within=LONG / 6)


async def test_wall_clocks_do_not_matter(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = await crowd.process(), await crowd.process()
    one.put("c1", "1")
    await other.comes_to_see("1")
    true = time.time
    for step in (3600.0, -86400.0, 0.0):
        monkeypatch.setattr(time, "time", lambda step=step: true() + step)
        ends = asyncio.get_running_loop().time() + LEASE * 1.2
        while asyncio.get_running_loop().time() < ends:
            assert await other.sees() == ["1"]
            await asyncio.sleep(0.05)
    assert one.here.node.endswith(".0"), "the lease was never lost"


async def test_who_went_is_remembered(crowd: Crowd) -> None:
    one, other = await crowd.process(lease=LONG), await crowd.process(lease=LONG)
    one.put("c1", "1")
    one.put("c2", "2")
    await other.comes_to_see("1", "2")
    went = time.time()
    one.remove("c1")
    await other.comes_to_see("2")
    seen = await other.elsewhere.last_seen(TENANT, ["1", "2", "3"])
    assert seen["2"] is seen["3"] is None
    assert went - 1 < (seen["1"] or 0) < time.time() + 1


async def test_without_redis_a_process_knows_that_it_is_alone(party: Party, prefix: str) -> None:
    crowd = Crowd(party, None, prefix)
    alone = await crowd.process()
    alone.put("c1", "1")
    assert await alone.sees() == []
    alone.remove("c1")
    assert alone.here.roster(TENANT) is None
    assert await alone.elsewhere.last_seen(TENANT, ["1"]) == {"1": None}
    await crowd.close()


# -- Redis is ill ------------------------------------------------------------------------------------------
async def pair(party: Party, url: str, prefix: str) -> tuple[Crowd, Process, Process]:
    crowd = Crowd(party, url, prefix)
    return crowd, await crowd.process(pace=QUICK), await crowd.process(pace=QUICK)


async def test_after_redis_came_back_empty_everybody_is_written_again(
    party: Party, valkey: Valkey, prefix: str
) -> None:
    crowd, one, other = await pair(party, valkey.url, prefix)
    one.put("c1", "1")
    other.put("c2", "2")
    await other.comes_to_see("1")
    await one.comes_to_see("2")
    valkey.kill()
    one.put("c3", "3")
    valkey.start()
    assert await other.comes_to_see("1", "3") < LEASE + 1
    assert await one.comes_to_see("2") < LEASE + 1
    await crowd.close()


async def test_while_redis_hangs_nobody_waits_and_nobody_has_left(
    party: Party, valkey: Valkey, proxy: Proxy, prefix: str
) -> None:
    crowd, one, other = await pair(party, proxy.url, prefix)
    one.put("c1", "1")
    await other.comes_to_see("1")
    other.news.clear()
    proxy.freeze()
    for number in range(100):
        one.put(f"d{number}", "2")
        one.remove(f"d{number}")
    one.put("c4", "4")
    async with asyncio.timeout(PATIENT):
        while await other.sees() is not None:
            await asyncio.sleep(0.05)
    assert other.news == []
    assert other.elsewhere.known(TENANT) is not None
    proxy.thaw()
    await other.comes_to_see("1", "4")
    await crowd.close()


@pytest.mark.parametrize(
    "rubbish", ["rubbish", '["1","s1","sse","","","cx"]', "1\ns1\nsse\ncx", "1\ns1\nsse\t\t\ncx\nmore"]
)
async def test_entries_that_nobody_here_wrote_are_not_believed(
    crowd: Crowd, redis: Redis, prefix: str, rubbish: str
) -> None:
    one, other = await crowd.process(), await crowd.process()
    one.put("c1", "1")
    await eventually(lambda: one.here._held[TENANT].version)
    key = f"{prefix}:presence:entries:{TENANT}:{one.here.node}"
    await redis.hset(key, "cx", rubbish)
    assert await other.sees() is None
    await redis.hdel(key, "cx")
    await other.comes_to_see("1")
