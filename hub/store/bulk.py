"""Many rows of one table in one statement, as fast as each database takes them.

SQLite: a prepared statement run row by row. PostgreSQL: all rows as one JSON parameter, which costs this
process a quarter of what a parameter per value costs. Values go in as Python values; this file knows
columns and their types, and no table in particular.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.tables import UtcDateTime


class RowInsert:
    """`INSERT` of whole rows: a dict per row, with every column of the table."""

    def __init__(self, table: Table, dialect: str) -> None:
        self._sqlite = dialect == "sqlite"
        columns = list(table.columns)
        self._times = [column.name for column in columns if isinstance(column.type, UtcDateTime)]
        names = ", ".join(f'"{column.name}"' for column in columns)
        target = f'INSERT INTO "{table.name}" ({names})'
        if self._sqlite:
            self._sql = f"{target} VALUES ({', '.join(f':{column.name}' for column in columns)})"
        else:
            named: Any = postgresql.dialect()  # type: ignore[no-untyped-call]
            types = ", ".join(f'"{column.name}" {column.type.compile(dialect=named)}' for column in columns)
            self._sql = f"{target} SELECT {names} FROM json_to_recordset(%s::json) AS row({types})"  # noqa: S608

    async def run(self, conn: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
        """Store `rows`, all or none. On SQLite their times are turned into text in place."""
        if not rows:
            return
        if not self._sqlite:
            await conn.exec_driver_sql(self._sql, (orjson.dumps(rows).decode(),))
            return
        for name in self._times:
            for row in rows:
                if row[name] is not None:
                    row[name] = sqlite_time(row[name])
        await conn.exec_driver_sql(self._sql, list(rows))


def sqlite_time(moment: datetime) -> str:
    """The text under which SQLAlchemy keeps a UTC time in SQLite."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
