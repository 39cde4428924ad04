"""Marks of an inbox against a model: whatever a person does in whatever order, every way to ask agrees.

An item of the model has its own marks; read-all is a place and a time, and what was not marked by itself is
read up to there. Asked is the service, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.domain.access import Principal
from hub.domain.errors import NotificationUnknown
from hub.realtime.fanout import Fanout
from hub.realtime.replay import Ring
from hub.services.inbox import InboxService
from hub.services.publish import Publish
from hub.services.wire import iso, loads
from hub.store.deliveries import Deliveries
from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.inbox import Inbox
from hub.store.trail import Trail
from tests.appends import NOW, an_append, an_event

ROOMS = ["user:42", "role:ADMIN", "tenant:{tenant}", "user:7", "role:GUEST"]
TYPES = ["system", "reminder"]
MARKS = ["mark_read", "mark_unread", "mark_seen", "archive", "unarchive", "remove"]

sends = st.tuples(
    st.just("send"),
    st.sets(st.sampled_from(ROOMS), min_size=1, max_size=3),
    st.sampled_from(TYPES),
    st.sampled_from(["all", "all", "all", "not 42", "expires"]),
)
marks = st.tuples(st.sampled_from(MARKS), st.integers(0, 7))
steps = st.one_of(sends, marks, marks, st.just(("mark_all_read",)))
tenants = count()


class Told(Publish):
    """Keeps what the person's connections would have been told."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(Fanout(), Ring(1), log)
        self.signals: list[tuple[str, tuple[Any, ...]]] = []

    def signal(
        self, tenant: str, rooms: Sequence[str], name: str, *args: Any, skip: str | None = None
    ) -> None:
        assert rooms == ["user:42"]
        self.signals.append((name, args))


