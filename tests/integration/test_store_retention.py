"""What is old goes, with all that hangs on it, and what is not over stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.delivery import Status
from hub.domain.drafts import IdempotencyKey
from hub.domain.errors import TenantUnknown
from hub.store.audit import Note
from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.inbox import Inbox
from hub.store.preferences import Preferences
from hub.store.retention import Retention
from hub.store.tables import attempts, deliveries, event_rooms, events, expansions, receipts
from hub.store.tenants import Tenants
from tests.appends import NOW, a_delivery, an_append, an_event

MONTH = timedelta(days=30)
BEFORE = NOW - MONTH
OLD = BEFORE - timedelta(days=1)


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
    assert await Retention(database, slice=3).trim(NOW, keep=MONTH) == 8
    found = await log.positions(["acme", "globex", "initech"])
    assert {name: (at.trimmed, at.offset) for name, at in found.items()} == {
        "acme": (7, 9),
        "globex": (1, 1),
        "initech": (0, 1),
    }
    assert [event.offset for event in await log.range("acme", 0, 100, limit=100)] == [8, 9]
    assert await Retention(database).trim(NOW, keep=MONTH) == 0
    await post(log, NOW)
    assert [event.offset for event in await log.range("acme", 9, 100, limit=100)] == [10]


async def test_an_old_event_behind_a_young_one_waits_for_it(log: EventLog, database: Database) -> None:
    await post(log, OLD, NOW, OLD)
    assert await Retention(database).trim(NOW, keep=MONTH) == 1
    assert (await log.tenant("acme", create=False)).trimmed == 1
    assert await left(database, events) == [2, 3]


async def test_an_event_of_the_limit_itself_stays(log: EventLog, database: Database) -> None:
    await post(log, BEFORE - timedelta(microseconds=1), BEFORE)
    assert await Retention(database).trim(NOW, keep=MONTH) == 1
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
    assert await Retention(database).trim(NOW, keep=MONTH) == 1
    for table in (events, deliveries, receipts, expansions):
        assert await left(database, table) == [2], table.name
    assert await left(database, event_rooms) == [2, 2, 2]
    assert await left(database, attempts, "delivery_id") == [ids[1]]


async def test_a_delivery_that_is_not_over_is_kept_until_it_is(log: EventLog, database: Database) -> None:
    over = [a_delivery(status=Status.SKIPPED) for _ in range(5)]
    waiting = a_delivery()
    await log.append(an_append(an_event(created_at=OLD), deliveries=[*over, waiting]))
    await post(log, OLD, NOW)
    assert await Retention(database, slice=2).trim(NOW, keep=MONTH) == 2
    assert await left(database, deliveries, "id") == [waiting.id]
    async with database.write() as conn:
        await conn.execute(update(deliveries).values(status=Status.SENT, due_at=None))
    assert await Retention(database).trim(NOW, keep=MONTH) == 0
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


async def test_a_tenant_may_have_days_of_its_own(log: EventLog, database: Database) -> None:
    kept = {"brief": 3, "long": 90, "usual": None, "again": None}
    for tenant in kept:
        await post(log, NOW - timedelta(days=40), NOW - timedelta(days=10), NOW, tenant=tenant)
    tenants = Tenants(database)
    await tenants.keep_for("again", 90)
    for tenant, days in kept.items():
        assert (await tenants.keep_for(tenant, days)).retention_days == days
    with pytest.raises(TenantUnknown):
        await tenants.keep_for("nobody", 3)
    assert {entry.id: entry.retention_days for entry in await tenants.page(limit=9, after="")} == kept
    assert await Retention(database).trim(NOW, keep=MONTH) == 4
    found = await log.positions(list(kept))
    assert {name: at.trimmed for name, at in found.items()} == {"brief": 2, "long": 0, "usual": 1, "again": 1}


async def test_a_tenants_days_and_its_preferences_do_not_touch_each_other(
    log: EventLog, database: Database
) -> None:
    await post(log, NOW)
    note = Note(tenant="acme", actor="user:1", action="preferences", at=NOW)
    preferences, tenants = Preferences(database), Tenants(database)
    await preferences.set_defaults("acme", {"sms": False}, note=note)
    await tenants.keep_for("acme", 3)
    assert await preferences.defaults("acme") == {"sms": False}
    await preferences.set_defaults("acme", {}, note=note)
    assert [entry.retention_days for entry in await tenants.page(limit=1, after="")] == [3]


async def test_what_many_have_read_goes_in_small_slices_with_pauses(
    log: EventLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(log, *[OLD] * 6)
    async with database.write() as conn:
        rows = [
            {"tenant": "acme", "user": f"{user}", "offset": offset, "read": True, "read_at": NOW}
            for offset in (2, 3, 5)
            for user in range(20)
        ]
        await conn.execute(insert(receipts), rows)
    slices, pauses = [], []

    @asynccontextmanager
    async def write() -> AsyncIterator[AsyncConnection]:
        async with transaction() as conn:
            yield conn
        slices.append((await log.tenant("acme", create=False)).trimmed)

    async def sleep(seconds: float) -> None:
        pauses.append((slices[-1], seconds > 0))

    transaction = database.write
    monkeypatch.setattr(database, "write", write)
    monkeypatch.setattr("hub.store.retention.asyncio.sleep", sleep)
    assert await Retention(database, weight=26).trim(NOW, keep=MONTH) == 6
    assert slices == [2, 4, 6]
    assert pauses == [(2, True), (4, True), (6, True)]
    assert await left(database, receipts) == []
