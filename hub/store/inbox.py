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
from functools import lru_cache, partial
from typing import Any, NamedTuple

from hub.store.asking import Asking
from hub.store.audience import Audience
from hub.store.engine import Database
from hub.store.inbox_counts import Asker, Tally
from hub.store.inbox_marks import AllRead, Changed, Marking
from hub.store.inbox_page import NEAR, Known, Line, Pages, Shown, Wanted
from hub.store.inbox_reading import END, Filters, Item, Reading
from hub.store.unread import Unread, unread

__all__ = ["Changed", "Counts", "Inbox", "Item"]

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


class Inbox:
    """Every user's inbox. `now` decides what has expired; filters that are None let everything pass."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._asking: Asking[Unread, int] = Asking(partial(unread, db))
        self._marking = Marking(db)
        self._change = self._marking.change
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
        asker = Asker(_audience(tenant, tuple(rooms)), user, now)
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
        found = await self._counts.by_type(Asker(_audience(tenant, tuple(rooms)), user, now))
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
        return AllRead(unread, await self._marking.all_read(tenant, user, now=now))

    def _only_counts(self, tenant: str, user: str, rooms: Sequence[str], now: datetime) -> Wanted:
        asker = Asker(_audience(tenant, tuple(rooms)), user, now)
        return Wanted(asker, Filters(), 0, 0, lambda place: None)

    @asynccontextmanager
    async def _reading(
        self, tenant: str, user: str, rooms: Sequence[str], now: datetime
    ) -> AsyncIterator[Reading]:
        async with self._db.read() as conn:
            yield Reading(conn, Audience(tenant, tuple(rooms)), user, now)


@lru_cache(maxsize=1024)  # the same people ask again and again
def _audience(tenant: str, rooms: tuple[str, ...]) -> Audience:
    return Audience(tenant, rooms)


def near_page(found: Shown, filters: Filters, offset: int) -> Page | None:
    """None: it is not complete."""
    return Page(found.lines[offset:], _counted(found.tally, filters)) if found.complete else None


def unread_of(found: Shown) -> int:
    return found.tally.matching(read=False, archived=False)


def _line(item: Item) -> Line:
    event, read, read_at, seen_at, archived_at = item
    place = (event.tenant, event.epoch, event.offset)
    return Line(place, event, (read, read_at, seen_at, archived_at), None)


def _counted(tally: Tally, filters: Filters) -> Counts:
    total = tally.matching(read=filters.read, archived=filters.archived)
    return Counts(total, tally.matching(read=False, archived=False))
