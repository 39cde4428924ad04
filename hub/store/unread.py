"""How many notifications are unread, for many people in one statement.

Says of each what `Reading.tally` says of one (tests hold both against one model): the notifications above
the watermark by index alone, less what a receipt, an exclusion or an expiry has made otherwise, plus what is
unread below it. Promises that nobody's rooms or receipts count for another: every part of the statement is
about one line of `asked`. All of it is one statement, so it sees one state of the database.
"""

# ruff: noqa: S608 - made from the constants of this file and placeholders, never from values
from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from hub.store.bulk import sqlite_time
from hub.store.engine import Database


class Unread(NamedTuple):
    """Asked: how many items of `user` are unread, of those up to the place `upto`. `rooms` are the user's,
    each once."""

    tenant: str
    user: str
    rooms: tuple[str, ...]
    upto: int
    now: datetime


async def unread(db: Database, asked: Sequence[Unread]) -> list[int]:
    """The counts, in the order of the questions."""
    lines = _room_for(len(asked))
    rooms = _room_for(max(len(one.rooms) for one in asked))
    values: list[Any] = []
    for one in asked:
        now = sqlite_time(one.now) if db.dialect == "sqlite" else one.now
        values += (one.tenant, one.user, one.upto, now, *one.rooms, *[None] * (rooms - len(one.rooms)))
    # Lines beyond the last question have no tenant, so nothing is looked up for them.
    values += (None, None, 0, None, *[None] * rooms) * (lines - len(asked))
    sql = _statement(lines, rooms)
    [found] = await db.fetch([(sql if db.dialect == "sqlite" else sql.replace("?", "%s"), values)])
    counts: dict[int, Any] = dict(found)
    return [int(counts[line]) for line in range(len(asked))]  # PostgreSQL sums into decimals


def _room_for(count: int) -> int:
    """The next power of two: few statements serve all sizes, and each is prepared once."""
    return 1 << (count - 1).bit_length()


@lru_cache(maxsize=128)
def _statement(lines: int, rooms: int) -> str:
    names = ", ".join(f"room{m}" for m in range(rooms))
    asked = ", ".join(f"({line}, ?, ?, ?, ?{', ?' * rooms})" for line in range(lines))
    mine = ", ".join(f"a.room{m}" for m in range(rooms))
    not_mine = ", ".join(f"'-' || a.room{m}" for m in range(rooms))
    above = (
        f"r.tenant = a.tenant AND r.room IN ({mine}) AND r.inbox "
        'AND r."offset" > a.mark AND r."offset" <= a.upto'
    )
    # An event in two of the rooms counts in the first of them only; none but `shared` ones can be. Glued to
    # '', the room is no bound of a range: SQLite would walk all the tenant's rooms before it.
    again = (
        f"EXISTS (SELECT 1 FROM event_rooms AS q WHERE q.tenant = a.tenant AND q.room IN ({mine}) "
        "AND q.room || '' < r.room "
        'AND q."offset" = r."offset" AND q.inbox)'
    )
    told = """SELECT c."offset", CASE WHEN c.deleted_at IS NULL AND c.archived_at IS NULL
            AND NOT COALESCE(c.read, c."offset" <= a.mark) THEN 0 ELSE 1 END AS settled
        FROM receipts AS c WHERE c.tenant = a.tenant AND c."user" = a."user" AND (
            c.archived_at IS NOT NULL OR c.deleted_at IS NOT NULL OR NOT (c.read = (c."offset" <= a.mark))
        )"""
    shut_out = f"""SELECT x."offset", 1 FROM event_rooms AS x
        WHERE x.tenant = a.tenant AND x.room IN ({not_mine})"""
    expired = """SELECT e."offset", 1 FROM events AS e
        WHERE e.tenant = a.tenant AND e.inbox AND e.expires_at IS NOT NULL AND e.expires_at <= a.now"""
    member = (
        "EXISTS (SELECT 1 FROM event_rooms AS r WHERE r.tenant = a.tenant "
        f'AND r.room IN ({mine}) AND r."offset" = s."offset" AND r.inbox)'
    )
    return f"""
        WITH asked (line, tenant, "user", upto, now, {names}) AS (VALUES {asked}),
        marked AS MATERIALIZED (
            SELECT asked.*, COALESCE((SELECT m."offset" FROM read_marks AS m
                WHERE m.tenant = asked.tenant AND m."user" = asked."user"), 0) AS mark FROM asked
        )
        SELECT a.line,
            (SELECT count(*) FROM event_rooms AS r WHERE {above} AND NOT (r.shared AND {again}))
            + (SELECT COALESCE(sum(1 - s.settled - CASE WHEN s."offset" > a.mark THEN 1 ELSE 0 END), 0)
                FROM (SELECT o."offset", max(o.settled) AS settled
                    FROM ({told} UNION ALL {shut_out} UNION ALL {expired}) AS o
                    WHERE +o."offset" <= a.upto GROUP BY o."offset") AS s
                WHERE {member}) AS unread
        FROM marked AS a
    """
