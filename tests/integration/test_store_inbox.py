"""The inbox agrees with a simple model of itself, and what people do with it stays done."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as listening
from sqlalchemy import func, select

from hub.domain.events import Event
from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.inbox import Inbox, Item
from hub.store.retention import Retention
from hub.store.tables import receipts
from tests.appends import NOW, an_append, an_event, new_id

MINE = ["user:7", "role:ADMIN", "tenant:acme", "session:s"]
WHO = ("acme", "7", MINE)


async def post(log: EventLog, *rooms: str, **fields: Any) -> str:
    """Store an event; its id."""
    event = an_event(*rooms, **fields)
    await log.append(an_append(event))
    return event.id


def ids(items: list[Item]) -> list[str]:
    return [item.event.id for item in items]


# -- the model ---------------------------------------------------------------------------------------


@dataclass
class Kept:
    """One event and what the user did with it."""

    event: Event
    read: bool = False
    archived: bool = False
    deleted: bool = False

    def stands(self, rooms: list[str], now: datetime) -> bool:
        event = self.event
        return (
            event.inbox
            and not self.deleted
            and not set(rooms).isdisjoint(event.rooms)
            and set(rooms).isdisjoint(event.exclude)
            and (event.expires_at is None or event.expires_at > now)
        )


@dataclass
class Model:
    """An inbox as a list."""

    rooms: list[str]
    now: datetime = NOW
    kept: list[Kept] = field(default_factory=list)

    def matching(
        self, read: bool | None = None, archived: bool | None = None, type: str | None = None
    ) -> list[str]:
        return [
            one.event.id
            for one in reversed(self.kept)
            if one.stands(self.rooms, self.now)
            and read in (None, one.read)
            and archived in (None, one.archived)
            and type in (None, one.event.type)
        ]

    def chosen(self, numbers: list[int]) -> list[str]:
        """Ids of events by their numbers, whether or not they stand in the inbox."""
        return [self.kept[number % len(self.kept)].event.id for number in numbers if self.kept]

    def standing(self, chosen: list[str]) -> list[Kept]:
        return [one for one in self.kept if one.event.id in chosen and one.stands(self.rooms, self.now)]


some_rooms = st.lists(
    st.sampled_from(["user:7", "role:ADMIN", "tenant:acme", "session:s", "user:8", "role:GUEST"]),
    min_size=1,
    max_size=4,
)
some_numbers = st.lists(st.integers(0, 30), min_size=1, max_size=5)
operations = st.one_of(
    st.tuples(
        st.just("post"),
        st.fixed_dictionaries(
            {
                "rooms": some_rooms,
                "exclude": st.one_of(
                    st.just([]), st.just([]), st.lists(st.sampled_from(["user:7", "role:ADMIN", "user:8"]))
                ),
                "inbox": st.sampled_from([True, True, True, False]),
                "hours": st.sampled_from([None, None, 1, 3]),
                "type": st.sampled_from(["booking.created", "payment.received"]),
            }
        ),
    ),
    st.tuples(
        st.sampled_from(["mark_read", "mark_unread", "archive", "unarchive", "delete", "mark_seen"]),
        some_numbers,
    ),
    st.tuples(st.sampled_from(["mark_all_read", "wait", "expire"]), st.just(None)),
)
tenants: Iterator[int] = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(operations, min_size=1, max_size=25), page=st.integers(1, 4))
async def test_lists_and_counts_agree_with_a_simple_model(
    database: Database, log: EventLog, plan: list[tuple[str, Any]], page: int
) -> None:
    tenant = f"tenant{next(tenants)}"  # each example has a log of its own
    model, inbox = Model(list(MINE)), Inbox(database)
    who = (tenant, "7", MINE)
    for name, argument in plan:
        await _do(model, inbox, log, database, who, name, argument)
        assert await inbox.unread(*who, now=model.now) == len(model.matching(read=False, archived=False))
    await _compare(model, inbox, who, page)


async def _do(
    model: Model,
    inbox: Inbox,
    log: EventLog,
    database: Database,
    who: tuple[str, str, list[str]],
    name: str,
    argument: Any,
) -> None:
    if name == "post":
        event = an_event(
            *argument["rooms"],
            tenant=who[0],
            type=argument["type"],
            inbox=argument["inbox"],
            exclude=tuple(argument["exclude"]),
            expires_at=argument["hours"] and model.now + timedelta(hours=argument["hours"]),
        )
        stored = (await log.append(an_append(event))).event
        assert stored is not None
        model.kept.append(Kept(stored))
    elif name == "mark_all_read":
        unread = len(model.matching(read=False, archived=False))
        assert (await inbox.mark_all_read(*who, now=model.now)).updated == unread
        for one in model.kept:
            one.read = True
    elif name == "wait":
        model.now += timedelta(hours=2)
    elif name == "expire":
        await Retention(database, slice=2).expire(model.now)
    else:
        chosen = model.chosen(argument)
        standing = model.standing(chosen)
        changed = await getattr(inbox, name)(*who, chosen, now=model.now)
        assert {item.event.id for item in changed.items} == {one.event.id for one in standing}
        for one in standing:
            one.read = {"mark_read": True, "mark_unread": False}.get(name, one.read)
            one.archived = {"archive": True, "unarchive": False}.get(name, one.archived)
            one.deleted = one.deleted or name == "delete"


async def _compare(model: Model, inbox: Inbox, who: tuple[str, str, list[str]], page: int) -> None:
    unread = len(model.matching(read=False, archived=False))
    flags = (None, True, False)
    for read, archived, type in itertools.product(flags, flags, (None, "payment.received")):
        filters: dict[str, Any] = {"read": read, "archived": archived, "type": type, "now": model.now}
        expected = model.matching(read, archived, type)
        items = await inbox.list(*who, limit=100, **filters)
        assert ids(items) == expected
        assert all(item.read == (item.read_at is not None) for item in items)
        assert await inbox.counts(*who, **filters) == (len(expected), unread)
        pages = [
            ids(await inbox.list(*who, limit=page, offset=start, **filters))
            for start in range(0, len(expected) + 1, page)
        ]
        assert list(itertools.chain(*pages)) == expected
        if items:
            middle = items[len(items) // 2].event.offset
            older = [item.event.id for item in items if item.event.offset < middle]
            newer = [item.event.id for item in items if item.event.offset > middle]
            assert ids(await inbox.list(*who, limit=100, before=middle, **filters)) == older
            assert ids(await inbox.list(*who, limit=100, after=middle, **filters)) == newer
    by_type = {kind: tuple(counts) for kind, counts in (await inbox.by_type(*who, now=model.now)).items()}
    types = {one.event.type for one in model.kept if one.event.id in model.matching(archived=False)}
    assert by_type == {
        kind: (len(model.matching(archived=False, type=kind)), len(model.matching(False, False, kind)))
        for kind in types
    }


# -- single promises ---------------------------------------------------------------------------------


async def test_a_notification_to_several_of_my_rooms_stands_once(log: EventLog, database: Database) -> None:
    id = await post(log, "user:7", "role:ADMIN", "tenant:acme", "role:ADMIN")
    inbox = Inbox(database)
    assert ids(await inbox.list(*WHO, now=NOW)) == [id]
    assert await inbox.counts(*WHO, now=NOW) == (1, 1)
    assert await inbox.counts("acme", "7", [*MINE, *MINE], now=NOW) == (1, 1)


async def test_reading_twice_keeps_the_first_time(log: EventLog, database: Database) -> None:
    id, inbox, later = await post(log, "user:7"), Inbox(database), NOW + timedelta(hours=1)
    first = await inbox.mark_read(*WHO, [id, id], now=NOW)
    again = await inbox.mark_read(*WHO, [id], now=later)
    assert (ids(first.items), ids(first.fresh)) == ([id], [id])
    assert (ids(again.items), ids(again.fresh)) == ([id], [])
    [item] = await inbox.list(*WHO, now=later)
    assert (item.read, item.read_at) == (True, NOW)


async def test_seen_and_archived_keep_their_first_time(log: EventLog, database: Database) -> None:
    id, inbox, later = await post(log, "user:7"), Inbox(database), NOW + timedelta(hours=1)
    for now in (NOW, later):
        await inbox.mark_seen(*WHO, [id], now=now)
        await inbox.archive(*WHO, [id], now=now)
    item = await inbox.get(*WHO, id, now=later)
    assert item is not None
    assert (item.seen_at, item.archived_at, item.read) == (NOW, NOW, False)
    await inbox.unarchive(*WHO, [id], now=later)
    await inbox.archive(*WHO, [id], now=later)
    item = await inbox.get(*WHO, id, now=later)
    assert item is not None
    assert item.archived_at == later


async def test_read_all_writes_one_row_however_much_there_is(log: EventLog, database: Database) -> None:
    await log.append_many([an_append(an_event("tenant:acme")) for _ in range(50)])
    inbox = Inbox(database)
    assert (await inbox.mark_all_read(*WHO, now=NOW)).updated == 50
    assert (await inbox.mark_all_read(*WHO, now=NOW)).updated == 0
    async with database.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(receipts))).scalar() == 0
    [newest, *_] = await inbox.list(*WHO, now=NOW)
    assert (newest.read, newest.read_at) == (True, NOW)
    await post(log, "tenant:acme")
    assert await inbox.unread(*WHO, now=NOW) == 1


async def test_read_all_reads_what_was_marked_unread_up_to_the_newest(
    log: EventLog, database: Database
) -> None:
    inbox, made = Inbox(database), [await post(log, "user:7") for _ in range(3)]
    await inbox.mark_all_read(*WHO, now=NOW)
    await inbox.mark_unread(*WHO, made, now=NOW)
    assert await inbox.unread(*WHO, now=NOW) == 3
    assert (await inbox.mark_all_read(*WHO, now=NOW)).updated == 3
    assert await inbox.unread(*WHO, now=NOW) == 0


async def test_nobody_can_touch_what_is_not_in_their_inbox(log: EventLog, database: Database) -> None:
    inbox = Inbox(database)
    mine = await post(log, "user:7")
    strange = [
        await post(log, "user:8"),
        await post(log, "user:7", exclude=("user:7",)),
        await post(log, "user:7", inbox=False),
        await post(log, "user:7", expires_at=NOW),
        await post(log, "user:7", tenant="globex"),
        new_id(),
    ]
    for change in (inbox.mark_read, inbox.mark_unread, inbox.mark_seen, inbox.archive, inbox.delete):
        assert ids((await change(*WHO, [*strange, mine], now=NOW)).items) == [mine]
    for id in strange:
        assert await inbox.get(*WHO, id, now=NOW) is None
    assert await inbox.counts("acme", "8", ["user:8"], now=NOW) == (1, 1)


async def test_two_people_read_the_same_notification_apart(log: EventLog, database: Database) -> None:
    inbox, id = Inbox(database), await post(log, "role:ADMIN")
    await inbox.mark_read(*WHO, [id], now=NOW)
    await inbox.delete("acme", "9", ["role:ADMIN"], [id], now=NOW)
    assert await inbox.counts(*WHO, now=NOW) == (1, 0)
    assert await inbox.counts("acme", "8", ["role:ADMIN"], now=NOW) == (1, 1)
    assert await inbox.counts("acme", "9", ["role:ADMIN"], now=NOW) == (0, 0)


async def test_who_is_in_no_room_has_an_empty_inbox(log: EventLog, database: Database) -> None:
    inbox, id = Inbox(database), await post(log, "user:7")
    assert await inbox.list("acme", "7", [], now=NOW) == []
    assert await inbox.counts("acme", "7", [], now=NOW) == (0, 0)
    assert await inbox.unread("acme", "7", [], now=NOW) == 0
    assert await inbox.get("acme", "7", [], id, now=NOW) is None
    assert (await inbox.mark_read("acme", "7", [], [id], now=NOW)).items == []


async def test_a_page_reads_as_much_of_a_long_inbox_as_of_a_short_one(
    log: EventLog, database: Database
) -> None:
    """Rows that leave the database, not time: that is what would grow first."""
    inbox = Inbox(database)
    statements: list[str] = []
    engine = database._reader.sync_engine
    listening.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    counts = []
    for _ in range(2):
        await log.append_many([an_append(an_event("tenant:acme", "role:ADMIN")) for _ in range(1500)])
        statements.clear()
        assert len(await inbox.list(*WHO, now=NOW, read=False, archived=False)) == 20
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 4
