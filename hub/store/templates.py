"""Tenants' own templates: stored, and read by whoever has seen those before.

Promises: versions follow the order of the commits, so `since` the last version one has seen misses none. One
that is taken back stays as an empty row, because its absence could not be read. Does not know what a template
is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from hub.store import versions
from hub.store.audit import Note, put
from hub.store.engine import Database
from hub.store.tables import templates

_T = templates.c
_ROWS = (_T.tenant, _T.type, _T.channel, _T.locale, _T.source, _T.updated_at, _T.updated_by, _T.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """`locale` "": for every language; `source` "": taken back."""

    tenant: str
    type: str
    channel: str
    locale: str
    source: str
    updated_at: datetime
    updated_by: str
    version: int = 0


class TemplateRows:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def put(self, row: Stored, *, note: Note, most: int | None = None) -> Stored | None:
        """Store it under the next version, with its note.

        None, and nothing is stored: the tenant has `most` others already; or it is to be taken back and
        there is none.
        """
        mine = (_T.tenant == row.tenant, _T.type == row.type)
        this = (*mine, _T.channel == row.channel, _T.locale == row.locale, _T.source != "")
        async with self._db.write() as conn:
            await versions.alone(conn, self._db, templates)
            known = (await conn.execute(select(_T.version).where(*this))).first() is not None
            if not row.source and not known:
                return None
            if row.source and not known and most is not None:
                all_of = select(func.count()).where(_T.tenant == row.tenant, _T.source != "")
                if ((await conn.execute(all_of)).scalar() or 0) >= most:
                    return None
            changed = {
                "source": row.source,
                "updated_at": row.updated_at,
                "updated_by": row.updated_by,
            }
            named = {"tenant": row.tenant, "type": row.type, "channel": row.channel, "locale": row.locale}
            found = _stored(await versions.keep(conn, self._db, templates, named, changed))
            await put(conn, note)
        return found

    async def since(self, version: int, *, limit: int) -> list[Stored]:
        """Those stored after `version`, in order."""
        wanted = select(*_ROWS).where(_T.version > version).order_by(_T.version).limit(limit)
        async with self._db.read() as conn:
            return [_stored(row) for row in await conn.execute(wanted)]


def _stored(row: Any) -> Stored:
    return Stored(
        tenant=row.tenant,
        type=row.type,
        channel=row.channel,
        locale=row.locale,
        source=row.source,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
        version=row.version,
    )
