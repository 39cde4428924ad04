"""What tenants say of event types: stored, and read by whoever has seen what was said before.

Promises: versions follow the order of the commits, so `since` the last version one has seen misses none.
What is taken back stays as a row that says nothing, because its absence could not be read. Does not know
what a rule means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select

from hub.store import versions
from hub.store.audit import Note, put
from hub.store.engine import Database
from hub.store.tables import type_rules

_T = type_rules.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """`said` None: taken back."""

    tenant: str
    type: str
    said: Mapping[str, Any] | None
    updated_at: datetime
    updated_by: str
    version: int = 0


class TypeRuleRows:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def put(self, row: Stored, *, note: Note, most: int | None = None) -> Stored | None:
        """Store it under the next version, with its note.

        None, and nothing is stored: the tenant speaks of `most` others already; or there is nothing to take
        back.
        """
        mine = (_T.tenant == row.tenant, _T.said.is_not(None))
        async with self._db.write() as conn:
            await versions.alone(conn, self._db, type_rules)
            names = set((await conn.execute(select(_T.type).where(*mine))).scalars())
            known = row.type in names
            if not known and (row.said is None or (most is not None and len(names) >= most)):
                return None
            changed = {
                "said": None if row.said is None else orjson.dumps(row.said).decode(),
                "updated_at": row.updated_at,
                "updated_by": row.updated_by,
            }
            named = {"tenant": row.tenant, "type": row.type}
            found = _stored(await versions.keep(conn, self._db, type_rules, named, changed))
            await put(conn, note)
        return found

    async def since(self, version: int, *, limit: int) -> list[Stored]:
        """Those stored after `version`, in order."""
        wanted = select(type_rules).where(_T.version > version).order_by(_T.version).limit(limit)
        async with self._db.read() as conn:
            return [_stored(row) for row in await conn.execute(wanted)]


def _stored(row: Any) -> Stored:
    return Stored(
        tenant=row.tenant,
        type=row.type,
        said=None if row.said is None else orjson.loads(row.said),
        updated_at=row.updated_at,
        updated_by=row.updated_by,
        version=row.version,
    )
