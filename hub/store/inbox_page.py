"""A page of an inbox with its counts, in one trip to the database, together with what others ask for.

What a page shows, what its deliveries came to, and how many items there are is asked at once, in the
driver's own SQL, of which SQLAlchemy knows nothing; a second question in the same trip is for what has
changed or is not known yet. Promises of each answer that it is about its asker alone. Each statement sees
what was committed when it began. When so much has been put away at the top of an inbox that the page is not
full, `complete` is False, and somebody else goes on reading; this file does not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from hub.domain.delivery import Status, shown
from hub.domain.events import Event
from hub.store import inbox_counts, inbox_sql
from hub.store.bulk import sqlite_time
from hub.store.engine import Database
from hub.store.inbox_counts import Asker, Counted, Kept, Tally
from hub.store.inbox_reading import END, Filters
from hub.store.trips import Asks, Found, Statement, side_by_side

NEAR = 200  # items from the top of an inbox that one trip may bring
_SPARE = 10  # places looked at beyond those asked for, because some may have been put away
States = list[dict[str, Any]]
Place = tuple[str, str, int]  # tenant, epoch, offset
# Read, and when; when seen; when archived.
Marked = tuple[bool, datetime | None, datetime | None, datetime | None]
# What the asker knows already of an event that never changes; None: nothing.
Known = Callable[[Place], bytes | None]


class Wanted(NamedTuple):
    """The newest `first` items (0: none, only the counts) after the place `after`."""

    asker: Asker
    filters: Filters
    first: int
    after: int
    known: Known


class Line(NamedTuple):
    """One item: what the asker knew of its event, or the event; the person's marks; and what became of the
    person's deliveries (None: ask for it)."""

    place: Place
    content: bytes | Event
    marks: Marked
    states: States | None


class Shown(NamedTuple):
    """`lines` newest first. `complete`: there are no more of them, or as many as were asked for. `tally` is
    of the whole inbox."""

    lines: list[Line]
    complete: bool
    tally: Tally


