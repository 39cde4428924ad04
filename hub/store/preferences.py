"""What people want, and what a tenant wants for those who have said nothing.

Promises: of two changes at once neither is lost; what somebody mutes in the app is written down in the
transaction of their wish, under the lock of their tenant's log, so that every event is stored either before
it or with them left out; many who ask at once what they have muted cost one read. Does not know what wishes
mean beyond that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, delete, select, update

from hub.domain.errors import TenantUnknown
from hub.domain.preferences import ONCE, Said, mutes
from hub.store import tables
from hub.store.asking import Asking
from hub.store.audit import Note, put
from hub.store.engine import Database

_P, _M, _T = tables.preferences.c, tables.mutes.c, tables.tenants.c
DEFAULTS = "preferences"  # the name under which a tenant's settings hold them
_OWN = select(_P.wishes).where(_P.tenant == bindparam("a_tenant"), _P.user == bindparam("a_user"))
_SETTINGS = select(_T.settings).where(_T.id == bindparam("a_tenant"))
_MANY = select(_P.user, _P.wishes).where(
    _P.tenant == bindparam("a_tenant"), _P.user.in_(bindparam("users", expanding=True))
)
_MUTED = {
    "sqlite": (
        "SELECT m.tenant, m.user, m.type FROM json_each(?) AS wanted "
        "CROSS JOIN mutes AS m ON m.tenant = json_extract(wanted.value, '$[0]') "
        "AND m.user = json_extract(wanted.value, '$[1]')"
    ),
    "postgresql": (
        'SELECT m.tenant, m."user", m.type FROM json_array_elements(%s::json) AS wanted '
        'JOIN mutes AS m ON m.tenant = wanted->>0 AND m."user" = wanted->>1'
    ),
}
Change = Callable[[Said], Said]


class Wanted(NamedTuple):
    """`own`: of one person; `default`: of the tenant. Empty: nothing was said."""

    own: Said
    default: Said


class Preferences:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._muted: Asking[tuple[str, str], frozenset[str]] = Asking(self._read_muted)

    async def get(self, tenant: str, user: str) -> Wanted:
        who = {"a_tenant": tenant, "a_user": user}
        async with self._db.read() as conn:
            own = (await conn.execute(_OWN, who)).scalar()
            settings = (await conn.execute(_SETTINGS, {"a_tenant": tenant})).scalar()
        return Wanted(orjson.loads(own) if own else {}, defaults_of(settings))

    async def of_many(self, tenant: str, users: Collection[str]) -> tuple[Said, Mapping[str, Said]]:
        """The tenant's defaults, and what those of `users` want who have said something."""
        async with self._db.read() as conn:
            settings = (await conn.execute(_SETTINGS, {"a_tenant": tenant})).scalar()
            found = await conn.execute(_MANY, {"a_tenant": tenant, "users": list(users)})
            return defaults_of(settings), {user: orjson.loads(wishes) for user, wishes in found}

    async def change(self, tenant: str, user: str, change: Change, *, now: datetime) -> tuple[Wanted, bool]:
        """What is wanted now, and whether other types are muted than before. What `change` raises is raised.

        Raises `TenantUnknown`.
        """
        first = self._db.insert(tables.preferences).on_conflict_do_nothing()
        who = {"a_tenant": tenant, "a_user": user}
        async with self._db.write() as conn:
            # Locked from here on: the row of somebody who has said nothing cannot be.
            await conn.execute(first, {"tenant": tenant, "user": user, "wishes": "{}", "updated_at": now})
            before = orjson.loads((await conn.execute(_OWN.with_for_update(), who)).scalar_one())
            own = change(before)
            await conn.execute(
                update(tables.preferences)
                .where(_P.tenant == tenant, _P.user == user)
                .values(wishes=orjson.dumps(own).decode(), updated_at=now)
            )
            muted = mutes(own)
            if changed := muted != mutes(before):
                await self._set_mutes(conn, tenant, user, muted)
            settings = (await conn.execute(_SETTINGS, {"a_tenant": tenant})).scalar()
            if settings is None:
                raise TenantUnknown(f"no tenant {tenant!r}")
        return Wanted(own, defaults_of(settings)), changed

    async def _set_mutes(self, conn: Any, tenant: str, user: str, muted: Collection[str]) -> None:
        # First the tenant: its row is what the log locks, and whether it needs to look at mutes at all.
        await conn.execute(update(tables.tenants).where(_T.id == tenant).values(muted=True))
        rows = {ONCE, *muted}
        await conn.execute(
            delete(tables.mutes).where(_M.tenant == tenant, _M.user == user, _M.type.not_in(rows))
        )
        await conn.execute(
            self._db.insert(tables.mutes).on_conflict_do_nothing(),
            [{"tenant": tenant, "user": user, "type": type} for type in sorted(rows)],
        )

    async def muted(self, tenant: str, user: str) -> frozenset[str]:
        """As `hub.domain.preferences.mutes`, with `ONCE` for who has ever muted anything; else empty."""
        return await self._muted.ask((tenant, user))

    async def _read_muted(self, asked: Sequence[tuple[str, str]]) -> list[frozenset[str]]:
        wanted = orjson.dumps(list(dict.fromkeys(asked))).decode()
        [rows] = await self._db.fetch([(_MUTED[self._db.dialect], (wanted,))])
        found: dict[tuple[str, str], set[str]] = {}
        for tenant, user, type in rows:
            found.setdefault((tenant, user), set()).add(type)
        return [frozenset(found.get(one, ())) for one in asked]

    # -- a tenant's defaults -------------------------------------------------------------------------
    async def defaults(self, tenant: str) -> Said:
        async with self._db.read() as conn:
            return defaults_of((await conn.execute(_SETTINGS, {"a_tenant": tenant})).scalar())

    async def set_defaults(self, tenant: str, said: Said, *, note: Note) -> None:
        """Raises `TenantUnknown`."""
        async with self._db.write() as conn:
            settings = (await conn.execute(_SETTINGS.with_for_update(), {"a_tenant": tenant})).scalar()
            if settings is None:
                raise TenantUnknown(f"no tenant {tenant!r}")
            settings = {name: value for name, value in settings.items() if name != DEFAULTS}
            if said:
                settings[DEFAULTS] = said
            await conn.execute(update(tables.tenants).where(_T.id == tenant).values(settings=settings))
            await put(conn, note)


def defaults_of(settings: Any) -> Said:
    """The defaults in a tenant's settings; as JSON, or what it stands for."""
    if not settings or settings == "{}":
        return {}
    found: Said = (orjson.loads(settings) if isinstance(settings, str) else settings).get(DEFAULTS, {})
    return found
