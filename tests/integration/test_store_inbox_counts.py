"""Counts of inboxes that are kept: whoever changes something, they are what counting anew would find."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from hub.domain.events import Event
from hub.store.audience import Audience
from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.inbox import Inbox
from hub.store.inbox_counts import Asker, Counted, Kept, Tally
from hub.store.retention import Retention
from hub.store.trips import Statement
from tests.appends import NOW, an_append, an_event
from tests.asked import noting

ROOMS = ["user:7", "role:ADMIN", "tenant:acme"]
WHO = ("acme", "7", ROOMS)
LATER = NOW + timedelta(minutes=2)


class World:
    """An inbox with something of each kind, asked in one process; `elsewhere` is another."""

    def __init__(self, db: Database, log: EventLog) -> None:
        self.db = db
        self.log = log
        self.inbox = Inbox(db)
        self.elsewhere = Inbox(db)
        self.sent: list[Event] = []
        self.now = NOW

    async def send(self, *rooms: str, key: str | None = None, **fields: Any) -> None:
        event = an_event(*rooms, **fields)
        await self.log.append(replace(an_append(event), collapse_key=key))
        self.sent.append(event)

    async def fill(self) -> None:
        await self.send("user:7", key="k")
        await self.send("tenant:acme", "role:ADMIN", type="system")
        await self.send("role:ADMIN", expires_at=NOW + timedelta(minutes=1))
        await self.send("tenant:acme", exclude=("user:7",))
        for _ in range(4):
            await self.send("user:7")
        await self.inbox.mark_read(*WHO, [self.sent[4].id], now=NOW)
        await self.inbox.archive(*WHO, [self.sent[5].id], now=NOW)
        await self.inbox.delete(*WHO, [self.sent[6].id], now=NOW)

    async def counts(self, inbox: Inbox) -> list[Any]:
        found: list[Any] = [
            await inbox.counts(*WHO, now=self.now, read=read, archived=archived)
            for read, archived in product((None, True, False), repeat=2)
        ]
        page = await inbox.page(*WHO, now=self.now)
        return [*found, page, await inbox.by_type(*WHO, now=self.now)]


Change = Callable[[World], Awaitable[Any]]


async def _pass_time(world: World) -> None:
    world.now = LATER


async def _expire(world: World) -> None:
    assert await Retention(world.db).expire(LATER) == 1


async def _trim(world: World) -> None:
    assert await Retention(world.db, slice=2).trim(NOW + timedelta(days=31), keep=timedelta(days=30)) == 8


CHANGES: dict[str, Change] = {
    "nothing": lambda world: world.send("user:8"),
    "one more": lambda world: world.send("user:7"),
    "one to several of the rooms": lambda world: world.send("role:ADMIN", "user:7", "tenant:acme"),
    "one of another type": lambda world: world.send("tenant:acme", type="reminder"),
    "one that enters no inbox": lambda world: world.send("user:7", inbox=False),
    "one that leaves the person out": lambda world: world.send("role:ADMIN", exclude=("user:7",)),
    "one that was over before": lambda world: world.send("user:7", expires_at=NOW - timedelta(minutes=1)),
    "one in place of another": lambda world: world.send("user:7", key="k"),
    "one that is elsewhere in place of another": lambda world: world.send("user:7", "user:8", key="k"),
    "time": _pass_time,
    "what has expired goes for good": _expire,
    "the oldest go": _trim,
    "read": lambda world: world.elsewhere.mark_read(*WHO, [world.sent[7].id], now=NOW),
    "unread": lambda world: world.elsewhere.mark_unread(*WHO, [world.sent[4].id], now=NOW),
    "archived": lambda world: world.elsewhere.archive(*WHO, [world.sent[7].id], now=NOW),
    "taken back from the archive": lambda world: world.elsewhere.unarchive(*WHO, [world.sent[5].id], now=NOW),
    "deleted": lambda world: world.elsewhere.delete(*WHO, [world.sent[7].id], now=NOW),
    "all read": lambda world: world.elsewhere.mark_all_read(*WHO, now=NOW),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_what_was_counted_before_is_exact_after(what: str, database: Database, log: EventLog) -> None:
    world = World(database, log)
    await world.fill()
    before = await world.counts(world.inbox)
    await CHANGES[what](world)
    after = await world.counts(world.inbox)
    assert after == await world.counts(Inbox(database))
    assert (after == before) == (what in STILL)
    await world.send("user:7")  # what was kept on the way goes on from there
    assert await world.counts(world.inbox) == await world.counts(Inbox(database))


STILL = {
    "nothing",
    "one that enters no inbox",
    "one that leaves the person out",
    "one that was over before",
}


async def test_what_has_come_is_counted_on_and_nothing_anew(
    database: Database, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, seen, ask = World(database, log), list[Statement](), database.ask
    await world.fill()
    monkeypatch.setattr(database, "ask", lambda asks: ask(noting(asks, seen)))
    await world.inbox.page(*WHO, now=NOW)
    await world.send("user:7")
    before = len(seen)
    page = await world.inbox.page(*WHO, now=NOW)
    assert [":upto" in sql or "%(upto)s" in sql for sql, _ in seen[before:]] == [True, False, False]
    assert page.counts.total == 7


async def test_nobody_gets_what_was_counted_for_others(database: Database, log: EventLog) -> None:
    inbox = Inbox(database)
    sent = []
    for tenant, user in (("acme", "7"), ("acme", "7"), ("acme", "8"), ("other", "7")):
        event = an_event(f"user:{user}", "role:ADMIN", tenant=tenant)
        await log.append(an_append(event))
        sent.append(event.id)
    await inbox.delete("acme", "7", ["user:7"], sent[:1], now=NOW)
    await inbox.mark_seen("acme", "9", ["user:7"], sent[:1], now=NOW)  # changed something as often

    async def total(tenant: str, user: str, *rooms: str) -> int:
        return (await inbox.counts(tenant, user, rooms, now=NOW)).total

    for _ in "twice":
        assert await total("acme", "7", "user:7") == 1
        assert await total("acme", "7", "user:7", "role:ADMIN") == 2
        assert await total("acme", "8", "user:8") == 1
        assert await total("other", "7", "user:7") == 1
        assert await total("acme", "9", "user:7") == 2


def test_the_inboxes_that_were_asked_for_last_are_kept() -> None:
    kept = Kept(most=2)
    askers = [Asker(Audience("acme", (f"user:{n}",)), str(n), NOW) for n in range(3)]
    counted = [Counted(("e",), 1, NOW, {"": Tally(n, n)}) for n in range(3)]
    kept.keep(askers[0], counted[0])
    kept.keep(askers[1], counted[1])
    kept.keep(askers[0], counted[0])
    kept.keep(askers[2], counted[2])
    assert [kept.find(asker) for asker in askers] == [counted[0], None, counted[2]]