class Pages:
    """Answers many at once, and keeps what it has counted."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept = Kept()

    async def read(self, asked: Sequence[Wanted]) -> list[Shown]:
        """The answers, in the order of the questions. Filters on `type` are not for here."""
        dialect, kept = self._db.dialect, self._kept
        answers = await self._db.ask(
            side_by_side([_page(one, kept.find(one.asker), dialect) for one in asked])
        )
        for one, (counted, _, _) in zip(asked, answers, strict=True):
            kept.keep(one.asker, counted)
        return [Shown(lines, complete, counted.all) for counted, lines, complete in answers]

    async def by_type(self, asker: Asker) -> dict[str, Tally]:
        """What is to be known of an inbox for each type of event in it."""
        kept = self._kept
        before = kept.find(asker, by_type=True)
        counted = await self._db.ask(_by_type(asker, before, self._db.dialect))
        kept.keep(asker, counted, by_type=True)
        return {**counted.tallies}


# -- what is asked: it may run in a thread, so it changes nothing -----------------------------------------
def _page(one: Wanted, before: Counted | None, dialect: str) -> Asks[tuple[Counted, list[Line], bool]]:
    asker, filters = one.asker, one.filters
    values = _values(asker, before, dialect)
    asked = [_statement(inbox_counts.question(asker, before), values, dialect)]
    wanted = one.first + _spare(filters, before)
    if one.first:
        rooms = len(asker.audience.distinct)
        text = inbox_sql.places(rooms, read=filters.read, archived=filters.archived)
        bounds = {"after": one.after, "before": END, "limit": wanted}
        asked.append(_statement(text, values | bounds, dialect))
    rows, *found = yield asked
    counted = _counted(asker, before, rows)
    places, deliveries = _places(found[0]) if found else ([], {})
    passing = [place for place in places if place[1]][: one.first]
    tenant, epoch = asker.audience.tenant, inbox_counts.epoch_in(rows)
    contents: dict[int, bytes | Event | None] = {
        place[0]: one.known((tenant, epoch, place[0])) for place in passing
    }
    asked = []
    if unknown := [offset for offset, content in contents.items() if content is None]:
        asked.append(_contents(tenant, unknown, dialect))
    if counted is None:
        text = inbox_counts.question(asker, None)
        asked.append(_statement(text, _values(asker, None, dialect), dialect))
    if asked:
        more = [*(yield asked)]
        if counted is None:
            counted = inbox_counts.counted(asker, more.pop())
        for row in more[0] if more else ():
            contents[row[0]] = _event(tenant, row)
    assert counted is not None
    lines = [
        Line((tenant, epoch, offset), content, _marks(marks), _states(deliveries.get(offset, ())))
        for offset, _, *marks in passing
        if (content := contents[offset]) is not None  # else it has just been removed
    ]
    complete = len(passing) >= one.first or len(places) < wanted
    return counted, lines, complete


def _by_type(asker: Asker, before: Counted | None, dialect: str) -> Asks[Counted]:
    text = inbox_counts.question(asker, before, by_type=True)
    [rows] = yield [_statement(text, _values(asker, before, dialect), dialect)]
    counted = _counted(asker, before, rows)
    if counted is None:
        text = inbox_counts.question(asker, None, by_type=True)
        [rows] = yield [_statement(text, _values(asker, None, dialect), dialect)]
        counted = inbox_counts.counted(asker, rows)
    return counted


def _counted(asker: Asker, before: Counted | None, rows: Found) -> Counted | None:
    if before is None:
        return inbox_counts.counted(asker, rows)
    return inbox_counts.counted_on(asker, before, rows)


def _spare(filters: Filters, before: Counted | None) -> int:
    """Places that are looked at beyond those asked for."""
    if before is None or filters.read is not None or filters.archived is not None:
        return _SPARE
    return min(_SPARE, before.all.hidden)


def _places(rows: Found) -> tuple[Found, Mapping[int, Found]]:
    """The places newest first, each once (its offset, whether it passes, its marks), and their deliveries."""
    places: dict[int, tuple[Any, ...]] = {}
    deliveries: defaultdict[int, Found] = defaultdict(list)
    for row in rows:
        places[row[0]] = row[:6]
        if row[6] is not None:
            deliveries[row[0]].append(row[6:])
    return [places[offset] for offset in sorted(places, reverse=True)], deliveries


def _marks(stored: Sequence[Any]) -> Marked:
    if stored == _UNTOUCHED:
        return _FRESH
    read, read_at, seen_at, archived_at = stored
    return bool(read), _time(read_at), _time(seen_at), _time(archived_at)


_FRESH: Marked = (False, None, None, None)
_UNTOUCHED = [*_FRESH]


def _states(deliveries: Sequence[tuple[Any, ...]]) -> States:
    return [
        {"channel": channel, "status": shown(Status(status)), "attempts": attempts, "error": error}
        for _, channel, status, attempts, error in sorted(deliveries)
    ]


def _contents(tenant: str, offsets: list[int], dialect: str) -> Statement:
    if dialect == "sqlite":
        return inbox_sql.CONTENTS, {"tenant": tenant, "offsets": orjson.dumps(offsets).decode()}
    text = inbox_sql.CONTENTS.replace("IN (SELECT value FROM json_each(:offsets))", "= ANY(:offsets)")
    return _of_driver(text, dialect), {"tenant": tenant, "offsets": offsets}


def _values(asker: Asker, before: Counted | None, dialect: str) -> dict[str, Any]:
    time = sqlite_time if dialect == "sqlite" else _as_it_is
    values = {**asker.audience.parameters, **asker.audience.excluded, "user": asker.user}
    values["now"] = time(asker.now)
    if before is not None:
        values |= {"upto": before.upto, "then": time(before.then)}
    return values


def _as_it_is(time: datetime) -> datetime:
    return time


def _statement(text: str, values: dict[str, Any], dialect: str) -> Statement:
    return _of_driver(text, dialect), values


@lru_cache(maxsize=512)
def _of_driver(text: str, dialect: str) -> str:
    """SQLite takes `:name` as it is."""
    return text if dialect == "sqlite" else re.sub(r"(?<!:):(\w+)", r"%(\1)s", text)


def _event(tenant: str, row: tuple[Any, ...]) -> Event:
    offset, epoch, id, type, wire, title, message, link, data, severity, rooms, created_at = row
    return Event(
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
        inbox=True,
        epoch=epoch,
        offset=offset,
    )


def _time(stored: Any) -> datetime | None:
    return None if stored is None else _required(stored)


def _required(stored: Any) -> datetime:
    """SQLite has times as text, in UTC; PostgreSQL's are in the zone of the connection."""
    if isinstance(stored, str):
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    moment: datetime = stored.astimezone(UTC)
    return moment
