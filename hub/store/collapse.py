"""A newer event takes the place of older ones with the same collapse key.

Promises: what the older ones have not sent is cancelled, and they leave the inboxes of the rooms that both
went to, except of people who have read them in a room of their own; both in one transaction, and doing it
twice does it once. Only events before the newer one in the log are touched, so of two that come at once the
later stays. It looks at no more than MOST older ones, by an index. Does not know who is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import and_, exists, literal, not_, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.delivery import UNSENT, Delivery, Status
from hub.domain.events import Event
from hub.store import tables
from hub.store.engine import Database
from hub.store.scheduled import supersede
from hub.store.steps import delivery_of

MOST = 20
USER = "user:"

_E, _ER, _D, _X = tables.events.c, tables.event_rooms.c, tables.deliveries.c, tables.expansions.c
_R, _M, _T = tables.receipts.c, tables.read_marks.c, tables.tenants.c
_MINE = and_(_R.tenant == _ER.tenant, _R.offset == _ER.offset, literal(USER) + _R.user == _ER.room)
_MARKED = and_(_M.tenant == _ER.tenant, _M.offset >= _ER.offset, literal(USER) + _M.user == _ER.room)
_READ = or_(
    exists().where(_MINE, _R.read.is_(True)),
    and_(exists().where(_MARKED), not_(exists().where(_MINE, _R.read.is_(False)))),
)


@dataclass(frozen=True, slots=True)
class Replaced:
    """An older event: the rooms whose inboxes it has left, and the deliveries that were cancelled."""

    tenant: str
    id: str
    rooms: Sequence[str]
    cancelled: Sequence[Delivery]


class Collapse:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def replace(self, newer: Sequence[tuple[Event, str]], *, now: datetime) -> list[Replaced]:
        """What each of these stored events, with its collapse key, has replaced."""
        replaced = []
        async with self._db.write() as conn:
            names = sorted({event.tenant for event, _ in newer})
            lock = select(_T.id).where(_T.id.in_(names)).order_by(_T.id)
            await conn.execute(lock.with_for_update(key_share=True))  # first, like every writer of the log
            for event, key in newer:
                await supersede(conn, event.tenant, key, event.rooms, before=event.id)
                for older in await _older(conn, event, key):
                    done = await _replace(conn, older, event, now)
                    replaced += [done] if done.rooms or done.cancelled else []
        return replaced


async def _older(conn: AsyncConnection, event: Event, key: str) -> Sequence[Any]:
    wanted = (
        select(_E.offset, _E.id, _E.rooms)
        .where(_E.tenant == event.tenant, _E.collapse_key == key, _E.offset < event.offset)
        .order_by(_E.offset.desc())
        .limit(MOST)
    )
    return (await conn.execute(wanted)).all()


async def _replace(conn: AsyncConnection, older: Any, event: Event, now: datetime) -> Replaced:
    offset, id, text = older
    rooms: list[str] = orjson.loads(text)
    both = [room for room in rooms if room in event.rooms]
    wholly = len(both) == len(rooms)
    place = and_(_ER.tenant == event.tenant, _ER.offset == offset)
    left = await conn.execute(
        update(tables.event_rooms)
        .where(place, _ER.room.in_(both), _ER.inbox, not_(_READ))
        .values(inbox=False)
        .returning(_ER.room)
    )
    gone = sorted(left.scalars())
    await conn.execute(
        update(tables.expansions)
        .where(_X.tenant == event.tenant, _X.offset == offset, _X.room.in_(both))
        .values(done=True)
    )
    people = [room.removeprefix(USER) for room in both if room.startswith(USER)]
    cancelled = await conn.execute(
        update(tables.deliveries)
        .where(
            _D.tenant == event.tenant,
            _D.offset == offset,
            _D.status.in_(UNSENT),
            true() if wholly else _D.user.in_(people),
        )
        .values(
            status=Status.CANCELLED,
            reason=f"replaced by {event.id}",
            due_at=None,
            lease_until=None,
            updated_at=now,
        )
        .returning(*tables.deliveries.c)
    )
    rows = cancelled.mappings().all()
    if wholly:  # nobody need look at it again
        await conn.execute(
            update(tables.events)
            .where(_E.tenant == event.tenant, _E.offset == offset)
            .values(collapse_key=None)
        )
    return Replaced(event.tenant, id, gone, [delivery_of(row) for row in rows])
