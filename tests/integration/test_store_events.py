"""The log: contiguous offsets whoever writes, one answer per key, and nobody harmed by a neighbour."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Table, func, select, update
from sqlalchemy import event as listening

from hub.domain.delivery import Status
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
from hub.domain.events import Cursor, Event
from hub.store.engine import Database
from hub.store.events import Append, Appended, EventLog
from hub.store.patience import GRACE
from hub.store.tables import deliveries, event_rooms, events, expansions, idempotency_keys, tenants
from tests.appends import NOW, a_delivery, an_append, an_event, new_id
from tests.databases import Postgres

TIMEOUT = 0.6
BOUND = TIMEOUT + GRACE + 1.0


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[EventLog]:
    """A log on a `Database` of its own, as another process would have it."""
    db = await Database.open(url, timeout=options.pop("timeout", 5.0))
    log = EventLog(db, **options)
    await log.open()
    try:
        yield log
    finally:
        await log.close()
        await db.close()


@pytest_asyncio.fixture
async def log(database: Database) -> AsyncIterator[EventLog]:
    log = EventLog(database, clock=lambda: NOW)
    await log.open()
    yield log
    await log.close()


def key(name: str = "k", fingerprint: str = "f") -> IdempotencyKey:
    return IdempotencyKey(name, fingerprint)


def offset(stored: Appended) -> int:
    assert stored.event is not None
    return stored.event.offset


async def rows(db: Database, table: Table) -> Sequence[dict[str, Any]]:
    async with db.read() as conn:
        return [dict(row) for row in (await conn.execute(select(table))).mappings()]


async def count(db: Database, table: Table) -> int:
    async with db.read() as conn:
        return (await conn.execute(select(func.count()).select_from(table))).scalar_one()


# -- what is stored ----------------------------------------------------------------------------------


async def test_an_event_comes_back_as_it_was_stored(log: EventLog) -> None:
    event = an_event(
        "user:7",
        "role:ADMIN",
        "user:7",
        message="Ana booked Room 4 \N{BELL}",
        link="/b/17",
        data={"price": 12.5, "nested": {"list": [1, None, True, "ü"]}},
        severity="warning",
        inbox=False,
        exclude=("user:9",),
        actor="user:9",
        expires_at=NOW + timedelta(days=1, microseconds=7),
    )
    stored = await log.append(an_append(event))
    position = await log.tenant("acme", create=False)
    assert stored.event == replace(event, epoch=position.epoch, offset=1)
    assert stored.answer == f"{event.id} at {position.epoch}:1".encode()
    assert await log.get("acme", event.id) == stored.event
    assert await log.range("acme", 0, 10, limit=10) == [stored.event]
    assert await log.get("other", event.id) is None


async def test_an_append_stores_everything_that_belongs_to_it(log: EventLog, database: Database) -> None:
    due = NOW + timedelta(hours=1)
    planned = a_delivery(user="7", due_at=due)
    skipped = a_delivery(user="8", address=None, status=Status.SKIPPED, reason="no address")
    event = an_event("user:7", "role:ADMIN", exclude=("user:9",))
    await log.append(
        an_append(
            event,
            deliveries=[planned, skipped],
            expand=[("role:ADMIN", ("email", "sms"))],
            key=key("once", "print"),
        )
    )
    found = {row["id"]: row for row in await rows(database, deliveries)}
    assert found[planned.id] == {
        "id": planned.id,
        "tenant": "acme",
        "offset": 1,
        "event_id": event.id,
        "user": "7",
        "channel": "email",
        "address": "ana@example.com",
        "status": "planned",
        "attempts": 0,
        "due_at": due,
        "lease_until": None,
        "fence": 0,
        "call_started": None,
        "maybe_duplicate": False,
        "provider": None,
        "provider_id": None,
        "reason": None,
        "error": None,
        "created_at": NOW,
        "updated_at": NOW,
        "past_attempts": 0,
        "past_fence": 0,
    }
    assert found[skipped.id]["status"] == "skipped"
    assert found[skipped.id]["reason"] == "no address"
    assert found[skipped.id]["due_at"] is None  # it is over
    rooms = {
        row["room"]: (row["offset"], row["inbox"], row["shared"]) for row in await rows(database, event_rooms)
    }
    assert rooms == dict.fromkeys(("user:7", "role:ADMIN", "-user:9"), (1, True, True))
    [expansion] = await rows(database, expansions)
    assert (expansion["room"], expansion["channels"]) == ("role:ADMIN", "email sms")
    assert (expansion["event_id"], expansion["offset"]) == (event.id, 1)
    assert (expansion["after"], expansion["done"]) == ("", False)
    [kept] = await rows(database, idempotency_keys)
    assert (kept["key"], kept["fingerprint"]) == ("once", "print")


async def test_a_tenant_is_created_only_where_it_may_be(log: EventLog, database: Database) -> None:
    with pytest.raises(TenantUnknown):
        await log.append(an_append(create_tenant=False))
    with pytest.raises(TenantUnknown):
        await log.tenant("acme", create=False)
    assert await count(database, tenants) == 0
    await log.append(an_append(create_tenant=True))
    await log.append(an_append(create_tenant=False))
    position = await log.tenant("acme", create=True)
    assert (position.offset, position.trimmed) == (2, 0)
    assert Cursor.parse(str(position.cursor)) == position.cursor  # the epoch can stand in a cursor


async def test_a_tenant_is_created_by_its_first_event_alone(log: EventLog, database: Database) -> None:
    statements: list[str] = []
    listening.listen(
        database._writer.sync_engine, "before_cursor_execute", lambda *told: statements.append(told[2])
    )
    for created in (True, False):
        statements.clear()
        await log.append(an_append())
        assert any("INTO tenants" in statement for statement in statements) == created


async def test_every_tenant_has_its_own_log_and_epoch(log: EventLog) -> None:
    for name in ("acme", "globex", "acme"):
        await log.append(an_append(an_event(tenant=name)))
    await log.tenant("initech", create=True)
    found = await log.positions(["acme", "globex", "initech", "nobody"])
    assert {name: position.offset for name, position in found.items()} == {
        "acme": 2,
        "globex": 1,
        "initech": 0,
    }
    assert len({position.epoch for position in found.values()}) == 3
    assert await log.positions([]) == {}


async def test_listeners_hear_of_commits_in_the_order_of_offsets(database: Database) -> None:
    heard: list[tuple[int, str]] = []
    returned: list[int] = []

    def listen(stored: Sequence[tuple[Event, Append]]) -> None:
        assert returned == [place for place, _ in heard]  # nobody was answered before the listener knew
        heard.extend((event.offset, item.event.id) for event, item in stored)

    log = EventLog(database, on_commit=listen, max_group=4)
    await log.open()
    items = [an_append() for _ in range(20)]

    async def append(item: Append) -> None:
        returned.append(offset(await log.append(item)))

    await asyncio.gather(*(append(item) for item in items))
    assert heard == [(number + 1, item.event.id) for number, item in enumerate(items)]
    assert returned == list(range(1, 21))
    await log.close()


async def test_a_listener_that_fails_fails_nobody_else(database: Database) -> None:
    def listen(_: object) -> None:
        raise RuntimeError

    log = EventLog(database, on_commit=listen)
    await log.open()
    assert offset(await log.append(an_append())) == 1
    assert offset(await log.append(an_append())) == 2
    await log.close()


# -- offsets -----------------------------------------------------------------------------------------


async def test_many_writers_get_contiguous_offsets(url: str) -> None:
    async with opened(url) as one, opened(url, max_group=7) as two:
        stored = await asyncio.gather(*((one, two)[number % 2].append(an_append()) for number in range(300)))
        assert sorted(map(offset, stored)) == list(range(1, 301))
        assert [event.offset for event in await one.range("acme", 0, 300, limit=1000)] == list(range(1, 301))
        assert (await two.positions(["acme"]))["acme"].offset == 300


async def test_writers_that_share_many_tenants_do_not_block_each_other(url: str) -> None:
    names = [f"tenant{number}" for number in range(20)]
    async with opened(url) as one, opened(url) as two:
        for _ in range(5):
            stored = await asyncio.gather(
                *(one.append(an_append(an_event(tenant=name))) for name in names),
                *(two.append(an_append(an_event(tenant=name))) for name in reversed(names)),
            )
            assert len(stored) == 40
        assert {position.offset for position in (await one.positions(names)).values()} == {10}


async def test_what_waits_together_is_stored_in_the_order_it_came(log: EventLog) -> None:
    items = [an_append() for _ in range(50)]
    many = asyncio.create_task(log.append_many(items[:30]))
    await asyncio.sleep(0)
    stored = await asyncio.gather(*(log.append(item) for item in items[30:]))
    assert [offset(found) for found in await many if isinstance(found, Appended)] == list(range(1, 31))
    assert [offset(found) for found in stored] == list(range(31, 51))


async def test_a_failed_transaction_gives_its_offsets_back(log: EventLog) -> None:
    first = await log.append(an_append())
    for _ in range(3):
        with pytest.raises(StateConflict):
            await log.append(an_append(first.event))
    assert offset(await log.append(an_append())) == 2


async def test_nobody_takes_an_offset_that_another_transaction_is_giving_out(log: EventLog, url: str) -> None:
    for _ in range(2):
        await log.append(an_append())
    other = await Database.open(url)
    async with other.write() as conn:
        await conn.execute(update(tenants).values(offset=5))
        waiting = asyncio.create_task(log.append(an_append()))
        done, _ = await asyncio.wait([waiting], timeout=0.3)  # long enough to have read the old offset
        assert not done
    assert offset(await waiting) == 6
    await other.close()


WRITER = """
import asyncio, json, sys
from hub.store.engine import Database
from hub.store.events import EventLog
from tests.appends import an_append

