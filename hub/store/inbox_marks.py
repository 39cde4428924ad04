"""What a person does with notifications, written down: receipts of single ones, and the watermark of all.

Promises: whoever counts can tell that something was changed (`read_marks.changes`), in the transaction of the
change; what somebody has dealt with is not escalated to them any more, in the same transaction. Does not know
which change means what.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import case, func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.delivery import Delivery
from hub.store import escalations, inbox_sql, tables
from hub.store.audience import Audience
from hub.store.engine import Database
from hub.store.inbox_reading import Item, Reading

_R, _M = tables.receipts.c, tables.read_marks.c


class Changed(NamedTuple):
    """`items`: those of the given ids that stand in the inbox, in the given order, as they are after the
    change. `fresh`: those of them that were otherwise before. `ended`: escalations that end with it."""

    items: list[Item]
    fresh: list[Item]
    ended: Sequence[Delivery] = ()


class AllRead(NamedTuple):
    """How many items were unread before, and which escalations have ended with it."""

    updated: int
    ended: Sequence[Delivery]


class Marking:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def change(
        self,
        tenant: str,
        user: str,
        rooms: Sequence[str],
        ids: Sequence[str],
        values: dict[str, Any],
        *,
        now: datetime,
        keep: bool = False,
        only_unread: bool = False,
        ends: bool = False,
    ) -> Changed:
        """Write `values` into the receipts of the items. `keep`: a value that is already there stays.
        `ends`: escalations of the items end with it."""
        if not rooms or not ids:
            return Changed([], [])
        insert = self._db.insert(tables.receipts)
        new: dict[str, Any] = {name: insert.excluded[name] for name in values}
        if keep:
            new = {name: func.coalesce(_R[name], value) for name, value in new.items()}
        upsert = insert.on_conflict_do_update(index_elements=["tenant", "user", "offset"], set_=new)
        async with self._db.write() as conn:
            reading = Reading(conn, Audience(tenant, tuple(rooms)), user, now)
            found, places = await reading.to_mark(ids) if ends else (await reading.named(ids), [])
            before = {item.event.id: item for item in found}
            rows = [
                {"tenant": tenant, "user": user, "offset": item.event.offset, **values}
                for item in before.values()
                if not (only_unread and item.read)
            ]
            if rows:
                await self._mark(conn, tenant, user, 0, now)
                await conn.execute(upsert, rows)
            after = {item.event.id: item for item in await reading.at([row["offset"] for row in rows])}
            ended = await escalations.end(conn, tenant, user, places=places, now=now) if places else []
        items = [after.get(id, before[id]) for id in dict.fromkeys(ids) if id in before]
        return Changed(items, [item for item in items if item != before[item.event.id]], ended)

    async def all_read(self, tenant: str, user: str, *, now: datetime) -> Sequence[Delivery]:
        """Everything stored so far is read, also what was marked unread; the escalations that end with it."""
        ended: Sequence[Delivery] = ()
        async with self._db.write() as conn:
            found = (await conn.execute(inbox_sql.NEWEST, {"tenant": tenant, "user": user})).first()
            mark, waits = found or (0, False)
            await self._mark(conn, tenant, user, mark, now)
            await conn.execute(
                update(tables.receipts)
                .where(_R.tenant == tenant, _R.user == user, _R.offset <= mark, _R.read.is_(False))
                .values(read=True, read_at=now)
            )
            if waits:
                ended = await escalations.end(conn, tenant, user, upto=mark, now=now)
        return ended

    async def _mark(self, conn: AsyncConnection, tenant: str, user: str, mark: int, now: datetime) -> None:
        """Something of the user's marks changes. Before the receipts, so that nobody waits in a circle."""
        insert = self._db.insert(tables.read_marks)
        higher = insert.excluded.offset > _M.offset
        upsert = insert.on_conflict_do_update(
            index_elements=["tenant", "user"],
            set_={
                "offset": case((higher, insert.excluded.offset), else_=_M.offset),
                "read_at": case((higher, insert.excluded.read_at), else_=_M.read_at),
                "changes": _M.changes + 1,
            },
        )
        await conn.execute(
            upsert, {"tenant": tenant, "user": user, "offset": mark, "read_at": now, "changes": 1}
        )
