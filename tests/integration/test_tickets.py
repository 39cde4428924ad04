"""Tickets: each opens once, for a short time, and without Redis there are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from hub.cluster.tickets import Tickets
from hub.domain.errors import Unavailable
from tests.valkeys import Valkey


@pytest_asyncio.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def tickets(redis: Redis, prefix: str) -> Tickets:
    return Tickets(redis, prefix=prefix)


async def test_a_ticket_gives_its_content_once(tickets: Tickets) -> None:
    ticket = await tickets.issue(b'{"user":"7"}')
    assert await tickets.redeem(ticket) == b'{"user":"7"}'
    assert await tickets.redeem(ticket) is None


async def test_of_many_who_come_at_once_one_gets_in(tickets: Tickets) -> None:
    ticket = await tickets.issue(b"in")
    answers = await asyncio.gather(*[tickets.redeem(ticket) for _ in range(20)])
    assert (answers.count(b"in"), answers.count(None)) == (1, 19)


async def test_a_ticket_ends_by_itself(tickets: Tickets, redis: Redis, prefix: str) -> None:
    await tickets.issue(b"in")
    (key,) = await redis.keys(f"{prefix}:*")
    assert 28 < await redis.ttl(key) <= 30


async def test_redis_does_not_hold_the_ticket_itself(tickets: Tickets, redis: Redis, prefix: str) -> None:
    ticket = await tickets.issue(b"in")
    (key,) = await redis.keys(f"{prefix}:*")
    assert ticket.encode() not in key
    assert await tickets.redeem(key if isinstance(key, str) else key.decode()) is None


@pytest.mark.parametrize("ticket", ["", "x", "x" * 10_000, "ünïcode", "\ud800", "a\nb", "*"])
async def test_what_is_no_ticket_opens_nothing(tickets: Tickets, ticket: str) -> None:
    await tickets.issue(b"in")
    assert await tickets.redeem(ticket) is None


async def test_tickets_of_another_prefix_are_unknown(tickets: Tickets, redis: Redis) -> None:
    ticket = await tickets.issue(b"in")
    assert await Tickets(redis, prefix="other").redeem(ticket) is None


async def test_a_redis_that_decodes_gives_bytes_too(valkey_url: str, prefix: str) -> None:
    async with Redis.from_url(valkey_url, decode_responses=True) as client:
        tickets = Tickets(client, prefix=prefix)
        assert await tickets.redeem(await tickets.issue(b"in")) == b"in"


async def test_without_redis_there_are_no_tickets(prefix: str) -> None:
    tickets = Tickets(None, prefix=prefix)
    with pytest.raises(Unavailable, match="none is configured"):
        await tickets.issue(b"in")
    with pytest.raises(Unavailable, match="none is configured"):
        await tickets.redeem("x")


async def test_a_redis_that_is_gone_or_hangs_is_unavailable_and_recovers(valkey: Valkey, prefix: str) -> None:
    async with Redis.from_url(valkey.url, socket_timeout=None) as client:
        tickets = Tickets(client, prefix=prefix)
        ticket = await tickets.issue(b"in")
        valkey.pause()
        with pytest.raises(Unavailable) as hung:
            await tickets.issue(b"in")
        assert hung.value.retry_after == 1
        valkey.resume()
        assert await tickets.redeem(ticket) == b"in"
        valkey.kill()
        with pytest.raises(Unavailable):
            await tickets.redeem(ticket)
        valkey.start()
        assert await tickets.redeem(ticket) is None
        assert await tickets.redeem(await tickets.issue(b"again")) == b"again"
