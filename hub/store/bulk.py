"""Many rows of one table in few statements, as fast as each database takes them.

SQLite: rows in powers of two, each power a prepared statement of that many rows, so that its thread gives
up the interpreter once for a group and not for every row. PostgreSQL: all rows as one JSON parameter, which
costs this process a quarter of what a parameter per value costs. Values go in as Python values; this file
knows columns and their types, and no table in particular.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import Table

from hub.store.trips import Statement

# Rows in one statement of SQLite at most: with the widest table far from its 32 766 parameters.
_MOST = 256


class RowInsert:
    """`INSERT` of rows: a tuple per row, the values of `columns` in their order.

    `same`: columns that have the same value in every row, as SQL. The other columns stay null.
    """

    def __init__(
        self, table: Table, dialect: str, columns: Sequence[str], same: Mapping[str, str] | None = None
    ) -> None:
        self._sqlite = dialect == "sqlite"
        self._columns = columns
        same = same or {}
        names = ", ".join(f'"{name}"' for name in (*columns, *same))
        target = f'INSERT INTO "{table.name}" ({names})'
        self._one_row = f"({', '.join([*'?' * len(columns), *same.values()])})"
        self._target = f"{target} VALUES "
        self._statements: dict[int, str] = {}
        if not self._sqlite:
            from sqlalchemy.dialects import postgresql

            named: Any = postgresql.dialect()  # type: ignore[no-untyped-call]
            types = ", ".join(f'"{name}" {table.c[name].type.compile(dialect=named)}' for name in columns)
            given = ", ".join([*(f'"{name}"' for name in columns), *same.values()])
            self._json = f"{target} SELECT {given} FROM json_to_recordset(%s::json) AS row({types})"  # noqa: S608

    def of(self, rows: Sequence[tuple[Any, ...]]) -> Iterable[Statement]:
        """The statements that store `rows`."""
        if not rows:
            return ()
        if not self._sqlite:
            named = [dict(zip(self._columns, row, strict=True)) for row in rows]
            return ((self._json, (orjson.dumps(named).decode(),)),)
        return [
            (self._statement(len(part)), list(chain.from_iterable(part))) for part in _powers_of_two(rows)
        ]

    def _statement(self, rows: int) -> str:
        if rows not in self._statements:
            self._statements[rows] = self._target + ", ".join([self._one_row] * rows)
        return self._statements[rows]


def sqlite_time(moment: datetime) -> str:
    """The text under which SQLAlchemy keeps a UTC time in SQLite."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")[:26]


def _powers_of_two(rows: Sequence[tuple[Any, ...]]) -> Iterable[Sequence[tuple[Any, ...]]]:
    size, start = _MOST, 0
    while start < len(rows):
        while size > len(rows) - start:
            size >>= 1
        yield rows[start : start + size]
        start += size
