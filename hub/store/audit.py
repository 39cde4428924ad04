"""What admins did: a row for each change, which nothing but its age removes.

Promises: a note that is written with `put` is stored in the transaction of the change itself, so neither
is there without the other. It does not know which actions there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from ulid import ULID

from hub.store.engine import Database
from hub.store.tables import audit

_A = audit.c
_SLICE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Who did what to what. `tenant` None: to the platform. `at` is UTC."""

    tenant: str | None
    actor: str
    action: str
    at: datetime
    target: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    id: str = ""

    def about(self, target: str) -> Note:
        """The same, when what it is done to has only now got its name."""
        return replace(self, target=target)


Notes = list[Note]


async def put(conn: AsyncConnection, note: Note | None) -> None:
    """Write a note into a transaction that somebody else has begun; None writes nothing."""
    if note is not None:
        await conn.execute(
            insert(audit).values(
                id=str(ULID()),
                tenant=note.tenant,
                actor=note.actor,
                action=note.action,
                target=note.target,
                details=orjson.dumps(dict(note.details)).decode() if note.details else None,
                request_id=note.request_id,
                created_at=note.at,
            )
        )


class Audit:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def write(self, note: Note) -> None:
        """Write a note about something that is no change in SQL."""
        async with self._db.write() as conn:
            await put(conn, note)

    async def page(
        self,
        tenant: str | None,
        *,
        action: str | None = None,
        actor: str | None = None,
        limit: int,
        after: str | None = None,
    ) -> Notes:
        """The notes of a tenant (None: of the platform), newest first, older than the one called `after`."""
        wanted = select(audit).where(_A.tenant.is_not_distinct_from(tenant))
        if action is not None:
            wanted = wanted.where(_A.action == action)
        if actor is not None:
            wanted = wanted.where(_A.actor == actor)
        if after is not None:
            wanted = wanted.where(_A.id < after)
        async with self._db.read() as conn:
            rows = await conn.execute(wanted.order_by(_A.id.desc()).limit(limit))
        return [_note(row) for row in rows]

    async def forget(self, before: datetime) -> int:
        """Remove the notes written before `before`, in slices; how many."""
        old = select(_A.id).where(_A.created_at < before).limit(_SLICE)
        total = 0
        while True:
            async with self._db.write() as conn:
                ids = (await conn.execute(old)).scalars().all()
                if ids:
                    await conn.execute(delete(audit).where(_A.id.in_(ids)))
            total += len(ids)
            if len(ids) < _SLICE:
                return total


def _note(row: Row[Any]) -> Note:
    return Note(
        id=row.id,
        tenant=row.tenant,
        actor=row.actor,
        action=row.action,
        at=row.created_at,
        target=row.target,
        details=orjson.loads(row.details) if row.details else {},
        request_id=row.request_id,
    )
