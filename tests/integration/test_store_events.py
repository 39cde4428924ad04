"""The log: what is stored, and contiguous offsets whoever writes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Table, func, select, update

from hub.domain.delivery import Status
from hub.domain.drafts import IdempotencyKey
from hub.domain.errors import (
    StateConflict,
    TenantUnknown,
)
from hub.domain.events import Cursor, Event
from hub.store.engine import Database
from hub.store.events import Append, Appended, EventLog
from hub.store.tables import deliveries, event_rooms, expansions, idempotency_keys, tenants
from hub.store.trips import Begin, Statement, Trips
from tests.appends import NOW, a_delivery, an_append, an_event, offset, opened_log


def key(name: str = "k", fingerprint: str = "f") -> IdempotencyKey:
    return IdempotencyKey(name, fingerprint)


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
    append = an_append(
        event,
        deliveries=[planned, skipped],
        expand=[("role:ADMIN", ("email", "sms"))],
        key=key("once", "print"),
    )
    await log.append(replace(append, request="r-1"))
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
        "digest": None,
        "digest_of": None,
        "unless_seen": False,
        "request": "r-1",
    }
    assert found[skipped.id]["status"] == "skipped"
    assert found[skipped.id]["reason"] == "no address"
    assert found[skipped.id]["due_at"] is None  # it is over
    columns = ("offset", "inbox", "shared", "type")
    standing = {
        row["room"]: tuple(row[name] for name in columns) for row in await rows(database, event_rooms)
    }
    assert standing == dict.fromkeys(("user:7", "role:ADMIN", "-user:9"), (1, True, True, event.type))
    [expansion] = await rows(database, expansions)
    assert (expansion["room"], expansion["channels"]) == ("role:ADMIN", "email sms")
    assert (expansion["event_id"], expansion["offset"]) == (event.id, 1)
    assert (expansion["after"], expansion["done"], expansion["request"]) == ("", False, "r-1")
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


async def test_a_tenant_is_created_by_its_first_event_alone(
    log: EventLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    transact = database.transact

    async def watched(begin: Begin, *, timeout: float | None = None) -> None:
        def trips() -> Trips:
            asking = begin()
            question = next(asking)
            statements.extend(sql for sql, _ in question.before)
            found = yield question
            with pytest.raises(StopIteration) as end:
                asking.send(found)
            last: Sequence[Statement] = end.value.value
            return last

        await transact(trips, timeout=timeout)

    monkeypatch.setattr(database, "transact", watched)
    for created in (True, False):
        statements.clear()
        await log.append(an_append())
        assert any("INTO tenants" in statement for statement in statements) == created


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 500])
async def test_groups_of_any_size_are_stored_whole(log: EventLog, size: int) -> None:
    items = [an_append(an_event(title=str(number))) for number in range(size)]
    assert [offset(found) for found in await log.append_many(items) if isinstance(found, Appended)] == list(
        range(1, size + 1)
    )
    stored = await log.range("acme", 0, size, limit=size + 1)
    assert [event.title for event in stored] == [str(number) for number in range(size)]


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

    def listen(stored: Sequence[tuple[Event, Append]], _: object) -> None:
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
    def listen(*_: object) -> None:
        raise RuntimeError

    log = EventLog(database, on_commit=listen)
    await log.open()
    assert offset(await log.append(an_append())) == 1
    assert offset(await log.append(an_append())) == 2
    await log.close()


# -- offsets -----------------------------------------------------------------------------------------


async def test_who_fails_when_it_is_told_keeps_nobody_else_waiting(log: EventLog) -> None:
    class Broken:
        def done(self) -> bool:
            return False

        def cancel(self) -> None: ...

        def set_result(self, outcomes: object) -> None:
            raise RuntimeError("a mistake")

    log.enter(an_append(), Broken())
    appended = await asyncio.wait_for(log.append(an_append()), 10)
    assert offset(appended) == 2


async def test_many_writers_get_contiguous_offsets(url: str) -> None:
    async with opened_log(url) as one, opened_log(url, max_group=7) as two:
        stored = await asyncio.gather(*((one, two)[number % 2].append(an_append()) for number in range(300)))
        assert sorted(map(offset, stored)) == list(range(1, 301))
        assert [event.offset for event in await one.range("acme", 0, 300, limit=1000)] == list(range(1, 301))
        assert (await two.positions(["acme"]))["acme"].offset == 300


async def test_writers_that_share_many_tenants_do_not_block_each_other(url: str) -> None:
    names = [f"tenant{number}" for number in range(20)]
    async with opened_log(url) as one, opened_log(url) as two:
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