async def main(url, count):
    db = await Database.open(url)
    log = EventLog(db, max_group=5)
    await log.open()
    sys.stdin.readline()
    stored = await asyncio.gather(*(log.append(an_append()) for _ in range(count)))
    print(json.dumps([one.event.offset for one in stored]))
    await log.close()
    await db.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_two_processes_get_contiguous_offsets(url: str) -> None:
    writers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITER, url, "150"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    outputs = await asyncio.gather(*(writer.communicate(b"go\n") for writer in writers))
    places = [json.loads(output) for output, _ in outputs]
    assert sorted(places[0] + places[1]) == list(range(1, 301))
    assert all(own == sorted(own) for own in places)


# -- idempotency -------------------------------------------------------------------------------------


async def test_one_key_stores_once_and_answers_all_the_same(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
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
    async with opened(postgres_url) as log:
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
    def hang_up(_: Cursor) -> bytes:
        leaving.cancel()
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
    async with opened(sqlite_url, timeout=TIMEOUT) as log:
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
    async with opened(sqlite_url, timeout=TIMEOUT) as log:
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
    async with opened(postgres_url, timeout=TIMEOUT) as log:
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


# -- reading -----------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def past(log: EventLog) -> EventLog:
    """1 to 3 for user 7, 4 and 5 for ADMIN, 6 for both, 7 expired, 8 without 7, 9 for user 8, 10 for 7."""
    of_seven = [an_event("user:7") for _ in range(3)]
    of_admin = [an_event("role:ADMIN") for _ in range(2)]
    rest = [
        an_event("user:7", "role:ADMIN"),
        an_event("user:7", expires_at=NOW),
        an_event("role:ADMIN", exclude=("user:7",)),
        an_event("user:8"),
        an_event("user:7", inbox=False, expires_at=NOW + timedelta(microseconds=1)),
    ]
    await log.append_many([an_append(event) for event in (*of_seven, *of_admin, *rest)])
    await log.append(an_append(an_event("user:7", tenant="globex")))
    return log


def places(found: Sequence[Event]) -> list[int]:
    return [event.offset for event in found]


async def test_missed_events_are_those_of_the_rooms_each_once(past: EventLog) -> None:
    rooms = ["user:7", "role:ADMIN", "tenant:acme"]
    assert places(await past.missed("acme", rooms, "7", 0, 10, limit=100, now=NOW)) == [1, 2, 3, 4, 5, 6, 10]
    assert places(await past.missed("acme", rooms, "7", 2, 6, limit=100, now=NOW)) == [3, 4, 5, 6]
    assert places(await past.missed("acme", ["role:ADMIN"], None, 0, 10, limit=100, now=NOW)) == [4, 5, 6, 8]
    assert places(await past.missed("acme", [], "7", 0, 10, limit=100, now=NOW)) == []


async def test_a_limited_replay_is_full_when_there_is_more(past: EventLog) -> None:
    rooms = ["user:7", "role:ADMIN"]
    for limit in range(1, 7):
        found = await past.missed("acme", rooms, "7", 0, 10, limit=limit, now=NOW)
        assert places(found) == [1, 2, 3, 4, 5, 6, 10][:limit]


async def test_a_range_is_the_whole_log_between_two_places(past: EventLog) -> None:
    assert places(await past.range("acme", 3, 8, limit=100)) == [4, 5, 6, 7, 8]
    assert places(await past.range("acme", 0, 10, limit=3)) == [1, 2, 3]
    assert await past.get("acme", new_id()) is None


async def test_a_long_replay_misses_nothing_at_the_seams(log: EventLog) -> None:
    """More than the log looks up at once, with what is left out lying everywhere between."""
    items = [
        an_append(an_event(*(("user:7",), ("user:7", "role:ADMIN"), ("role:ADMIN",))[number % 3]))
        if number % 5
        else an_append(an_event("user:7", exclude=("user:7",)))
        for number in range(2300)
    ]
    await log.append_many(items)
    wanted = [number + 1 for number in range(2300) if number % 5]
    found = await log.missed("acme", ["user:7", "role:ADMIN"], "7", 0, 2300, limit=5000, now=NOW)
    assert places(found) == wanted
    found = await log.missed("acme", ["user:7", "role:ADMIN"], "7", 0, 2300, limit=1500, now=NOW)
    assert places(found) == wanted[:1500]
    only_events = await log.range("acme", 0, 1, limit=1)
    assert only_events[0].id == items[0].event.id
    assert await count(log._db, events) == 2300