class World:
    """One person's inbox, and the model of it: by id, oldest first."""

    def __init__(self, db: Database, log: EventLog) -> None:
        self.tenant = f"t{next(tenants)}"
        self.who = Principal(tenant=self.tenant, user="42", roles=("ADMIN",))
        self.log = log
        self.told = Told(log)
        self.now = NOW
        self.inbox = InboxService(
            *(Inbox(db), log, Deliveries(db), Trail(db), self.told),
            announce=self.told.announce,
            clock=self.clock,
        )
        self.sent: list[str] = []
        self.model: dict[str, dict[str, Any]] = {}
        self.all_read: tuple[int, datetime | None] = (0, None)

    def clock(self) -> datetime:
        return self.now

    def standing(self) -> list[dict[str, Any]]:
        """What is in the inbox, newest first; `readAt` is made from the item's own mark and read-all."""
        for item in self.model.values():
            upto, when = self.all_read
            item["readAt"] = item["own"] if "own" in item else when if item["offset"] <= upto else None
        alive = (
            item for item in self.model.values() if item["expires"] is None or item["expires"] > self.now
        )
        return sorted(alive, key=lambda item: -item["offset"])

    async def send(self, rooms: set[str], type: str, how: str) -> None:
        named = sorted(room.format(tenant=self.tenant) for room in rooms)
        expires = self.now + timedelta(seconds=4) if how == "expires" else None
        exclude = ("user:42",) if how == "not 42" else ()
        event = an_event(
            *named, tenant=self.tenant, type=type, wire=type, expires_at=expires, exclude=exclude
        )
        stored = (await self.log.append(an_append(event))).event
        assert stored is not None
        self.sent.append(stored.id)
        if rooms & set(ROOMS[:3]) and not exclude:
            self.model[stored.id] = {
                "id": stored.id,
                "offset": stored.offset,
                "type": type,
                "expires": expires,
                **dict.fromkeys(("readAt", "seenAt", "archivedAt")),
            }

    async def mark(self, what: str, number: int) -> None:
        if not self.sent:
            return
        id = self.sent[-1 - number % len(self.sent)]
        item = next((item for item in self.standing() if item["id"] == id), None)
        before = dict(item or {})
        self.told.signals.clear()
        verb: Callable[..., Awaitable[Any]] = getattr(self.inbox, what)
        asked = verb(self.who, id) if what == "remove" else verb(self.who, [id])
        if item is None:
            with pytest.raises(NotificationUnknown):
                await asked
            assert self.told.signals == []
            return
        answer = await asked
        self._model(what, item)
        self.standing()
        if what not in ("remove", "mark_read"):
            assert shown(answer.items[0]) == shown_by(item)
        names = {name for name, _ in self.told.signals} - {"notification:unread_count"}
        expected = {
            "mark_read": {"notification:read"},
            "mark_seen": {"notification:seen", "notification:updated"},
            "remove": {"notification:deleted"},
        }.get(what, {"notification:updated"})
        assert names == (expected if what == "remove" or shown_by(item) != shown_by(before) else set())

    def _model(self, what: str, item: dict[str, Any]) -> None:
        if what == "remove":
            del self.model[item["id"]]
        elif what == "mark_unread":
            item["own"] = None
        elif what == "mark_read":
            if item["readAt"] is None:
                item["own"] = self.now
        elif what == "unarchive":
            item["archivedAt"] = None
        else:
            name = {"mark_seen": "seenAt", "archive": "archivedAt"}[what]
            item[name] = item[name] or self.now

    async def mark_all_read(self) -> None:
        expected = sum(unread(item) for item in self.standing())
        answer = await self.inbox.mark_all_read(self.who)
        assert (answer["updated"], answer["unreadCount"]) == (expected, 0)
        if len(self.sent) > self.all_read[0]:
            self.all_read = (len(self.sent), self.now)
        for item in self.model.values():
            if "own" in item:
                item["own"] = item["own"] or self.now

    async def check(self) -> None:
        """Every way to ask gives what the model has."""
        items = self.standing()
        for read in (None, True, False):
            for archived in (None, True) if read is None else (None, False):
                wanted = [
                    item
                    for item in items
                    if read in (None, item["readAt"] is not None)
                    and archived in (None, item["archivedAt"] is not None)
                ]
                page = await self.inbox.page(self.who, read=read, archived=archived, limit=100)
                assert [shown(item) for item in loads(page.body)] == [shown_by(item) for item in wanted]
                assert page.total == len(wanted)
                assert page.unread == sum(map(unread, items))
        for upto in {0, len(self.sent) // 2, len(self.sent) - 1} - {-1}:
            expected = sum(unread(item) for item in items if item["offset"] <= upto)
            assert await self.inbox.unread_count(self.who, upto=upto) == expected
        kept = [item for item in items if item["archivedAt"] is None]
        stats = await self.inbox.stats(self.who)
        assert (stats["total"], stats["unread"]) == (len(kept), sum(map(unread, kept)))
        totals = Counter(item["type"] for item in kept)
        fresh = Counter(item["type"] for item in kept if unread(item))
        assert stats["byType"] == {
            type: {"total": total, "unread": fresh[type]} for type, total in totals.items()
        }


def unread(item: dict[str, Any]) -> bool:
    return item["readAt"] is None and item["archivedAt"] is None


def shown(envelope: dict[str, Any]) -> tuple[Any, ...]:
    assert envelope["read"] == (envelope["readAt"] is not None)
    return tuple(envelope[name] for name in ("id", "readAt", "seenAt", "archivedAt"))


def shown_by(item: dict[str, Any]) -> tuple[Any, ...]:
    return (item["id"], *(iso(item[name]) for name in ("readAt", "seenAt", "archivedAt")))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(steps, min_size=4, max_size=14))
async def test_every_view_of_an_inbox_agrees_whatever_a_person_does(
    database: Database, plan: list[tuple[Any, ...]]
) -> None:
    log = EventLog(database)
    await log.open()
    world = World(database, log)
    await log.tenant(world.tenant, create=True)
    try:
        for step, *arguments in plan:
            world.now += timedelta(seconds=1)
            if step == "send":
                await world.send(*arguments)
            elif step == "mark_all_read":
                await world.mark_all_read()
            else:
                await world.mark(step, *arguments)
            assert await world.inbox.unread_count(world.who) == sum(map(unread, world.standing()))
        await world.check()
    finally:
        await log.close()
