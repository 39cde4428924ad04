"""Following one tenant: holes are read from SQL late, in pages, by one reader, and never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from hub.cluster.following import PAGE, Following, Repairs, Source
from hub.cluster.record import Record
from hub.domain.errors import Draining, StoreUnavailable
from hub.domain.events import Position
from tests.buses import PATIENT, TENANT, Log


class Told:
    """A `Following` of a `Log`, and what it dispatched."""

    def __init__(self, log: Log, *, hole_seconds: float = 0.0, patience: float = 3600.0) -> None:
        self.log = log
        self.offsets: list[int] = []
        self.repairs = Repairs()
        source = Source(log.fill, asyncio.Semaphore(1), hole_seconds, patience, self.repairs)
        self.following = Following(TENANT, source, self._dispatch)
        self._news = asyncio.Event()

    def _dispatch(self, records: Sequence[Record]) -> None:
        self.offsets += [record.offset for record in records]
        self._news.set()

    async def upto(self, offset: int) -> None:
        async with asyncio.timeout(PATIENT):
            while not self.offsets or self.offsets[-1] < offset:
                self._news.clear()
                await self._news.wait()

    def look(self) -> None:
        """What a poll does."""
        log = self.log
        self.following.note(Position(log.epoch, log.offset(), log.trimmed))


async def begin_reading(told: Told) -> asyncio.Task[Exception | None]:
    """A fill that has asked SQL and has no answer yet."""
    reading = asyncio.create_task(told.following.fill())
    while not told.log.fills:
        await asyncio.sleep(0)
    return reading


@pytest.fixture
def log() -> Log:
    return Log()


async def test_a_straggler_in_time_spares_sql(log: Log) -> None:
    told = Told(log, hole_seconds=3600)
    told.look()
    first, second = log.append_many(2)
    told.following.arrived(second)
    told.following.arrived(first)
    assert told.offsets == [1, 2]
    assert log.fills == []
    told.following.close()


async def test_every_hole_has_its_own_moment(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    due: list[Callable[[], None]] = []

    def call_later(delay: float, callback: Callable[..., None], *args: int) -> asyncio.TimerHandle:
        assert delay == 1.5
        due.append(lambda: callback(*args))
        return asyncio.TimerHandle(0, callback, args, asyncio.get_running_loop())

    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", call_later)
    told = Told(log, hole_seconds=1.5)
    told.look()
    records = log.append_many(6)
    told.following.arrived(records[1])
    told.following.arrived(records[0])
    told.following.arrived(records[3])
    assert len(due) == 1
    due.pop()()  # set for the first hole, finds the second
    assert log.fills == []
    told.following.arrived(records[5])
    assert len(due) == 1
    due.pop()()
    assert await told.following.fill() is None
    assert told.offsets == [1, 2, 3, 4, 5, 6]
    assert log.fills == [(TENANT, 2, 3), (TENANT, 4, 5)]


async def test_a_hole_that_stays_is_read_from_sql(log: Log) -> None:
    told = Told(log)
    told.look()
    records = log.append_many(5)
    told.following.arrived(records[0])
    told.following.arrived(records[4])
    await told.upto(5)
    assert told.offsets == [1, 2, 3, 4, 5]
    assert log.fills == [(TENANT, 1, 4)]
    assert told.repairs.filled == 4


async def test_a_large_hole_is_read_in_pages_and_others_have_their_turn(log: Log) -> None:
    told = Told(log)
    told.look()
    log.append_many(2 * PAGE + 1)
    turns: list[int] = []

    async def somebody_else() -> None:
        while not told.offsets or told.offsets[-1] < 2 * PAGE + 1:
            turns.append(len(told.offsets))
            await asyncio.sleep(0)

    told.look()
    await asyncio.gather(told.following.fill(), somebody_else())
    assert told.offsets == list(range(1, 2 * PAGE + 2))
    assert log.fills == [(TENANT, 0, PAGE), (TENANT, PAGE, 2 * PAGE), (TENANT, 2 * PAGE, 2 * PAGE + 1)]
    assert {0, PAGE, 2 * PAGE} <= set(turns)


async def test_there_is_one_reader_at_a_time(log: Log) -> None:
    told = Told(log)
    told.look()
    log.append_many(3)
    told.look()
    assert await asyncio.gather(*[told.following.fill() for _ in range(5)]) == [None] * 5
    assert log.fills == [(TENANT, 0, 3)]
    assert told.offsets == [1, 2, 3]


async def test_what_arrives_while_sql_is_read_is_told_once(log: Log) -> None:
    told = Told(log)
    told.look()
    records = log.append_many(4)
    told.look()
    reading = await begin_reading(told)
    for record in (records[1], records[0], records[3], records[1]):
        told.following.arrived(record)
    await reading
    assert told.offsets == [1, 2, 3, 4]


async def test_a_hole_that_opens_during_a_read_has_its_moment_first(log: Log) -> None:
    told = Told(log, hole_seconds=3600)
    told.look()
    log.append_many(2)
    told.look()
    reading = await begin_reading(told)
    third, fourth = log.append_many(2)
    told.following.arrived(fourth)
    await reading
    assert told.offsets == [1, 2]
    assert log.fills == [(TENANT, 0, 2)]
    told.following.arrived(third)
    assert told.offsets == [1, 2, 3, 4]
    told.following.close()


async def test_an_error_of_sql_is_returned_and_the_next_look_reads_again(log: Log) -> None:
    told = Told(log)
    told.look()
    log.append_many(2)
    log.broken = True
    told.look()
    assert isinstance(await told.following.fill(), StoreUnavailable)
    told.following.arrived(log.append())
    for _ in range(5):
        await asyncio.sleep(0)
    assert told.repairs.failures == len(log.fills) == 1
    log.broken = False
    told.look()
    await told.upto(3)
    assert told.offsets == [1, 2, 3]


async def test_sql_is_not_asked_again_before_the_next_look(log: Log) -> None:
    told = Told(log)
    told.look()
    records = log.append_many(3)
    log.hidden = {1}
    told.following.arrived(records[1])
    assert await told.following.fill() is None
    before = len(log.fills)
    told.following.arrived(records[2])
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(log.fills) == before
    log.hidden = set()
    told.look()
    await told.upto(3)
    assert told.offsets == [1, 2, 3]


async def test_a_hole_that_sql_does_not_know_is_given_up_in_the_end(log: Log) -> None:
    told = Told(log, patience=0)
    told.look()
    log.append_many(6)
    log.hidden = {2, 3}
    told.look()
    assert await told.following.fill() is None
    assert told.offsets == [1, 4, 5, 6]
    assert told.repairs.given_up == 2


async def test_patience_comes_before_giving_up(log: Log) -> None:
    told = Told(log, patience=3600)
    told.look()
    log.append_many(3)
    log.hidden = {2}
    for _ in range(3):
        told.look()
        assert await told.following.fill() is None
    assert told.offsets == [1]
    assert told.repairs.given_up == 0
    told.following.close()


async def test_a_record_ahead_of_sql_gives_up_nothing(log: Log) -> None:
    told = Told(log, patience=0)
    told.look()
    log.append_many(2)
    told.look()
    told.following.arrived(Record(TENANT, "event", 900, log.epoch))
    assert await told.following.fill() is None
    assert await told.following.fill() is None
    assert told.offsets == [1, 2]
    told.following.arrived(log.append())
    assert told.offsets == [1, 2, 3]
    told.following.close()


async def test_giving_up_does_not_believe_a_record_more_than_sql(log: Log) -> None:
    told = Told(log, patience=0)
    told.look()
    log.append_many(3)
    log.hidden = {3}
    told.look()
    told.following.arrived(Record(TENANT, "event", 900, log.epoch))
    await told.following.fill()
    assert told.offsets == [1, 2]
    assert told.following.position == Position("e1", 3)
    told.following.close()


async def test_what_retention_removed_is_not_waited_for(log: Log) -> None:
    told = Told(log)
    told.look()
    log.append_many(6)
    log.trimmed = 4
    told.look()
    await told.upto(6)
    assert told.offsets == [5, 6]
    assert told.repairs.given_up == 0
    assert told.following.position == Position("e1", 6, 4)


async def test_a_new_epoch_begins_where_sql_stands(log: Log) -> None:
    told = Told(log)
    told.look()
    told.following.arrived(log.append())
    log.restart("e2")
    first, second, third = log.append_many(3)
    assert not told.following.arrived(first)
    told.look()
    assert told.following.position == Position("e2", 3)
    assert told.following.arrived(second)
    assert told.offsets == [1]
    assert told.following.arrived(log.append())
    assert told.offsets == [1, 4]
    assert third.offset == 3


async def test_a_page_that_was_read_before_the_epoch_changed_is_not_told(log: Log) -> None:
    told = Told(log, hole_seconds=3600, patience=0)
    told.look()
    log.append_many(2)
    told.look()
    reading = await begin_reading(told)
    log.restart("e2")
    told.look()
    _, second = log.append_many(2)
    log.hidden = {1}
    told.look()
    told.following.arrived(second)
    assert await reading is None
    assert told.offsets == []
    assert told.following.position == Position("e2", 0)
    assert told.repairs.given_up == 0
    told.following.close()


async def test_after_close_nothing_is_told(log: Log) -> None:
    told = Told(log)
    told.look()
    records = log.append_many(3)
    told.look()
    told.following.arrived(records[2])
    reading = await begin_reading(told)
    told.following.close()
    assert isinstance(await reading, Draining)
    log.trimmed = 2
    told.look()
    assert isinstance(await told.following.fill(), Draining)
    assert told.offsets == []
