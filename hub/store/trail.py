"""What became of one user's deliveries: the whole story of one notification's, and counts of all of them.

Nothing is written here, and nothing of another user is ever read: `tenant` and `user` are in every
condition.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from hub.domain.delivery import Delivery
from hub.store.deliveries import Attempt
from hub.store.delivery_rows import delivery_of
from hub.store.engine import Database
from hub.store.places import offsets_of
from hub.store.tables import attempts, callbacks, delivered_marks, deliveries

D, A, C, M = deliveries.c, attempts.c, callbacks.c, delivered_marks.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a provider said after a call: a status, or why it gets nothing more there. `at`: its own time."""

    attempt: int
    step: str
    at: datetime
    provider: str
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One delivery: when it was written, how it stands, the calls of a provider in order, and what was said
    after them."""

    delivery: Delivery
    created_at: datetime
    attempts: tuple[Attempt, ...]
    told: tuple[Told, ...] = ()


class Trail:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def of(self, tenant: str, user: str, event_id: str) -> list[Story]:
        """The user's deliveries of one event, in the order they were written."""
        mine = select(deliveries).where(
            D.tenant == tenant, D.user == user, D.offset.in_(offsets_of(tenant, [event_id]))
        )
        calls = select(
            A.delivery_id, A.number, A.started_at, A.duration_ms, A.provider, A.outcome, A.detail
        ).where(A.delivery_id.in_(mine.with_only_columns(D.id)))
        said = select(callbacks).where(C.delivery_id.in_(mine.with_only_columns(D.id)))
        async with self._db.read() as conn:
            rows = (await conn.execute(mine.order_by(D.id))).mappings().all()
            told: dict[str, list[Told]] = defaultdict(list)
            for one in (await conn.execute(said)).mappings():
                told[one["delivery_id"]].append(
                    Told(**{name: value for name, value in one.items() if name != "delivery_id"})
                )
            made: dict[str, list[Attempt]] = defaultdict(list)
            for call in (await conn.execute(calls.order_by(A.delivery_id, A.number))).mappings():
                fields = {name: value for name, value in call.items() if name != "delivery_id"}
                made[call["delivery_id"]].append(Attempt(**fields))
        return [
            Story(
                delivery=delivery_of(row),
                created_at=row["created_at"],
                attempts=tuple(made[row["id"]]),
                told=tuple(told[row["id"]]),
            )
            for row in rows
        ]

    async def acknowledged(self, tenant: str, user: str, offset: int) -> datetime | None:
        """When the user's clients said that they have this place of the log; None: they have not.

        When they have said so of a later place too, that time.
        """
        mark = select(M.delivered_at).where(M.tenant == tenant, M.user == user, M.offset >= offset)
        async with self._db.read() as conn:
            at: datetime | None = (await conn.execute(mark)).scalar()
        return at

    async def counts(self, tenant: str, user: str) -> dict[str, dict[str, int]]:
        """How many of the user's deliveries are in which status, by channel."""
        counted = (
            select(D.channel, D.status, func.count())
            .where(D.tenant == tenant, D.user == user)
            .group_by(D.channel, D.status)
            .order_by(D.channel, D.status)
        )
        found: dict[str, dict[str, int]] = defaultdict(dict)
        async with self._db.read() as conn:
            for channel, status, count in await conn.execute(counted):
                found[channel][status] = count
        return dict(found)
