"""Claiming deliveries for a worker: the lease, and what it has to know to send them.

Runs inside a transaction that somebody else has begun; the promises are those of `hub.store.deliveries`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from sqlalchemy import Connection, RowMapping, and_, bindparam, select, update

from hub.domain.delivery import CLAIMABLE, Claim, Member
from hub.store.crews import CLAIMED, CLAIMING, take
from hub.store.delivery_rows import D, address_of, is_push
from hub.store.events import EVENT_COLUMNS, event_of
from hub.store.preferences import defaults_of
from hub.store.push import owned
from hub.store.suppressions import among
from hub.store.tables import deliveries, events, people, preferences, read_marks, receipts, tenants


@dataclass(frozen=True, slots=True)
class ToClaim:
    id: str
    now: datetime
    lease: float


_FREE = (
    select(D.id)
    .where(
        D.id.in_(bindparam("ids", expanding=True)),
        D.digest.is_(None),
        D.status.in_(CLAIMABLE),
        D.due_at <= bindparam("now"),
    )
    .with_for_update(skip_locked=True)  # whoever has it locked is claiming it
)
_CLAIM = update(deliveries).where(D.id.in_(_FREE.scalar_subquery())).values(**CLAIMING).returning(*CLAIMED)
# The events of claimed deliveries, with how their recipients read dates and words, what they want, and what
# they did with it where that matters.
_SOURCES = (
    select(
        D.id.label("delivery_id"),
        *EVENT_COLUMNS,
        *(people.c.locale, people.c.timezone, preferences.c.wishes, tenants.c.settings),
        *(receipts.c.read, receipts.c.seen_at, receipts.c.archived_at, receipts.c.deleted_at),
        read_marks.c.offset.label("mark"),
    )
    .join_from(deliveries, events, and_(events.c.tenant == D.tenant, events.c.offset == D.offset))
    .join(tenants, tenants.c.id == D.tenant)
    .outerjoin(people, and_(people.c.tenant == D.tenant, people.c.id == D.user))
    .outerjoin(preferences, and_(preferences.c.tenant == D.tenant, preferences.c.user == D.user))
    .outerjoin(
        receipts,
        and_(
            D.unless_seen,
            receipts.c.tenant == D.tenant,
            receipts.c.user == D.user,
            receipts.c.offset == D.offset,
        ),
    )
    .outerjoin(
        read_marks,
        and_(D.unless_seen, read_marks.c.tenant == D.tenant, read_marks.c.user == D.user),
    )
    .where(D.id.in_(bindparam("ids", expanding=True)))
)


def claim(connection: Connection, wanted: Sequence[ToClaim]) -> dict[str, Claim]:
    """Those of the wanted that could be had, by the id that was asked for; a crew comes with its leader."""
    now = max(item.now for item in wanted)
    times = {"now": now, "lease_until": now + timedelta(seconds=max(item.lease for item in wanted))}
    ids = {item.id for item in wanted}
    rows = [*(connection.execute(_CLAIM, {**times, "ids": list(ids)})).mappings()]
    crews: dict[str, list[RowMapping]] = {row["id"]: [row] for row in rows}
    if others := ids - crews.keys():
        joined = take(connection, others, times)
        crews |= joined
        rows += [row for crew in joined.values() for row in crew]
    if not rows:
        return {}
    found = connection.execute(_SOURCES, {"ids": [row["id"] for row in rows]})
    sources = {source["delivery_id"]: source for source in found.mappings()}
    closed = _closed(connection, [crew[0] for crew in crews.values()])
    return {
        asked: _claimed(crew, sources, suppressed=crew[0]["id"] in closed) for asked, crew in crews.items()
    }


def _closed(connection: Connection, rows: Sequence[RowMapping]) -> set[str]:
    """Those of these deliveries to whose addresses nothing is to be sent: suppressed, or a browser that its
    user has signed off, or that another one has signed on with."""
    given = [row for row in rows if row["address"]]
    browsers = {row["id"]: (row["tenant"], row["user"], row["address"]) for row in given if is_push(row)}
    open_ = owned(connection, list(browsers.values())) if browsers else set()
    struck = among(connection, [address_of(row) for row in given if not is_push(row)])
    closed = {id for id, browser in browsers.items() if browser not in open_}
    return closed | {row["id"] for row in given if address_of(row) in struck}


def _claimed(crew: Sequence[RowMapping], sources: Mapping[str, RowMapping], *, suppressed: bool) -> Claim:
    row, *others = crew
    source = sources.get(row["id"])
    return Claim(
        id=row["id"],
        tenant=row["tenant"],
        user=row["user"],
        channel=row["channel"],
        address=row["address"],
        fence=row["fence"],
        attempts=row["attempts"],
        past_attempts=row["past_attempts"],
        past_fence=row["past_fence"],
        maybe_duplicate=row["maybe_duplicate"],
        event=event_of(source) if source else None,
        locale=source["locale"] if source else None,
        timezone=source["timezone"] if source else None,
        suppressed=suppressed,
        crew=tuple(
            Member(
                id=one["id"],
                fence=one["fence"],
                event=event_of(sources[one["id"]]) if one["id"] in sources else None,
            )
            for one in others
        ),
        wanted=orjson.loads(source["wishes"]) if source and source["wishes"] else {},
        default=defaults_of(source["settings"]) if source else {},
        seen=source is not None and row["unless_seen"] and _seen(source),
        request=row["request"],
    )


def _seen(source: RowMapping) -> bool:
    """Whether a person has dealt with a notification: seen, read, archived or removed it."""
    marks = ("seen_at", "archived_at", "deleted_at")
    if source["read"] or any(source[name] is not None for name in marks):
        return True
    return source["read"] is None and source["mark"] is not None and source["mark"] >= source["offset"]
