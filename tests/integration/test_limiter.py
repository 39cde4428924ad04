"""Limits that all processes share, and that still hold when Redis does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from hub.cluster import limiter
from hub.cluster.limiter import SHARE, Limiter
from tests.valkeys import Valkey

HOUR = 3600.0


@pytest_asyncio.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def limits(redis: Redis, prefix: str) -> Limiter:
    return Limiter(redis, prefix=prefix)


async def allowed(limits: Limiter, times: int, *, most: int = 10, window: float = HOUR, cost: int = 1) -> int:
    """How many of so many attempts were allowed."""
    waits = [await limits.take("acme", most=most, window=window, cost=cost) for _ in range(times)]
    return waits.count(0.0)


async def test_so_many_are_allowed_and_then_no_more(limits: Limiter) -> None:
    assert await allowed(limits, 30) == 10
    wait = await limits.take("acme", most=10, window=HOUR)
    assert HOUR / 10 - 60 < wait <= HOUR / 10


async def test_processes_share_one_bucket(limits: Limiter, valkey_url: str, prefix: str) -> None:
    async with Redis.from_url(valkey_url) as client:
        other = Limiter(client, prefix=prefix)
        counts = await asyncio.gather(allowed(limits, 20), allowed(other, 20))
    assert sum(counts) == 10


@pytest.mark.parametrize("most", [SHARE - 1, SHARE, 5 * SHARE])
async def test_what_processes_take_ahead_is_never_more_than_there_is(
    limits: Limiter, valkey_url: str, prefix: str, most: int
) -> None:
    async with Redis.from_url(valkey_url) as client:
        other = Limiter(client, prefix=prefix)
        counts = await asyncio.gather(
            *(allowed(each, most // 4, most=most) for each in (limits, other) for _ in range(4))
        )
        total = sum(counts) + await allowed(limits, most, most=most) + await allowed(other, most, most=most)
    assert most - 2 * (most // SHARE) <= total <= most


async def test_a_large_bucket_is_seldom_asked(limits: Limiter, redis: Redis) -> None:
    async def calls() -> int:
        stats = await redis.info("commandstats")
        return int(stats["cmdstat_evalsha"]["calls"]) if "cmdstat_evalsha" in stats else 0

    before = await calls()
    assert await allowed(limits, 1000, most=100_000) == 1000
    assert await calls() - before <= 5
    before = await calls()
    waits = await asyncio.gather(*(limits.take("globex", most=100_000, window=HOUR) for _ in range(200)))
    assert waits == [0.0] * 200
    assert await calls() - before <= 2  # those who came together waited for one


async def test_many_who_ask_at_once_are_all_counted_by_redis(
    limits: Limiter, redis: Redis, prefix: str
) -> None:
    waits = await asyncio.gather(*(limits.take("acme", most=100, window=HOUR) for _ in range(300)))
    assert waits.count(0.0) == 100
    assert float(await redis.hget(f"{prefix}:bucket:acme", "left") or 0) < 1


async def test_the_last_half_is_asked_for_one_by_one(limits: Limiter, valkey_url: str, prefix: str) -> None:
    most = 2 * SHARE
    assert await limits.take("acme", most=most, window=HOUR, cost=SHARE) == 0.0
    async with Redis.from_url(valkey_url) as client:
        other = Limiter(client, prefix=prefix)
        counts = [await allowed(each, 1, most=most) for _ in range(most) for each in (limits, other)]
    assert sum(counts) == SHARE


async def test_what_was_not_used_in_time_is_not_used(
    limits: Limiter, redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "SHARE_SECONDS", 0.0)
    assert await allowed(limits, 10, most=100 * SHARE) == 10
    left = float(await redis.hget(f"{prefix}:bucket:acme", "left") or 0)
    assert 100 * SHARE - left >= 10 * 100  # each of them took a share of its own


async def test_names_do_not_share(limits: Limiter) -> None:
    assert await allowed(limits, 20) == 10
    assert await limits.take("globex", most=10, window=HOUR) == 0.0


async def test_one_who_waits_as_told_is_allowed(limits: Limiter) -> None:
    while not (wait := await limits.take("acme", most=2, window=0.1)):
        pass
    assert 0 < wait <= 0.05
    await asyncio.sleep(wait)
    assert await limits.take("acme", most=2, window=0.1) == 0.0


async def test_a_bucket_never_holds_more_than_most(limits: Limiter) -> None:
    await limits.take("acme", most=3, window=1.0)
    await asyncio.sleep(0.9)  # 2 are left, and 2.7 come back
    assert await limits.take("acme", most=3, window=1.0, cost=3) == 0.0
    assert await limits.take("acme", most=3, window=1.0, cost=3) > 0.6


@pytest.mark.parametrize("with_redis", [True, False])
async def test_a_cost_is_taken_whole_or_not_at_all(limits: Limiter, prefix: str, with_redis: bool) -> None:
    limits = limits if with_redis else Limiter(None, prefix=prefix)
    assert await limits.take("acme", most=10, window=HOUR, cost=8) == 0.0
    assert await limits.take("acme", most=10, window=HOUR, cost=3) > 0.0
    assert await limits.take("acme", most=10, window=HOUR, cost=2) == 0.0


@pytest.mark.parametrize("with_redis", [True, False])
async def test_a_cost_beyond_the_limit_needs_a_full_bucket(
    limits: Limiter, prefix: str, with_redis: bool
) -> None:
    limits = limits if with_redis else Limiter(None, prefix=prefix)
    assert await limits.take("acme", most=10, window=HOUR, cost=1000) == 0.0
    assert HOUR - 60 < await limits.take("acme", most=10, window=HOUR, cost=1000) <= HOUR


async def test_a_bucket_is_forgotten_when_it_must_be_full(limits: Limiter, redis: Redis, prefix: str) -> None:
    await limits.take("acme", most=10, window=HOUR)
    assert HOUR - 60 < await redis.ttl(f"{prefix}:bucket:acme") <= HOUR


async def test_without_redis_a_bucket_of_the_same_size_rules(prefix: str) -> None:
    assert await allowed(Limiter(None, prefix=prefix), 30) == 10


async def test_a_redis_that_hangs_is_waited_for_once_and_limits_hold(
    valkey: Valkey, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "REST", HOUR)
    async with Redis.from_url(valkey.url, socket_timeout=None) as client:
        limits = Limiter(client, prefix=prefix)
        assert await limits.take("globex", most=10, window=HOUR) == 0.0
        valkey.pause()
        # Each of them would wait for TIMEOUT if Redis were asked again.
        async with asyncio.timeout(100 * limiter.TIMEOUT):
            assert await allowed(limits, 500) == 10
        valkey.resume()


async def test_a_redis_that_lost_the_script_is_no_fault(limits: Limiter, redis: Redis) -> None:
    assert await allowed(limits, 4) == 4
    await redis.script_flush()
    assert await allowed(limits, 20) == 6


async def test_when_redis_is_back_it_counts_again(
    valkey: Valkey, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "REST", 0.0)
    async with Redis.from_url(valkey.url) as client:
        limits = Limiter(client, prefix=prefix)
        valkey.kill()
        assert await allowed(limits, 20) == 10
        valkey.start()
        assert await allowed(limits, 20) == 10
        assert await client.exists(f"{prefix}:bucket:acme") == 1


async def test_local_buckets_are_bounded_and_the_oldest_goes(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "LOCAL_BUCKETS", 2)
    limits = Limiter(None, prefix=prefix)
    for name in ("a", "b", "a", "c"):
        await limits.take(name, most=1, window=HOUR)
    assert await limits.take("a", most=1, window=HOUR) > 0.0
    assert await limits.take("b", most=1, window=HOUR) == 0.0
