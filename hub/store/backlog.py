"""Deliveries nobody works on: what is due and what a dead worker has left behind.

This is what makes the queue a mere hint: whatever the queue loses, or never got, is found here and handed
out again. Promises: two sweepers at once never hand out the same row twice. Decides nothing about how a
delivery is sent, and does not know the queue.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, null, or_, select, update

from hub.domain.delivery import RESENT_WHEN_UNKNOWN, Delivery, Status
from hub.store.delivery_rows import delivery_of
from hub.store.engine import Database
from hub.store.tables import WAITING, attempts, deliveries

D = deliveries.c


class Backlog:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def due(
        self, channel: str, *, now: datetime, limit: int, settle: float, trust: float
    ) -> list[tuple[str, str]]:
        """Mark up to `limit` deliveries as queued, the longest due first; their (id, channel).

        A planned row is left alone for `settle` seconds after it was written: whoever wrote it tells the
        queue itself. A queued one is trusted to be in the queue for `trust` seconds, then taken again.
        """
        waiting = or_(
            and_(D.status == Status.PLANNED, D.updated_at <= now - timedelta(seconds=settle)),
            D.status == Status.FAILED,
            and_(
                D.status.in_((Status.QUEUED, Status.UNKNOWN)),
                or_(D.lease_until.is_(None), D.lease_until <= now),
            ),
        )
        chosen = (
            select(D.id)
            .where(WAITING, D.channel == channel, D.due_at <= now, waiting)
            .order_by(D.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        queued = (
            update(deliveries)
            .where(D.id.in_(chosen.scalar_subquery()))
            .values(
                # What is unknown stays so until a worker claims it and marks it as a possible duplicate.
                status=case((D.status == Status.UNKNOWN, Status.UNKNOWN), else_=Status.QUEUED),
                lease_until=now + timedelta(seconds=trust),
                updated_at=now,
            )
            .returning(D.id, D.channel)
        )
        return await self._db.work(
            lambda connection: [(id, channel) for id, channel in connection.execute(queued)]
        )

    async def recover(self, *, now: datetime) -> list[Delivery]:
        """End every lease that has run out; the deliveries as they stand now.

        Not called yet: planned again. Call started: unknown, due at once on the channels that send again.
        """
        called = D.call_started.is_not(None)
        ended = (
            select(D.id)
            .where(WAITING, D.status == Status.SENDING, D.lease_until <= now)
            .with_for_update(skip_locked=True)  # its worker is writing down how it ended
        )
        lost = (
            update(deliveries)
            .where(D.id.in_(ended.scalar_subquery()))
            .values(
                status=case((called, Status.UNKNOWN), else_=Status.PLANNED),
                due_at=case((and_(called, D.channel.not_in(RESENT_WHEN_UNKNOWN)), null()), else_=now),
                error=case((called, "the worker died during the call"), else_=D.error),
                lease_until=None,
                # With whom no provider was called, may leave with others next time.
                digest_of=case((D.attempts > 0, D.digest_of), else_=null()),
                updated_at=now,
            )
            .returning(*deliveries.c)
        )

        def end(connection: Connection) -> list[Delivery]:
            rows = connection.execute(lost).mappings().all()
            if rows:
                a, ids = attempts.c, [row["id"] for row in rows]
                under_way = and_(a.delivery_id.in_(ids), a.outcome.is_(None))
                connection.execute(update(attempts).where(under_way).values(outcome="lost"))
            return [delivery_of(row) for row in rows]

        return await self._db.work(end)
