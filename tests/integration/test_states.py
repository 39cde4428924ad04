"""The state of a connection in Redis: given to its owner only, and written only by who has it now."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from hub.cluster.states import State, States
from tests.valkeys import Valkey


@pytest_asyncio.fixture
async def states(valkey_url: str, prefix: str) -> AsyncIterator[States]:
    async with Redis.from_url(valkey_url) as redis:
        yield States(redis, prefix=prefix, life=60)


async def test_a_state_is_given_to_its_owner_as_often_as_asked(states: States) -> None:
    secret = states.new_secret()
    assert await states.keep(State(secret, "ana", 1, b"one")) is True
    assert await states.claim(secret, "bob") is None
    assert await states.claim(secret, "ana") == (b"one", 2)
    assert await states.claim(secret, "ana") == (b"one", 3)
    assert await states.claim(states.new_secret(), "ana") is None


async def test_who_has_lost_it_can_neither_write_nor_end_it(states: States) -> None:
    secret = states.new_secret()
    mine = State(secret, "ana", 1, b"one")
    await states.keep(mine)
    await states.claim(secret, "ana")
    assert await states.keep(mine._replace(content=b"late")) is False
    await states.forget(mine)
    other = State(states.new_secret(), "ana", 1, b"")
    assert await states.keep_all([mine, other, mine._replace(turn=2, content=b"two")]) == [False, True, True]
    assert await states.claim(secret, "ana") == (b"two", 3)
    await states.forget(mine._replace(turn=3))
    assert await states.claim(secret, "ana") is None


@pytest.mark.parametrize("secret", ["", "x", "x" * 10_000, "ünïcode", "\ud800", "a\nb", "*"])
async def test_what_is_no_secret_opens_nothing(states: States, secret: str) -> None:
    await states.keep(State(states.new_secret(), "ana", 1, b""))
    assert await states.claim(secret, "ana") is None


async def test_without_an_answer_there_is_no_state_and_soon_nobody_waits(valkey: Valkey) -> None:
    async with Redis.from_url(valkey.url) as redis:
        states = States(redis, prefix="t", life=60)
        state = State(states.new_secret(), "ana", 1, b"")
        assert await states.keep(state) is True
        valkey.pause()
        try:
            assert await states.keep(state) is None
            assert await states.claim(state.secret, "ana") is None
            assert await states.keep_all([state] * 3) == [None] * 3
        finally:
            valkey.resume()
