"""What the store forgets: old events with all that hangs on them, old idempotency keys, what has expired.

Promises: a log is trimmed only from its old end, and `tenants.trimmed` names the last offset that is gone
in the same transaction that removes it, so a client can be told that it came too late; a delivery that is
not over is kept until it is. Everything goes in slices that weigh little, and after each the database is left
to the others for as long as it took, so that no writer waits long. When to run is the caller's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.delivery import TERMINAL
from hub.store import tables
from hub.store.engine import Database
from hub.store.rows import room_rows
from hub.store.tenants import RETENTION

_E, _T, _ER = tables.events.c, tables.tenants.c, tables.event_rooms.c
_D, _A, _R, _X = tables.deliveries.c, tables.attempts.c, tables.receipts.c, tables.expansions.c
_K = tables.idempotency_keys.c
_OVER = [status.value for status in TERMINAL]


class Retention:
    """`slice`: rows (events, deliveries, keys) that one transaction handles; `weight`: the same with the
    rooms and receipts of the events, of which it takes at least one."""

    def __init__(self, db: Database, *, slice: int = 500, weight: int = 5000) -> None:
        self._db = db
        self._slice = slice
        self._weight = weight

    async def trim(self, now: datetime, *, keep: timedelta) -> int:
        """Remove each log's oldest events as long as they are older than the tenant's own days (without any:
        than `keep`); how many. Deliveries that were over too late to go with their event go too."""
        async with self._db.read() as conn:
            tenants = (await conn.execute(select(_T.id, _T.settings, _T.trimmed).order_by(_T.id))).all()
        removed = 0
        for tenant, settings, trimmed in tenants:
            while await self._remove_deliveries(_over(tenant, trimmed)):
                pass
            days = settings.get(RETENTION)
            before = now - (keep if days is None else timedelta(days=days))
            while count := await self._trim_slice(tenant, before):
                removed += count
        return removed

    async def expire(self, now: datetime) -> int:
        """Take notifications that have expired out of every inbox for good; how many. They stay in the log.

        Readers leave them out by their time anyway; this keeps the number they must look at small.
        """
        expired = (
            select(_E.tenant, _E.offset, _E.rooms, _E.exclude)
            .where(_E.inbox, _E.expires_at.is_not(None), _E.expires_at <= now)
            .order_by(_E.tenant, _E.offset)
            .limit(self._slice)
        )
        total = 0
        while True:
            async with self._gently() as conn:
                rows = (await conn.execute(expired)).all()
                if rows:
                    await _leave_inboxes(conn, rows)
            total += len(rows)
            if len(rows) < self._slice:
                return total

    async def forget_keys(self, before: datetime) -> int:
        """Remove the idempotency keys that were stored before `before`; how many."""
        old = select(_K.tenant, _K.key).where(_K.created_at < before).limit(self._slice)
        one = delete(tables.idempotency_keys).where(
            _K.tenant == bindparam("a_tenant"), _K.key == bindparam("a_key")
        )
        total = 0
        while True:
            async with self._gently() as conn:
                rows = (await conn.execute(old)).all()
                if rows:
                    await conn.execute(one, [{"a_tenant": tenant, "a_key": key} for tenant, key in rows])
            total += len(rows)
            if len(rows) < self._slice:
                return total

    async def _trim_slice(self, tenant: str, before: datetime) -> int:
        """Remove up to a slice of events; first their deliveries, of which one event can have many."""
        oldest = (
            select(_E.offset, _E.created_at, _E.rooms, _E.exclude)
            .where(_E.tenant == tenant)
            .order_by(_E.offset)
            .limit(self._slice)
        )
        async with self._db.read() as conn:
            rows: list[Any] = _while_older((await conn.execute(oldest)).all(), before)
            rows = await self._light(conn, tenant, rows)
        if not rows:
            return 0
        while await self._remove_deliveries(_over(tenant, rows[-1].offset)):
            pass
        async with self._gently() as conn:
            await _remove_events(conn, tenant, rows)
        return len(rows)

    async def _light(self, conn: AsyncConnection, tenant: str, rows: list[Any]) -> list[Any]:
        """As many of the first as one transaction may carry, rooms and receipts counted; at least one."""
        if not rows:
            return rows
        read = (
            select(_R.offset, func.count())
            .where(_R.tenant == tenant, _R.offset.between(rows[0].offset, rows[-1].offset))
            .group_by(_R.offset)
        )
        receipts: dict[int, int] = {row[0]: row[1] for row in await conn.execute(read)}
        total = 0
        for number, row in enumerate(rows):
            total += 1 + len(orjson.loads(row.rooms)) + receipts.get(row.offset, 0)
            if number and total > self._weight:
                return rows[:number]
        return rows

    async def _remove_deliveries(self, over: Select[Any]) -> int:
        """Remove a slice of the deliveries that are over, with their attempts and what providers said."""
        async with self._db.read() as conn:
            ids = (await conn.execute(over.limit(self._slice))).scalars().all()
        if ids:
            async with self._gently() as conn:
                await conn.execute(delete(tables.attempts).where(_A.delivery_id.in_(ids)))
                await conn.execute(delete(tables.callbacks).where(tables.callbacks.c.delivery_id.in_(ids)))
                await conn.execute(delete(tables.deliveries).where(_D.id.in_(ids)))
        return len(ids)

    @asynccontextmanager
    async def _gently(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, and afterwards a pause as long: whoever waits for the database comes first."""
        began = time.monotonic()
        async with self._db.write() as conn:
            yield conn
        await asyncio.sleep(time.monotonic() - began)


