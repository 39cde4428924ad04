"""Questions that go to the database together: everybody gets their own answer, and only their own fault."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from hub.domain.errors import StoreUnavailable
from hub.store.asking import Asking
from tests.buses import eventually


class Oracle:
    """Answers a word with its capitals. `asked` has every read; it knows no answer to what is `bad`."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.slow = asyncio.Event()
        self.slow.set()
        self.away = False

    async def read(self, questions: Sequence[str]) -> list[str]:
        self.asked.append(list(questions))
        if "slow" in questions:
            await self.slow.wait()
        if self.away:
            raise StoreUnavailable("gone")
        if "bad" in questions:
            raise ValueError("bad")
        return [question.upper() for question in questions]


async def test_what_is_asked_in_one_turn_is_one_read_and_everybody_gets_their_own() -> None:
    oracle = Oracle()
    asking = Asking(oracle.read)
    words = [f"word {n}" for n in range(40)]
    assert await asyncio.gather(*map(asking.ask, words)) == [word.upper() for word in words]
    assert oracle.asked == [words]
    assert await asking.ask("later") == "LATER"


async def test_no_read_is_larger_than_allowed() -> None:
    oracle = Oracle()
    asking = Asking(oracle.read, most=2)
    assert await asyncio.gather(*map(asking.ask, "abcde")) == list("ABCDE")
    assert oracle.asked == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_question_that_cannot_be_answered_harms_no_other() -> None:
    asking = Asking(Oracle().read)
    first, bad, last = await asyncio.gather(
        *map(asking.ask, ("first", "bad", "last")), return_exceptions=True
    )
    assert (first, last) == ("FIRST", "LAST")
    assert isinstance(bad, ValueError)


async def test_everybody_is_told_at_once_that_the_database_is_away() -> None:
    oracle = Oracle()
    oracle.away = True
    asking = Asking(oracle.read)
    answers = await asyncio.gather(*map(asking.ask, "abc"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 3
    assert oracle.asked == [["a", "b", "c"]]
    oracle.away = False
    assert await asking.ask("d") == "D"


async def test_a_slow_read_does_not_hold_up_who_comes_later() -> None:
    oracle = Oracle()
    oracle.slow.clear()
    asking = Asking(oracle.read)
    slow = asyncio.create_task(asking.ask("slow"))
    await eventually(lambda: bool(oracle.asked))
    async with asyncio.timeout(5):
        assert await asking.ask("quick") == "QUICK"
    assert not slow.done()
    oracle.slow.set()
    assert await slow == "SLOW"


async def test_who_asks_during_a_read_is_answered_from_what_was_stored_by_then() -> None:
    stored = {"a": 1}
    begun, end = asyncio.Event(), asyncio.Event()

    async def read(names: Sequence[str]) -> list[int]:
        found = [stored[name] for name in names]
        begun.set()
        await end.wait()
        return found

    asking = Asking(read)
    early = asyncio.create_task(asking.ask("a"))
    await begun.wait()
    stored["a"] = 2
    late = asyncio.create_task(asking.ask("a"))
    await asyncio.sleep(0)
    end.set()
    assert (await early, await late) == (1, 2)


async def test_who_goes_while_waiting_is_not_asked_for() -> None:
    oracle = Oracle()
    oracle.slow.clear()
    asking = Asking(oracle.read)
    slow = asyncio.create_task(asking.ask("slow"))
    await eventually(lambda: bool(oracle.asked))
    gone, stays = asyncio.create_task(asking.ask("gone")), asyncio.create_task(asking.ask("stays"))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    oracle.slow.set()
    assert (await slow, await stays) == ("SLOW", "STAYS")
    assert ["stays"] in oracle.asked
