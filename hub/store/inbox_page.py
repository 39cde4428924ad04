"""A page of an inbox with its counts, in one trip to the database, together with what others ask for.

What a page shows, what its deliveries came to, and how many items there are is asked at once, in the driver's
own SQL, of which SQLAlchemy knows nothing. Promises of each answer that it is about its asker alone. Each
statement sees what was committed when it began. When so much has been put away at the top of an inbox that
the page is not full, `complete` is False, and somebody else goes on reading; this file does not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from hub.domain.delivery import Status, shown
from hub.domain.events import Event
from hub.store import inbox_sql
from hub.store.audience import Audience
from hub.store.bulk import sqlite_time
from hub.store.engine import Database
from hub.store.inbox_reading import Filters, Item
from hub.store.trips import Found, Statement

NEAR = 200  # items from the top of an inbox that one trip may bring
_SPARE = 10  # places looked at beyond those asked for, because some may have been put away
States = dict[str, list[dict[str, Any]]]


class Tally(NamedTuple):
    """What the index says of an audience, all in all and above the watermark, and what it does not know:
    `special` are (fresh, hidden, archived, read, events)."""

    all: int
    fresh: int
    special: Sequence[tuple[Any, ...]]

    def matching(self, *, read: bool | None, archived: bool | None) -> int:
        """Items that pass the filters: ordinary events, plus the special ones that do."""
        fresh = self.fresh - sum(row[4] for row in self.special if row[0])
        old = self.all - self.fresh - sum(row[4] for row in self.special if not row[0])
        ordinary = 0 if archived else {None: fresh + old, False: fresh, True: old}[read]
        return ordinary + sum(
            int(events)
            for _, hidden, put_away, seen, events in self.special
            if not hidden and archived in (None, bool(put_away)) and read in (None, bool(seen))
        )


class Wanted(NamedTuple):
    """The newest `first` items (0: none, only the counts) between the places `after` and `before`."""

    audience: Audience
    user: str
    now: datetime
    filters: Filters
    first: int
    after: int
    before: int


class Shown(NamedTuple):
    """`items` newest first, and per event id what became of its deliveries. `complete`: there are no more of
    them, or as many as were asked for. `tally` is of the whole inbox."""

    items: list[Item]
    states: States
    complete: bool
    tally: Tally


async def pages(db: Database, asked: Sequence[Wanted]) -> list[Shown]:
    """The answers, in the order of the questions. Filters on `type` are not for here."""
    statements: list[Statement] = []
    for one in asked:
        statements += _statements(one, db.dialect)
    found = iter(await db.fetch(statements))
    return [_shown(one, next(found), next(found), *_page(one, found)) for one in asked]


async def tallies(db: Database, audience: Audience, user: str, now: datetime) -> dict[str, Tally]:
    """What is to be known of an inbox for each type of event in it, in one trip."""
    values, rooms = _values(audience, user, now, db.dialect), len(audience.distinct)
    texts = [inbox_sql.tally(rooms, by_type=True), inbox_sql.special(rooms, by_type=True)]
    sizes, special = await db.fetch([(_of_driver(text, db.dialect), values) for text in texts])
    special_of: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for *row, kind in special:
        special_of[kind].append(tuple(row))
    return {kind: Tally(int(every), int(fresh), special_of[kind]) for every, fresh, kind in sizes}


def _page(one: Wanted, found: Any) -> tuple[Found, Found]:
    return (next(found), next(found)) if one.first else ([], [])


def _statements(one: Wanted, dialect: str) -> list[Statement]:
    rooms, filters = len(one.audience.distinct), one.filters
    values = _values(one.audience, one.user, one.now, dialect) | {
        "after": one.after,
        "before": one.before,
        "limit": one.first + _SPARE,
    }
    texts = [inbox_sql.tally(rooms), inbox_sql.special(rooms)]
    if one.first:
        texts.append(inbox_sql.page(rooms, read=filters.read, archived=filters.archived))
        texts.append(inbox_sql.states(rooms, read=filters.read, archived=filters.archived))
    return [(_of_driver(text, dialect), values) for text in texts]


def _values(audience: Audience, user: str, now: datetime, dialect: str) -> dict[str, Any]:
    return {
        **audience.parameters,
        **audience.excluded,
        "user": user,
        "now": sqlite_time(now) if dialect == "sqlite" else now,
    }


@lru_cache(maxsize=512)
def _of_driver(text: str, dialect: str) -> str:
    """SQLite takes `:name` as it is."""
    return text if dialect == "sqlite" else re.sub(r":(\w+)", r"%(\1)s", text)


def _shown(one: Wanted, sizes: Found, special: Found, rows: Found, deliveries: Found) -> Shown:
    [(every, fresh)] = sizes
    passing = sorted((row for row in rows if row[1]), key=_place, reverse=True)
    states: States = defaultdict(list)
    for _, event, channel, status, attempts, error in sorted(deliveries):
        state = {"channel": channel, "status": shown(Status(status)), "attempts": attempts, "error": error}
        states[event].append(state)
    complete = len(passing) >= one.first or len(rows) < one.first + _SPARE
    tenant = one.audience.tenant
    items = [_item(tenant, row) for row in passing[: one.first]]
    return Shown(items, states, complete, Tally(int(every), int(fresh), special))


def _place(row: tuple[Any, ...]) -> int:
    place: int = row[0]
    return place


def _item(tenant: str, row: tuple[Any, ...]) -> Item:
    # fmt: off
    (offset, _, epoch, id, type, wire, title, message, link, data, severity, inbox, rooms, exclude, actor,
     created_at, expires_at, read, read_at, seen_at, archived_at) = row
    # fmt: on
    event = Event(
        tenant=tenant,
        id=id,
        type=type,
        wire=wire,
        created_at=_required(created_at),
        rooms=tuple(orjson.loads(rooms)),
        title=title,
        message=message,
        link=link,
        data=orjson.loads(data),
        severity=severity,
        inbox=bool(inbox),
        exclude=tuple(orjson.loads(exclude)) if exclude else (),
        actor=actor,
        expires_at=_time(expires_at),
        epoch=epoch,
        offset=offset,
    )
    return Item(event, bool(read), _time(read_at), _time(seen_at), _time(archived_at))


def _time(stored: Any) -> datetime | None:
    return None if stored is None else _required(stored)


def _required(stored: Any) -> datetime:
    """SQLite has times as text, in UTC; PostgreSQL's are in the zone of the connection."""
    if isinstance(stored, str):
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    moment: datetime = stored.astimezone(UTC)
    return moment
