"""Dead letters: what was given up, brought back by an operator.

Promises: a delivery is brought back once, and only from where it may be (`TRANSITIONS`): when it is dead,
or when a call was cut off and nobody knows whether it was carried out. It keeps its id and its history; its
patience begins anew, and its fence goes on rising, so a worker from before can still write nothing.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, case, or_, select, update

from hub.domain.delivery import Delivery, Status
from hub.domain.errors import DeliveryUnknown, StateConflict
from hub.store.audit import Note, put
from hub.store.delivery_rows import delivery_of
from hub.store.engine import Database
from hub.store.tables import deliveries

D = deliveries.c


class DeadLetters:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def retry(self, tenant: str, id: str, *, now: datetime, note: Note | None = None) -> Delivery:
        """Make it due now; the delivery as it stands then. Raises `DeliveryUnknown` or `StateConflict`."""
        stuck = and_(D.status == Status.UNKNOWN, D.due_at.is_(None))
        revived = (
            update(deliveries)
            .where(D.id == id, D.tenant == tenant, or_(D.status == Status.DEAD, stuck))
            .values(
                # What is unknown stays so until a worker claims it and marks it as a possible duplicate.
                status=case((D.status == Status.DEAD, Status.PLANNED), else_=Status.UNKNOWN),
                due_at=now,
                lease_until=None,
                past_attempts=D.attempts,
                past_fence=D.fence,
                reason=None,
                updated_at=now,
            )
            .returning(*deliveries.c)
        )
        async with self._db.write() as conn:
            row = (await conn.execute(revived)).mappings().first()
            if row is None:
                known = select(D.status).where(D.id == id, D.tenant == tenant)
                status = (await conn.execute(known)).scalar()
                if status is None:
                    raise DeliveryUnknown("no such delivery")
                raise StateConflict(f"only what is dead or stuck can be tried again; this one is {status}")
            await put(conn, note)
        return delivery_of(row)
