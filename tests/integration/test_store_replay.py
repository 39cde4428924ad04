"""Reading the log after a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest_asyncio
from sqlalchemy import Table, func, select

from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.tables import events
from tests.appends import NOW, an_append, an_event, new_id, places


async def rows(db: Database, table: Table) -> Sequence[dict[str, Any]]:
    async with db.read() as conn:
        return [dict(row) for row in (await conn.execute(select(table))).mappings()]


async def count(db: Database, table: Table) -> int:
    async with db.read() as conn:
        return (await conn.execute(select(func.count()).select_from(table))).scalar_one()


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
