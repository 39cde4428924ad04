"""Revoked tokens: stored, and read by whoever has seen those before.

Promises: numbers follow the order of the commits, whatever happens at the same time, so `since` the last
number one has seen misses none. The newest row is kept even when it is over, so a number is never given
twice. It does not know what a revocation means.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, select, text

from hub.domain.revocation import Revocation
from hub.store.audit import Note, put
from hub.store.engine import Database
from hub.store.tables import revocations

_R = revocations.c
_SLICE = 500
# Readers go on; writers come one after the other, so no number is committed before a smaller one.
_ALONE = text("LOCK TABLE revocations IN SHARE ROW EXCLUSIVE MODE")


class RevocationRows:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, revocation: Revocation, note: Note | None = None) -> Revocation:
        """Store it under the next number, with its note."""
        async with self._db.write() as conn:
            if self._db.dialect != "sqlite":  # there every writer is alone
                await conn.execute(_ALONE)
            newest = (await conn.execute(select(func.max(_R.number)))).scalar()
            stored = replace(revocation, number=(newest or 0) + 1)
            await conn.execute(
                insert(revocations).values(
                    number=stored.number,
                    tenant=stored.tenant,
                    kind=stored.kind,
                    value=stored.value,
                    before=_moment(stored.before),
                    expires_at=_moment(stored.expires_at),
                )
            )
            await put(conn, note)
        return stored

    async def since(self, number: int, *, limit: int) -> list[Revocation]:
        """Those stored after `number`, in order."""
        wanted = select(revocations).where(_R.number > number).order_by(_R.number).limit(limit)
        async with self._db.read() as conn:
            rows = await conn.execute(wanted)
        return [
            Revocation(
                number=row.number,
                tenant=row.tenant,
                kind=row.kind,
                value=row.value,
                before=row.before.timestamp(),
                expires_at=row.expires_at.timestamp(),
            )
            for row in rows
        ]

    async def forget(self, now: datetime) -> int:
        """Remove those that are over, in slices; how many."""
        newest = select(func.max(_R.number)).scalar_subquery()
        over = select(_R.number).where(_R.expires_at <= now, _R.number < newest).limit(_SLICE)
        total = 0
        while True:
            async with self._db.write() as conn:
                numbers = (await conn.execute(over)).scalars().all()
                if numbers:
                    await conn.execute(delete(revocations).where(_R.number.in_(numbers)))
            total += len(numbers)
            if len(numbers) < _SLICE:
                return total


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
