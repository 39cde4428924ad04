"""Rows that processes keep up with: each has a version, and versions follow the order of the commits.

Promises: whoever has read up to a version misses none by asking for those after it. Runs inside a transaction
that somebody else has begun, and does not know what a row means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.engine import Database


async def alone(conn: AsyncConnection, db: Database, table: Table) -> None:
    """From here on nobody else writes to the table before the commit; readers go on."""
    if db.dialect != "sqlite":  # there every writer is alone
        await conn.execute(text(f'LOCK TABLE "{table.name}" IN SHARE ROW EXCLUSIVE MODE'))


async def keep(
    conn: AsyncConnection, db: Database, table: Table, named: Mapping[str, Any], changed: Mapping[str, Any]
) -> Row[Any]:
    """The row of that name as it is now, under the next version. Whoever calls this is `alone`."""
    newest = (await conn.execute(select(func.max(table.c.version)))).scalar()
    new = {**changed, "version": (newest or 0) + 1}
    upsert = db.insert(table).values({**named, **new})
    stored = await conn.execute(
        upsert.on_conflict_do_update(index_elements=list(named), set_=new).returning(*table.c)
    )
    return stored.one()
