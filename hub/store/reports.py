"""What admins read about notifications: the log of what was sent to whom, and the deliveries as they stand.

Both are pages from the newest to the oldest by a place (`offset`, `id`), so a page costs the same wherever
it begins. Decides nothing about how a row looks. Reads one tenant at a time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import RowMapping, Select, and_, literal, select, tuple_

from hub.domain.delivery import Delivery, Status
from hub.store.delivery_rows import delivery_of
from hub.store.engine import Database
from hub.store.places import span
from hub.store.tables import deliveries, event_rooms, events

IN_APP = "inApp"
D, E, R = deliveries.c, events.c, event_rooms.c
_ARRIVED = frozenset({Status.SENT, Status.DELIVERED, Status.OPENED})


class Place(NamedTuple):
    """Where a page ended."""

    offset: int
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows. None: no such filter; times are UTC, `until` is not included."""

    user: str | None = None
    type: str | None = None
    channel: str | None = None
    statuses: Collection[Status] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One notification to one person on one channel; in the app to everybody at once, then `user` is None."""

    place: Place
    user: str | None
    type: str
    data: dict[str, Any]
    channel: str
    delivered_at: datetime | None
    error: str | None
    created_at: datetime
    attempts: int


LogRows = list[LogRow]
Found = list[tuple[Place, Delivery]]


class Reports:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def logs(self, tenant: str, wanted: Wanted, *, limit: int, after: Place | None) -> LogRows:
        """A page of the log, newest first, beyond `after`."""
        rows: LogRows = []
        async with self._db.read() as conn:
            low, high = await span(conn, tenant, wanted.since, wanted.until)
            if wanted.channel != IN_APP:
                query = _between(_outside(tenant, wanted), D.offset, D.id, low, high, after)
                rows += [_outside_row(row) for row in (await conn.execute(query.limit(limit))).mappings()]
            if wanted.channel in (None, IN_APP) and _may_be_in_app(wanted):
                query = _between(_in_app(tenant, wanted), E.offset, E.id, low, high, after)
                found = (await conn.execute(query.limit(limit))).mappings()
                rows += [_in_app_row(row, wanted.user) for row in found]
        return sorted(rows, key=lambda row: row.place, reverse=True)[:limit]

    async def deliveries(self, tenant: str, wanted: Wanted, *, limit: int, after: Place | None) -> Found:
        """A page of deliveries as they stand, newest first, beyond `after`."""
        async with self._db.read() as conn:
            low, high = await span(conn, tenant, wanted.since, wanted.until)
            query = select(deliveries).where(D.tenant == tenant, *_conditions(wanted))
            query = _between(query, D.offset, D.id, low, high, after)
            rows = (await conn.execute(query.limit(limit))).mappings()
        return [(Place(row["offset"], row["id"]), delivery_of(row)) for row in rows]


def _between(
    query: Select[Any], offset: Any, id: Any, low: int, high: int, after: Place | None
) -> Select[Any]:
    # One upper bound, not two: SQLite would rather use both than the index that has all the rest.
    if after is None or after.offset > high:
        query = query.where(offset > low, offset <= high)
    else:
        query = query.where(
            offset > low, tuple_(offset, id) < tuple_(literal(after.offset), literal(after.id))
        )
    return query.order_by(offset.desc(), id.desc())


def _conditions(wanted: Wanted) -> list[Any]:
    found: list[Any] = []
    if wanted.user is not None:
        found.append(D.user == wanted.user)
    if wanted.channel is not None:
        found.append(D.channel == wanted.channel)
    if wanted.statuses is not None:
        # As plain text, so that a prepared statement can use the index of the dead ones too.
        values = [literal(status.value, literal_execute=True) for status in wanted.statuses]
        found.append(D.status == values[0] if len(values) == 1 else D.status.in_(values))
    if wanted.since is not None:
        found.append(D.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(D.created_at < wanted.until)
    return found


def _outside(tenant: str, wanted: Wanted) -> Select[Any]:
    query = (
        select(deliveries, E.type, E.data)
        .join_from(deliveries, events, and_(E.tenant == D.tenant, E.offset == D.offset), isouter=True)
        .where(D.tenant == tenant, *_conditions(wanted))
    )
    return query if wanted.type is None else query.where(E.type == wanted.type)


def _may_be_in_app(wanted: Wanted) -> bool:
    """What stands in an inbox has arrived."""
    return wanted.statuses is None or Status.DELIVERED in wanted.statuses


def _in_app(tenant: str, wanted: Wanted) -> Select[Any]:
    query = select(E.id, E.offset, E.type, E.data, E.rooms, E.created_at)
    if wanted.user is None:
        query = query.where(E.tenant == tenant, E.inbox)
    else:  # what was meant for this person, not what everybody got
        query = query.join(event_rooms, and_(R.tenant == E.tenant, R.offset == E.offset)).where(
            R.tenant == tenant, R.room == f"user:{wanted.user}", R.inbox
        )
    if wanted.type is not None:
        query = query.where(E.type == wanted.type)
    if wanted.since is not None:
        query = query.where(E.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(E.created_at < wanted.until)
    return query


def _outside_row(row: RowMapping) -> LogRow:
    delivery = delivery_of(row)
    arrived = delivery.status in _ARRIVED
    return LogRow(
        place=Place(row["offset"], row["id"]),
        user=row["user"],
        type=row["type"] or "",
        data=orjson.loads(row["data"] or b"{}"),
        channel=row["channel"],
        delivered_at=delivery.updated_at if arrived else None,
        error=delivery.update.error,
        created_at=row["created_at"],
        attempts=row["attempts"],
    )


def _in_app_row(row: RowMapping, asked: str | None) -> LogRow:
    rooms = orjson.loads(row["rooms"])
    users = [room.removeprefix("user:") for room in rooms if room.startswith("user:")]
    return LogRow(
        place=Place(row["offset"], row["id"]),
        user=asked or (users[0] if len(users) == len(rooms) == 1 else None),
        type=row["type"],
        data=orjson.loads(row["data"]),
        channel=IN_APP,
        delivered_at=row["created_at"],
        error=None,
        created_at=row["created_at"],
        attempts=1,
    )
