"""The newest or oldest events that went to any of some rooms.

SQL has no cheap DISTINCT over several ranges of an index. But the first n events of all rooms are among
the first n of each, so each room gives its first few by its range of the primary key and the few are
merged: the price depends on n and the number of rooms, not on how many events there are, and on no
planner's guess. The SQL is text, made once per number of rooms.
"""

# ruff: noqa: S608 - made from constants and numbered parameters, never from values
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True)
class Audience:
    """Who asks: the rooms that one principal is in."""

    tenant: str
    rooms: tuple[str, ...]

    @cached_property
    def distinct(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.rooms))

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Values for `:tenant`, `:room0`, `:room1`, ..."""
        return {"tenant": self.tenant, **{f"room{n}": room for n, room in enumerate(self.distinct)}}

    @cached_property
    def excluded(self) -> dict[str, Any]:
        """Values for `:not0`, `:not1`, ...: the rows in which these rooms are excluded from an event."""
        return {f"not{n}": f"-{room}" for n, room in enumerate(self.distinct)}


def names(prefix: str, count: int) -> str:
    """`:room0, :room1, ...`"""
    return ", ".join(f":{prefix}{number}" for number in range(count))


def arms(count: int, where: str, order: str) -> list[str]:
    """Per room a SELECT of its first `:limit` offsets. `where` is about a row of `event_rooms AS r`."""
    return [
        f'SELECT "offset" FROM (SELECT r."offset" FROM event_rooms AS r WHERE r.tenant = :tenant '
        f'AND r.room = :room{n} AND {where} ORDER BY r."offset" {order} LIMIT :limit) AS room{n}'
        for n in range(count)
    ]


def merged(selects: Sequence[str], order: str) -> TextClause:
    """The first `:limit` offsets of all the arms, each once."""
    return text(f'{" UNION ".join(selects)} ORDER BY "offset" {order} LIMIT :limit')


@lru_cache(maxsize=256)
def _after(count: int) -> TextClause:
    return merged(arms(count, 'r."offset" > :after AND r."offset" <= :upto', "ASC"), "ASC")


async def offsets_after(
    conn: AsyncConnection, audience: Audience, after: int, upto: int, *, limit: int
) -> Sequence[int]:
    """The first `limit` offsets with `after` < offset <= `upto` that went to the audience, ascending."""
    if not audience.rooms:
        return []
    values = {**audience.parameters, "after": after, "upto": upto, "limit": limit}
    found = await conn.execute(_after(len(audience.distinct)), values)
    return found.scalars().all()
