"""Tenants, as those who run the platform see them. Does not know what a log is made of.

How many days a tenant's log is kept stands in its settings; without, the installation's days count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from hub.domain.errors import TenantUnknown
from hub.store.appending import new_epoch
from hub.store.audit import Note, put
from hub.store.engine import Database
from hub.store.tables import tenants

_T = tenants.c
_SHOWN = select(_T.id, _T.epoch, _T.offset, _T.created_at, _T.settings)

RETENTION = "retentionDays"  # the name in a tenant's settings
MAX_DAYS = 3650


@dataclass(frozen=True, slots=True)
class TenantEntry:
    """`events`: how many its log has had. `retention_days` None: as the installation keeps it."""

    id: str
    epoch: str
    events: int
    created_at: datetime
    retention_days: int | None


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

    async def keep_for(self, id: str, days: int | None, *, note: Note | None = None) -> TenantEntry:
        """Keep a tenant's log for so many days; None: as the installation does. Raises `TenantUnknown`."""
        async with self._db.write() as conn:
            row = (await conn.execute(_SHOWN.where(_T.id == id).with_for_update())).first()
            if row is None:
                raise TenantUnknown(f"no tenant {id!r}")
            settings = {name: value for name, value in row.settings.items() if name != RETENTION}
            if days is not None:
                settings[RETENTION] = days
            await conn.execute(update(tenants).where(_T.id == id).values(settings=settings))
            await put(conn, note)
        return TenantEntry(row.id, row.epoch, row.offset, row.created_at, days)

    async def page(self, *, limit: int, after: str) -> list[TenantEntry]:
        """By name, those behind `after`."""
        async with self._db.read() as conn:
            rows = await conn.execute(_SHOWN.where(_T.id > after).order_by(_T.id).limit(limit))
        return [_entry(row) for row in rows]


def _entry(row: Any) -> TenantEntry:
    return TenantEntry(row.id, row.epoch, row.offset, row.created_at, row.settings.get(RETENTION))