def _over(tenant: str, upto: int) -> Select[tuple[str]]:
    return select(_D.id).where(_D.tenant == tenant, _D.offset <= upto, _D.status.in_(_OVER))


def _while_older(rows: Sequence[Any], before: datetime) -> list[Any]:
    old = []
    for row in rows:
        if row.created_at >= before:
            break
        old.append(row)
    return old


async def _remove_events(conn: AsyncConnection, tenant: str, rows: Sequence[Any]) -> None:
    last = rows[-1].offset
    # First the tenant's row, like every writer of the log: nobody waits in a circle.
    await conn.execute(update(tables.tenants).where(_T.id == tenant, _T.trimmed < last).values(trimmed=last))
    await conn.execute(
        delete(tables.event_rooms).where(
            _ER.tenant == tenant, _ER.room == bindparam("a_room"), _ER.offset == bindparam("at")
        ),
        [
            {"a_room": room, "at": row.offset}
            for row in rows
            for room in room_rows(orjson.loads(row.rooms), orjson.loads(row.exclude or "[]"))
        ],
    )
    await conn.execute(delete(tables.receipts).where(_R.tenant == tenant, _R.offset <= last))
    await conn.execute(delete(tables.expansions).where(_X.tenant == tenant, _X.offset <= last))
    await conn.execute(delete(tables.events).where(_E.tenant == tenant, _E.offset <= last))


async def _leave_inboxes(conn: AsyncConnection, rows: Sequence[Any]) -> None:
    await conn.execute(
        update(tables.tenants).where(_T.id == bindparam("of")).values(withdrawn=_T.withdrawn + 1),
        # In the order of their names, like every writer of several logs: nobody waits in a circle.
        [{"of": tenant} for tenant in sorted({row.tenant for row in rows})],
    )
    places = [{"a_tenant": row.tenant, "at": row.offset} for row in rows]
    await conn.execute(
        update(tables.events)
        .where(_E.tenant == bindparam("a_tenant"), _E.offset == bindparam("at"))
        .values(inbox=False),
        places,
    )
    await conn.execute(
        update(tables.event_rooms)
        .where(
            _ER.tenant == bindparam("a_tenant"),
            _ER.offset == bindparam("at"),
            _ER.room == bindparam("a_room"),
        )
        .values(inbox=False),
        [
            {"a_room": room, **place}
            for row, place in zip(rows, places, strict=True)
            for room in room_rows(orjson.loads(row.rooms), orjson.loads(row.exclude or "[]"))
        ],
    )
