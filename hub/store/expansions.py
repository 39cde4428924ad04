"""Role and tenant audiences of outside channels that are still to be written out as deliveries.

Promises: a chunk and the place it ends at are committed together, so whoever takes an expansion up goes
on where the last one stopped; two at once write a chunk once; a person who already has a delivery of the
event on a channel gets no second one (on web push: a browser). Does not know who is in an audience.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import and_, insert, select, true, update

from hub.domain.delivery import Planned
from hub.store.engine import Database
from hub.store.rows import delivery_row
from hub.store.tables import deliveries, events, expansions

E = expansions.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """An audience and how far it is written out: up to the person `after`. What follows `after` is the
    event's; `type` None: retention has removed it."""

    id: str
    tenant: str
    offset: int
    event_id: str
    room: str
    channels: tuple[str, ...]
    after: str
    exclude: frozenset[str]
    expires_at: datetime | None
    type: str | None
    severity: str
    data: Mapping[str, Any]
    at: datetime
    request: str | None


class Expansions:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def open(self, *, limit: int) -> list[Expansion]:
        """The oldest that are not done."""
        oldest = (
            select(
                expansions,
                *(events.c.exclude, events.c.expires_at, events.c.type, events.c.severity, events.c.data),
                events.c.created_at.label("at"),
            )
            .outerjoin(events, and_(events.c.tenant == E.tenant, events.c.offset == E.offset))
            .where(E.done.is_not(true()))
            .order_by(E.id)
            .limit(limit)
        )
        async with self._db.read() as connection:
            rows = (await connection.execute(oldest)).mappings().all()
        return [
            Expansion(
                id=row["id"],
                tenant=row["tenant"],
                offset=row["offset"],
                event_id=row["event_id"],
                room=row["room"],
                channels=tuple(row["channels"].split()),
                after=row["after"],
                exclude=frozenset(orjson.loads(row["exclude"] or "[]")),
                expires_at=row["expires_at"],
                type=row["type"],
                severity=row["severity"] or "info",
                data=orjson.loads(row["data"] or "{}"),
                at=row["at"] or row["created_at"],
                request=row["request"],
            )
            for row in rows
        ]

    async def write(
        self, expansion: Expansion, planned: Sequence[Planned], *, after: str, done: bool, now: datetime
    ) -> list[Planned]:
        """Store a chunk, which ends at the person `after`; what was new. Empty when another was first."""
        ours = (
            update(expansions)
            .where(E.id == expansion.id, E.after == expansion.after, E.done.is_not(true()))
            .values(after=after, done=done)
        )
        # Two audiences of one event may hold the same person: their chunks are written one after the other.
        siblings = select(E.id).where(E.event_id == expansion.event_id).order_by(E.id).with_for_update()
        had = select(deliveries.c.user, deliveries.c.channel, deliveries.c.address).where(
            deliveries.c.tenant == expansion.tenant,
            deliveries.c.offset == expansion.offset,
            deliveries.c.user.in_({item.user for item in planned}),
        )
        async with self._db.write() as connection:
            await connection.execute(siblings)
            if (await connection.execute(ours)).rowcount == 0:
                return []
            known = {_once(*row) for row in await connection.execute(had)}
            new = [item for item in planned if _once(item.user, item.channel, item.address) not in known]
            if new:
                rows = [
                    delivery_row(
                        item,
                        request=expansion.request,
                        tenant=expansion.tenant,
                        offset=expansion.offset,
                        event_id=expansion.event_id,
                        now=now,
                    )
                    for item in new
                ]
                await connection.execute(insert(deliveries), rows)
        return new


def _once(user: str, channel: str, address: str | None) -> tuple[str, str, str | None]:
    """What there is at most one delivery of an event for: a person on a channel, or one of their browsers."""
    return user, channel, address if channel == "webpush" else None
