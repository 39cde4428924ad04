"""The notification centre: what stands in a user's inbox, and what the user did with it.

An inbox is the notifications of the rooms the user is in, each once, minus what excludes the user, has
expired or was deleted. An item is read when its receipt says so, or, without one, when it is not above
the user's read-all watermark. Nothing is stored per receiver until the receiver does something. This file
does not know who may be in which room: `rooms` are the caller's word for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import case, func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.delivery import Delivery
from hub.store import escalations, inbox_sql, tables
from hub.store.asking import Asking
from hub.store.audience import Audience
from hub.store.engine import Database
from hub.store.inbox_counts import Asker, Tally
from hub.store.inbox_page import NEAR, Known, Line, Pages, Shown, Wanted
from hub.store.inbox_reading import END, Filters, Item, Reading
from hub.store.unread import Unread, unread

__all__ = ["Changed", "Counts", "Inbox", "Item"]

_R, _M = tables.receipts.c, tables.read_marks.c
# `Inbox.list` hides the builtin from the annotations of its class.
Items = list[Item]


class Counts(NamedTuple):
    """`total`: items that pass the filters. `unread`: items neither read nor archived, unfiltered."""

    total: int
    unread: int


class Page(NamedTuple):
    """Items newest first, and the counts of the whole."""

    lines: list[Line]
    counts: Counts


class Changed(NamedTuple):
    """`items`: those of the given ids that stand in the inbox, in the given order, as they are after the
    change. `fresh`: those of them that were otherwise before. `ended`: escalations that end with it."""

    items: Items
    fresh: Items
    ended: Sequence[Delivery] = ()


class AllRead(NamedTuple):
    """How many items were unread before, and which escalations have ended with it."""

    updated: int
    ended: Sequence[Delivery]


class Inbox:
    """Every user's inbox. `now` decides what has expired; filters that are None let everything pass."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._asking: Asking[Unread, int] = Asking(partial(unread, db))
        self._counts = Pages(db)
        self._pages: Asking[Wanted, Shown] = Asking(self._counts.read, most=16)

    async def page(
        self,
        tenant: str,
        user: str,
        rooms: Sequence[str],
        *,
        now: datetime,
        read: bool | None = None,
        archived: bool | None = None,
        type: str | None = None,
        limit: int = 20,
        offset: int = 0,
        after: int | None = None,
        known: Known = lambda place: None,
    ) -> Page:
        """What `list` and `counts` say, with what became of the items' deliveries where it takes one trip."""
        if not rooms:
            return Page([], Counts(0, 0))
        filters = Filters(read, archived, type)
        near = self.begin_page(
            *(tenant, user, rooms, filters), now=now, limit=limit, offset=offset, after=after, known=known
        )
        if near is not None and (page := near_page(await near, filters, offset)) is not None:
            return page
        named: dict[str, Any] = {"now": now, **filters._asdict()}
        items = await self.list(tenant, user, rooms, limit=limit, offset=offset, after=after, **named)
        lines = [_line(item) for item in items]
        return Page(lines, await self.counts(tenant, user, rooms, **named))

    def begin_page(
        self,
        tenant: str,
        user: str,
        rooms: Sequence[str],
        filters: Filters,
        *,
        now: datetime,
        limit: int,
        offset: int,
        after: int | None,
        known: Known,
    ) -> asyncio.Future[Shown] | None:
        """The same for who does not wait, and gives what comes to `near_page`; None: the page takes more than
        a trip."""
        if filters.type is not None or offset + limit > NEAR:
            return None
        asker = Asker(Audience(tenant, tuple(rooms)), user, now)
        return self._pages.begin(Wanted(asker, filters, offset + limit, after or 0, known))

    async def list(
        self,
        tenant: str,
        user: str,
        rooms: Sequence[str],
        *,
        now: datetime,
        read: bool | None = None,
        archived: bool | None = None,
        type: str | None = None,
        limit: int = 20,
        offset: int = 0,
        before: int | None = None,
        after: int | None = None,
    ) -> Items:
        """Items newest first. `before` and `after` are places in the log, exclusive; `offset` skips items."""
        if not rooms:
            return []
        filters = Filters(read, archived, type)
        async with self._reading(tenant, user, rooms, now) as reading:
            return await reading.page(
                filters,
                skip=offset,
                limit=limit,
                after=after or 0,
                before=END if before is None else before,
            )

    async def get(
        self, tenant: str, user: str, rooms: Sequence[str], id: str, *, now: datetime
    ) -> Item | None:
        """The item with this id, if it stands in the inbox."""
        if not rooms:
            return None
        async with self._reading(tenant, user, rooms, now) as reading:
            found = await reading.named([id])
        return found[0] if found else None

    async def counts(
        self,
        tenant: str,
        user: str,
        rooms: Sequence[str],
        *,
        now: datetime,
        read: bool | None = None,
        archived: bool | None = None,
        type: str | None = None,
    ) -> Counts:
        """How many items pass the filters, and how many are unread. A filter on `type` costs a full visit."""
        if not rooms:
            return Counts(0, 0)
        found = await self._pages.begin(self._only_counts(tenant, user, rooms, now))
        if type is None:
            return _counted(found.tally, Filters(read, archived))
        async with self._reading(tenant, user, rooms, now) as reading:
            total = await reading.of_type(Filters(read, archived, type))
        return Counts(total, found.tally.matching(read=False, archived=False))

    def begin_unread(
        self, tenant: str, user: str, rooms: Sequence[str], *, now: datetime
    ) -> asyncio.Future[Shown]:
        """What `unread_of` finds in it is how many items are neither read nor archived."""
        return self._pages.begin(self._only_counts(tenant, user, rooms, now))

    async def unread(
        self, tenant: str, user: str, rooms: Sequence[str], *, now: datetime, upto: int | None = None
    ) -> int:
        """How many items are neither read nor archived, of those up to the place `upto` in the log.

        Asked for many people at once, it is one question to the database.
        """
        if not rooms:
            return 0
        upto = END if upto is None else upto
        return await self._asking.ask(Unread(tenant, user, tuple(dict.fromkeys(rooms)), upto, now))

    async def by_type(
        self, tenant: str, user: str, rooms: Sequence[str], *, now: datetime
    ) -> dict[str, Counts]:
        """Items that are not archived, per type."""
        if not rooms:
            return {}
        found = await self._counts.by_type(Asker(Audience(tenant, tuple(rooms)), user, now))
        counts = {kind: _counted(tally, Filters(archived=False)) for kind, tally in found.items()}
        return {kind: each for kind, each in counts.items() if each.total}

    # What a person has dealt with is not escalated to them any more.
    async def mark_read(
        self, tenant: str, user: str, rooms: Sequence[str], ids: Sequence[str], *, now: datetime
    ) -> Changed:
        """Mark as read. What was read keeps its time."""
        values = {"read": True, "read_at": now}
        return await self._change(tenant, user, rooms, ids, values, now=now, only_unread=True, ends=True)

    async def mark_unread(
        self, tenant: str, user: str, rooms: Sequence[str], ids: Sequence[str], *, now: datetime
    ) -> Changed:
        """Mark as unread, also below the read-all watermark."""
        return await self._change(tenant, user, rooms, ids, {"read": False, "read_at": None}, now=now)

    async def mark_seen(
        self, tenant: str, user: str, rooms: Sequence[str], ids: Sequence[str], *, now: datetime
    ) -> Changed:
        """Mark as seen; the first time counts."""
        return await self._change(tenant, user, rooms, ids, {"seen_at": now}, now=now, keep=True, ends=True)

    async def archive(
        self, tenant: str, user: str, rooms: Sequence[str], ids: Sequence[str], *, now: datetime
    ) -> Changed:
        """Put into the archive; the first time counts."""
        return await self._change(
            tenant, user, rooms, ids, {"archived_at": now}, now=now, keep=True, ends=True
        )

    async def unarchive(
        self, tenant: str, user: str, rooms: Sequence[str], ids: Sequence[str], *, now: datetime
    ) -> Changed:
        """Take back from the archive."""
        return await self._change(tenant, user, rooms, ids, {"archived_at": None}, now=now)

    async def delete(
        self, tenant: str, user: str, rooms: Sequence[str], ids: Sequence[str], *, now: datetime
    ) -> Changed:
        """Remove from this user's inbox for good. The items are as they were."""
        return await self._change(tenant, user, rooms, ids, {"deleted_at": now}, now=now, ends=True)

    async def mark_all_read(self, tenant: str, user: str, rooms: Sequence[str], *, now: datetime) -> AllRead:
        """Everything stored so far is read, also what was marked unread; how many items were not."""
        unread = await self.unread(tenant, user, rooms, now=now)
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
        return AllRead(unread, ended)

    async def _change(
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

    def _only_counts(self, tenant: str, user: str, rooms: Sequence[str], now: datetime) -> Wanted:
        asker = Asker(Audience(tenant, tuple(rooms)), user, now)
        return Wanted(asker, Filters(), 0, 0, lambda place: None)

    @asynccontextmanager
    async def _reading(
        self, tenant: str, user: str, rooms: Sequence[str], now: datetime
    ) -> AsyncIterator[Reading]:
        async with self._db.read() as conn:
            yield Reading(conn, Audience(tenant, tuple(rooms)), user, now)


def near_page(found: Shown, filters: Filters, offset: int) -> Page | None:
    """None: it is not complete."""
    return Page(found.lines[offset:], _counted(found.tally, filters)) if found.complete else None


def unread_of(found: Shown) -> int:
    return found.tally.matching(read=False, archived=False)


def _line(item: Item) -> Line:
    event, read, read_at, seen_at, archived_at = item
    place = (event.tenant, event.epoch, event.offset)
    return Line(place, event, read, read_at, seen_at, archived_at, None)


def _counted(tally: Tally, filters: Filters) -> Counts:
    total = tally.matching(read=filters.read, archived=filters.archived)
    return Counts(total, tally.matching(read=False, archived=False))
