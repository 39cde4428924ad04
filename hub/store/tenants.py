"""Tenants, as those who run the platform see them. Does not know what a log is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from hub.store.appending import new_epoch
from hub.store.audit import Note, put
from hub.store.engine import Database
from hub.store.tables import tenants

_T = tenants.c
_SHOWN = select(_T.id, _T.epoch, _T.offset, _T.created_at)


@dataclass(frozen=True, slots=True)
class TenantEntry:
    """`events`: how many its log has had."""

    id: str
    epoch: str
    events: int
    created_at: datetime


class Tenants:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, id: str, *, now: datetime, note: Note | None = None) -> tuple[TenantEntry, bool]:
        """The tenant, and whether it is new; a note is written only then."""
        made = self._db.insert(tenants).values(id=id, epoch=new_epoch(), created_at=now)
        async with self._db.write() as conn:
            created = await conn.execute(made.on_conflict_do_nothing().returning(_T.id))
            is_new = created.first() is not None
            await put(conn, note if is_new else None)
            row = (await conn.execute(_SHOWN.where(_T.id == id))).one()
        return _entry(row), is_new

    async def page(self, *, limit: int, after: str) -> list[TenantEntry]:
        """By name, those behind `after`."""
        async with self._db.read() as conn:
            rows = await conn.execute(_SHOWN.where(_T.id > after).order_by(_T.id).limit(limit))
        return [_entry(row) for row in rows]


def _entry(row: Any) -> TenantEntry:
    return TenantEntry(row.id, row.epoch, row.offset, row.created_at)
