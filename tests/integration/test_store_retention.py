"""What is old goes, with all that hangs on it, and what is not over stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, func, insert, select, update

from hub.domain.delivery import Status
from hub.domain.drafts import IdempotencyKey
from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.inbox import Inbox
from hub.store.retention import Retention
from hub.store.tables import attempts, deliveries, event_rooms, events, expansions, receipts
from tests.appends import NOW, a_delivery, an_append, an_event

OLD = NOW - timedelta(days=31)
BEFORE = NOW - timedelta(days=30)


async def post(log: EventLog, *created: datetime, tenant: str = "acme") -> None:
    await log.append_many(
        [
            an_append(an_event("user:7", "role:ADMIN", tenant=tenant, created_at=at, exclude=("user:9",)))
            for at in created
        ]
    )


async def left(db: Database, table: Table, column: str = "offset") -> list[Any]:
    async with db.read() as conn:
        return sorted((await conn.execute(select(table.c[column]))).scalars())


async def test_the_oldest_events_go_and_the_log_says_so(log: EventLog, database: Database) -> None:
    await post(log, *[OLD] * 7, NOW, NOW)
    await post(log, OLD, tenant="globex")
    await post(log, NOW, tenant="initech")
    assert await Retention(database, slice=3).trim(BEFORE) == 8
    found = await log.positions(["acme", "globex", "initech"])
    assert {name: (at.trimmed, at.offset) for name, at in found.items()} == {
        "acme": (7, 9),
        "globex": (1, 1),
        "initech": (0, 1),
    }
    assert [event.offset for event in await log.range("acme", 0, 100, limit=100)] == [8, 9]
    assert await Retention(database).trim(BEFORE) == 0
    await post(log, NOW)
    assert [event.offset for event in await log.range("acme", 9, 100, limit=100)] == [10]


async def test_an_old_event_behind_a_young_one_waits_for_it(log: EventLog, database: Database) -> None:
    await post(log, OLD, NOW, OLD)
    assert await Retention(database).trim(BEFORE) == 1
    assert (await log.tenant("acme", create=False)).trimmed == 1
    assert await left(database, events) == [2, 3]


async def test_an_event_of_the_limit_itself_stays(log: EventLog, database: Database) -> None:
    await post(log, BEFORE - timedelta(microseconds=1), BEFORE)
    assert await Retention(database).trim(BEFORE) == 1
    assert await left(database, events) == [2]


async def test_everything_that_hangs_on_an_event_goes_with_it(log: EventLog, database: Database) -> None:
    for at in (OLD, NOW):
        await log.append(
            an_append(
                an_event("user:7", "role:ADMIN", created_at=at, exclude=("user:9",)),
                deliveries=[a_delivery(status=Status.SKIPPED, reason="muted")],
                expand=[("role:ADMIN", ("email",))],
            )
        )
    [old, young] = await log.range("acme", 0, 10, limit=10)
    await Inbox(database).mark_read("acme", "7", ["user:7"], [old.id, young.id], now=NOW)
    async with database.write() as conn:
        ids = (await conn.execute(select(deliveries.c.id).order_by(deliveries.c.offset))).scalars().all()
        rows = [{"delivery_id": id, "number": 1, "started_at": NOW} for id in ids]
        await conn.execute(insert(attempts), rows)
    assert await Retention(database).trim(BEFORE) == 1
    for table in (events, deliveries, receipts, expansions):
        assert await left(database, table) == [2], table.name
    assert await left(database, event_rooms) == [2, 2, 2]
    assert await left(database, attempts, "delivery_id") == [ids[1]]


async def test_a_delivery_that_is_not_over_is_kept_until_it_is(log: EventLog, database: Database) -> None:
    over = [a_delivery(status=Status.SKIPPED) for _ in range(5)]
    waiting = a_delivery()
    await log.append(an_append(an_event(created_at=OLD), deliveries=[*over, waiting]))
    await post(log, OLD, NOW)
    assert await Retention(database, slice=2).trim(BEFORE) == 2
    assert await left(database, deliveries, "id") == [waiting.id]
    async with database.write() as conn:
        await conn.execute(update(deliveries).values(status=Status.SENT, due_at=None))
    await log.append(an_append(an_event(created_at=NOW)))
    assert await Retention(database).trim(NOW + timedelta(seconds=1)) == 2
    assert await left(database, deliveries, "id") == []


async def test_expired_notifications_leave_the_inbox_but_not_the_log(
    log: EventLog, database: Database
) -> None:
    soon = NOW + timedelta(hours=1)
    await log.append_many(
        [
            an_append(an_event("user:7", expires_at=at))
            for at in (NOW, None, soon, NOW - timedelta(days=1), NOW, NOW)
        ]
    )
    inbox, who = Inbox(database), ("acme", "7", ["user:7"])
    before = await inbox.counts(*who, now=NOW)
    assert await Retention(database, slice=2).expire(NOW) == 4
    assert await Retention(database, slice=2).expire(NOW) == 0
    assert before == await inbox.counts(*who, now=NOW) == (2, 2)
    async with database.read() as conn:
        standing = select(func.count()).select_from(event_rooms).where(event_rooms.c.inbox)
        assert (await conn.execute(standing)).scalar() == 2
    assert len(await log.range("acme", 0, 10, limit=10)) == 6


async def test_old_keys_are_forgotten_and_young_ones_are_not(database: Database) -> None:
    times = iter([OLD] * 5 + [BEFORE])
    log = EventLog(database, clock=lambda: next(times), max_group=1)
    await log.open()
    for number in range(6):
        await log.append(an_append(key=IdempotencyKey(f"k{number}", "f")))
    assert await Retention(database, slice=2).forget_keys(BEFORE) == 5
    times = iter([NOW] * 2)
    again = [await log.append(an_append(key=IdempotencyKey(name, "f"))) for name in ("k0", "k5")]
    assert [answer.replayed for answer in again] == [False, True]
    await log.close()
