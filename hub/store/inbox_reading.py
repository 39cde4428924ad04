"""One user's inbox, read step by step on a connection that the caller holds.

The statements are in `inbox_sql`; here they get their values and give nouns. Promises nothing across
statements: each sees what was committed when it began.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.events import Event
from hub.store import inbox_sql
from hub.store.audience import Audience
from hub.store.events import event_of

_CHUNK = 1000  # places that are looked at together
END = 2**62  # above every offset


class Item(NamedTuple):
    """One notification as one user sees it."""

    event: Event
    read: bool
    read_at: datetime | None
    seen_at: datetime | None
    archived_at: datetime | None


class Filters(NamedTuple):
    """What is asked for; None lets everything pass."""

    read: bool | None = None
    archived: bool | None = None
    type: str | None = None


class Reading:
    """The inbox of `user`, who is in the rooms of `audience` (one at least), as it stands at `now`."""

    def __init__(self, conn: AsyncConnection, audience: Audience, user: str, now: datetime) -> None:
        self._conn = conn
        self._audience = audience
        self._user = user
        self._rooms = len(audience.distinct)
        self._values = {**audience.parameters, **audience.excluded, "user": user, "now": now}

    async def page(
        self, filters: Filters, *, skip: int, limit: int, after: int = 0, before: int = END
    ) -> list[Item]:
        """Items newest first: places between `after` and `before`, without the first `skip` of them."""
        wanted = skip + limit
        places: list[int] = []
        chunk = min(wanted, _CHUNK)
        while len(places) < wanted:
            found = await self._candidates(filters, after=after, before=before, limit=chunk)
            places += await self._passing(found, filters)
            if len(found) < chunk:
                break
            before, chunk = found[-1], min(2 * chunk, _CHUNK)
        return await self.at(places[skip:wanted])

    async def named(self, ids: Sequence[str]) -> list[Item]:
        """The items with `ids`, newest first, without those that do not stand in the inbox."""
        values = {"tenant": self._audience.tenant, "ids": list(ids)}
        places = (await self._conn.execute(inbox_sql.PLACES, values)).scalars().all()
        return await self.at(await self._passing(places, Filters()))

    async def to_mark(self, ids: Sequence[str]) -> tuple[list[Item], list[int]]:
        """As `named`, and at which of their places an escalation of the user waits."""
        values = {"tenant": self._audience.tenant, "user": self._user, "ids": list(ids)}
        found = (await self._conn.execute(inbox_sql.PLACES_WAITING, values)).all()
        items = await self.at(await self._passing([place for place, _ in found], Filters()))
        if not any(waits for _, waits in found):
            return items, []
        places = {place for place, waits in found if waits}
        return items, [item.event.offset for item in items if item.event.offset in places]

    async def of_type(self, filters: Filters) -> int:
        """Items of the filters' type that pass them. Visits every event of the audience."""
        statement = inbox_sql.matching(self._rooms, read=filters.read, archived=filters.archived)
        found = await self._conn.execute(statement, self._values | {"type": filters.type})
        return int(found.scalar_one())

    async def _candidates(self, filters: Filters, *, after: int, before: int, limit: int) -> Sequence[int]:
        """The newest `limit` places between the bounds that may hold what passes `filters`."""
        values = {"user": self._user, "after": after, "before": before, "limit": limit}
        sql = inbox_sql.candidates(self._rooms, read=filters.read, archived=bool(filters.archived))
        return (await self._conn.execute(text(sql), self._audience.parameters | values)).scalars().all()

    async def _passing(self, places: Sequence[int], filters: Filters) -> Sequence[int]:
        """Those of `places` that stand in the inbox and pass, newest first."""
        if not places:
            return []
        values = self._values | {"offsets": list(places)}
        if filters.type is not None:
            values["type"] = filters.type
        statement = inbox_sql.passing(
            self._rooms, read=filters.read, archived=filters.archived, type=filters.type is not None
        )
        return (await self._conn.execute(statement, values)).scalars().all()

    async def at(self, places: Sequence[int]) -> list[Item]:
        """What is at these places, newest first, whether or not it stands in the inbox."""
        if not places:
            return []
        values = {"tenant": self._audience.tenant, "user": self._user, "offsets": list(places)}
        found = await self._conn.execute(inbox_sql.items(), values)
        return [_item(row) for row in found.mappings()]


def _item(row: RowMapping) -> Item:
    return Item(event_of(row), row["read"], row["read_at"], row["seen_at"], row["archived_at"])
