"""Up to where each user's clients have acknowledged what they got: one row a user, which only moves on.

A mark is believed as far as the log goes: one of another epoch, or beyond the newest event, changes nothing
or only that much. How often marks are written is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from hub.domain.events import Cursor
from hub.store import tables
from hub.store.engine import Database

_D, _T = tables.delivered_marks.c, tables.tenants.c
SLICE = 500  # users that one transaction handles

Marks = Mapping[tuple[str, str], Cursor]


class DeliveredMarks:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def move(self, marks: Marks, *, now: datetime) -> None:
        """Move the marks of users, given by tenant and user, on to these places; never back."""
        keys = sorted(marks)  # the same order in every process, so that two never wait for each other
        for start in range(0, len(keys), SLICE):
            await self._move_slice({key: marks[key] for key in keys[start : start + SLICE]}, now)

    async def _move_slice(self, marks: Marks, now: datetime) -> None:
        insert = self._db.insert(tables.delivered_marks)
        upsert = insert.on_conflict_do_update(
            index_elements=["tenant", "user"],
            set_={"offset": insert.excluded.offset, "delivered_at": insert.excluded.delivered_at},
            where=_D.offset < insert.excluded.offset,
        )
        logs = select(_T.id, _T.epoch, _T.offset).where(_T.id.in_({tenant for tenant, _ in marks}))
        async with self._db.write() as conn:
            ends = {tenant: Cursor(epoch, offset) for tenant, epoch, offset in await conn.execute(logs)}
            rows = [
                {
                    "tenant": tenant,
                    "user": user,
                    "offset": min(cursor.offset, ends[tenant].offset),
                    "delivered_at": now,
                }
                for (tenant, user), cursor in marks.items()
                if tenant in ends and ends[tenant].epoch == cursor.epoch
            ]
            if rows:
                await conn.execute(upsert, rows)
