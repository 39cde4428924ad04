"""The log refuses one and harms no other: one answer per key, poisoned items, a database that is away."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import replace

import pytest

from hub.domain.drafts import IdempotencyKey
from hub.domain.errors import (
    Draining,
    IdempotencyConflict,
    Refusal,
    StateConflict,
    StoreUnavailable,
    TenantUnknown,
    ValidationFailed,
)
from hub.domain.events import Cursor
from hub.store.events import Appended, EventLog
from hub.store.patience import GRACE
from tests.appends import a_delivery, an_append, an_event, offset, opened_log, places
from tests.databases import Postgres

TIMEOUT = 0.6
BOUND = TIMEOUT + GRACE + 5.0  # of a busy machine; who is not refused waits for ever


def key(name: str = "k", fingerprint: str = "f") -> IdempotencyKey:
    return IdempotencyKey(name, fingerprint)


# -- idempotency -------------------------------------------------------------------------------------


async def test_one_key_stores_once_and_answers_all_the_same(url: str) -> None:
    async with opened_log(url) as one, opened_log(url) as two:
        answers = await asyncio.gather(
            *((one, two)[number % 2].append(an_append(key=key())) for number in range(50))
        )
        assert len({answer.answer for answer in answers}) == 1
        assert [answer.replayed for answer in answers].count(False) == 1
        assert all((answer.event is None) == answer.replayed for answer in answers)
        assert len(await one.range("acme", 0, 100, limit=100)) == 1
        later = await one.append(an_append(key=key()))
        assert (later.replayed, later.answer) == (True, answers[0].answer)


async def test_a_key_with_another_body_is_refused(log: EventLog) -> None:
    await log.append(an_append(key=key("k", "one body")))
    with pytest.raises(IdempotencyConflict):
        await log.append(an_append(key=key("k", "another")))
    together = await log.append_many(
        [an_append(key=key("new", "one")), an_append(key=key("new", "two")), an_append(key=key("new", "one"))]
    )
    assert [type(found) for found in together] == [Appended, IdempotencyConflict, Appended]
    assert [found.replayed for found in together if isinstance(found, Appended)] == [False, True]
    assert offset(await log.append(an_append())) == 3


async def test_a_key_is_its_tenants_own(log: EventLog) -> None:
    for name in ("acme", "globex"):
        assert not (await log.append(an_append(an_event(tenant=name), key=key()))).replayed


async def test_a_refused_request_leaves_its_key_free(log: EventLog) -> None:
    taken = await log.append(an_append())
    with pytest.raises(StateConflict):
        await log.append(an_append(taken.event, key=key()))
    assert not (await log.append(an_append(key=key()))).replayed


# -- neighbours --------------------------------------------------------------------------------------


def unanswerable(_: Cursor) -> bytes:
    raise LookupError


@pytest.mark.parametrize("place", [0, 3, 9])
@pytest.mark.parametrize(
    ("poison", "refusal"),
    [
        ("twice", StateConflict),
        ("delivery twice", StateConflict),
        ("surrogate", ValidationFailed),
        ("unencodable", ValidationFailed),
        ("tenant unknown", TenantUnknown),
        ("answer", LookupError),
    ],
)
async def test_a_poisoned_item_harms_no_neighbour(
    log: EventLog, poison: str, refusal: type[Exception], place: int
) -> None:
    old_delivery = a_delivery()
    old = await log.append(an_append(deliveries=[old_delivery]))
    assert old.event is not None
    poisoned = {
        "twice": an_append(replace(old.event, title="again")),
        "delivery twice": an_append(deliveries=[old_delivery]),
        "surrogate": an_append(an_event(title="\ud800")),
        "unencodable": an_append(an_event(data={"when": object()})),
        "tenant unknown": an_append(an_event(tenant="nobody"), create_tenant=False),
        "answer": replace(an_append(), answer=unanswerable),
    }[poison]
    items = [an_append() for _ in range(9)]
    items.insert(place, poisoned)
    outcomes = await asyncio.gather(*(log.append(item) for item in items), return_exceptions=True)
    assert type(outcomes.pop(place)) is refusal
    good = [outcome for outcome in outcomes if isinstance(outcome, Appended)]
    assert [offset(outcome) for outcome in good] == list(range(2, 11))
    assert [event.offset for event in await log.range("acme", 1, 100, limit=100)] == list(range(2, 11))


@pytest.mark.postgres
async def test_what_only_postgres_cannot_hold_harms_no_neighbour(postgres_url: str) -> None:
    async with opened_log(postgres_url) as log:
        outcomes: list[Appended | Refusal] = await log.append_many(
            [
                an_append(),
                an_append(an_event(title="a\x00b")),
                an_append(an_event(type="x" * 161)),
                an_append(),
            ]
        )
        assert [type(outcome) for outcome in outcomes] == [
            Appended,
            ValidationFailed,
            ValidationFailed,
            Appended,
        ]
        assert [offset(outcome) for outcome in outcomes if isinstance(outcome, Appended)] == [1, 2]


async def test_many_poisoned_items_are_all_found(log: EventLog) -> None:
    old = await log.append(an_append())
    items = [an_append(old.event) if number % 3 == 0 else an_append() for number in range(40)]
    outcomes = await log.append_many(items)
    assert [isinstance(outcome, StateConflict) for outcome in outcomes] == [n % 3 == 0 for n in range(40)]
    assert [offset(found) for found in outcomes if isinstance(found, Appended)] == list(range(2, 28))


async def test_who_goes_away_before_its_turn_stores_nothing(log: EventLog) -> None:
    tasks = [asyncio.create_task(log.append(an_append())) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    stored = await asyncio.gather(*tasks[1::2])
    assert [offset(found) for found in stored] == list(range(1, 11))
    assert len(await log.range("acme", 0, 100, limit=100)) == 10


async def test_who_goes_away_while_it_is_stored_harms_nobody(log: EventLog) -> None:
    loop = asyncio.get_running_loop()

    def hang_up(_: Cursor) -> bytes:
        loop.call_soon_threadsafe(leaving.cancel)
        return b""

    leaving = asyncio.create_task(log.append(an_append()))
    staying = [asyncio.create_task(log.append(replace(an_append(), answer=hang_up))) for _ in range(3)]
    assert [offset(await task) for task in staying] == [2, 3, 4]
    assert leaving.cancelled()
    assert offset(await log.append(an_append())) == 5  # the writer is alive
    assert places(await log.range("acme", 0, 100, limit=100)) == [1, 2, 3, 4, 5]


async def test_closing_stores_what_waits_and_takes_nothing_new(log: EventLog) -> None:
    waiting = [asyncio.create_task(log.append(an_append())) for _ in range(5)]
    await asyncio.sleep(0)
    await log.close()
    assert [offset(await task) for task in waiting] == [1, 2, 3, 4, 5]
    with pytest.raises(Draining):
        await log.append(an_append())


# -- a database that is away -------------------------------------------------------------------------


async def test_a_locked_file_stores_nothing_and_is_well_again(sqlite_url: str) -> None:
    async with opened_log(sqlite_url, timeout=TIMEOUT) as log:
        await log.append(an_append())
        lock = sqlite3.connect(sqlite_url.partition("///")[2], isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        outcomes = await asyncio.gather(*(log.append(an_append()) for _ in range(20)), return_exceptions=True)
        assert time.monotonic() - began < BOUND
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 20
        lock.execute("ROLLBACK")
        lock.close()
        assert offset(await log.append(an_append())) == 2
        assert len(await log.range("acme", 0, 100, limit=100)) == 2


async def test_who_comes_while_the_file_is_locked_waits_no_longer_than_anyone(sqlite_url: str) -> None:
    async with opened_log(sqlite_url, timeout=TIMEOUT) as log:
        lock = sqlite3.connect(sqlite_url.partition("///")[2], isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        loop = asyncio.get_running_loop()

        async def append(delay: float) -> float:
            await asyncio.sleep(delay)
            began = loop.time()
            with pytest.raises(StoreUnavailable):
                await log.append(an_append())
            return loop.time() - began

        waits = await asyncio.gather(*(append(number * TIMEOUT / 5) for number in range(12)))
        assert max(waits) < BOUND
        lock.execute("ROLLBACK")
        lock.close()
        assert offset(await log.append(an_append())) == 1


@pytest.mark.postgres
async def test_a_frozen_postgres_stores_nothing_and_is_well_again(
    postgres: Postgres, postgres_url: str
) -> None:
    async with opened_log(postgres_url, timeout=TIMEOUT) as log:
        await log.append(an_append())
        postgres.freeze()
        try:
            began = time.monotonic()
            outcomes = await asyncio.gather(
                *(log.append(an_append()) for _ in range(20)), return_exceptions=True
            )
            assert time.monotonic() - began < BOUND
            assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 20
        finally:
            postgres.thaw()
        assert offset(await log.append(an_append())) == 2
        assert len(await log.range("acme", 0, 100, limit=100)) == 2
