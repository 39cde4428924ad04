"""What waits to be sent, over all tenants: one look at the deliveries that are not over.

It reads the index of due deliveries, so it costs what waits and not what was ever sent. Decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from hub.store.engine import Database
from hub.store.tables import WAITING, deliveries

D = deliveries.c


@dataclass(frozen=True, slots=True)
class Waiting:
    """`count` deliveries of a channel in a state; `oldest_due`: the first time one of them was or is due."""

    channel: str
    status: str
    count: int
    oldest_due: datetime | None


class Queue:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def look(self) -> list[Waiting]:
        """Raises `StoreUnavailable`."""
        counted = (
            select(D.channel, D.status, func.count(), func.min(D.due_at))
            .where(WAITING)
            .group_by(D.status, D.channel)
        )
        async with self._db.read() as conn:
            return [Waiting(*row) for row in await conn.execute(counted)]
