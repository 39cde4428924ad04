"""People of a tenant: where they can be reached and which roles they have.

Promises: many who ask for addresses at once cost one read; a partial put leaves alone what it does not
mention; pages go in a stable order after a user id, so that work over many people can stop and go on. It
does not know what preferences mean, or who is connected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, Select, bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.drafts import Contact
from hub.domain.preferences import Said
from hub.store import tables
from hub.store.asking import Asking
from hub.store.engine import Database
from hub.store.preferences import defaults_of
from hub.store.push import browsers_of

_P, _R = tables.people.c, tables.people_roles.c
_CONTACT = ("email", "phone", "locale", "timezone", "discord_webhook")
_PEOPLE = select(tables.people).where(_P.tenant == bindparam("tenant"))
_ROLES = select(_R.user, _R.role).where(
    _R.tenant == bindparam("tenant"), _R.user.in_(bindparam("users", expanding=True))
)
_SOME = _PEOPLE.where(_P.id.in_(bindparam("users", expanding=True)))
_EVERYONE = _PEOPLE.where(_P.id > bindparam("after")).order_by(_P.id).limit(bindparam("limit"))
_WITH_ROLE = (
    select(tables.people)
    .join_from(tables.people_roles, tables.people, (_P.tenant == _R.tenant) & (_P.id == _R.user))
    .where(_R.tenant == bindparam("tenant"), _R.role == bindparam("role"), _R.user > bindparam("after"))
    .order_by(_R.user)
    .limit(bindparam("limit"))
)


_ADDRESSES = {
    "sqlite": (
        "SELECT p.tenant, p.id, p.email, p.phone, p.discord_webhook, p.timezone, w.wishes, t.settings "
        "FROM json_each(?) AS wanted "
        "CROSS JOIN people AS p ON p.tenant = json_extract(wanted.value, '$[0]') "
        "AND p.id = json_extract(wanted.value, '$[1]') "
        "LEFT JOIN tenants AS t ON t.id = p.tenant "
        "LEFT JOIN preferences AS w ON w.tenant = p.tenant AND w.user = p.id"
    ),
    "postgresql": (
        "SELECT p.tenant, p.id, p.email, p.phone, p.discord_webhook, p.timezone, w.wishes, "
        "t.settings::text FROM json_array_elements(%s::json) AS wanted "
        "JOIN people AS p ON p.tenant = wanted->>0 AND p.id = wanted->>1 "
        "LEFT JOIN tenants AS t ON t.id = p.tenant "
        'LEFT JOIN preferences AS w ON w.tenant = p.tenant AND w."user" = p.id'
    ),
}


# The browsers of the same people, also of those who are not in `people`.
_BROWSERS = {
    "sqlite": (
        "SELECT s.tenant, s.user, s.subscription FROM json_each(?) AS wanted "
        "CROSS JOIN push_subscriptions AS s ON s.tenant = json_extract(wanted.value, '$[0]') "
        "AND s.user = json_extract(wanted.value, '$[1]') ORDER BY s.id"
    ),
    "postgresql": (
        'SELECT s.tenant, s."user", s.subscription FROM json_array_elements(%s::json) AS wanted '
        'JOIN push_subscriptions AS s ON s.tenant = wanted->>0 AND s."user" = wanted->>1 ORDER BY s.id'
    ),
}


class Addresses(NamedTuple):
    """Where one person can be reached, and what they and their tenant have said about it."""

    email: str | None
    phone: str | None
    discord_webhook: str | None
    webpush: tuple[str, ...] = ()
    timezone: str | None = None
    wanted: Said | None = None
    default: Said | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody, as stored. `roles` are sorted."""

    tenant: str
    id: str
    email: str | None
    phone: str | None
    locale: str | None
    timezone: str | None
    discord_webhook: str | None
    roles: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    webpush: tuple[str, ...] = ()  # where it was asked for


class People:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._addresses = Asking(self._read_addresses)
        upsert = db.insert(tables.people)
        # Null: not mentioned, so what is stored stays. An empty text is stored, and read as nothing.
        kept = {name: func.coalesce(upsert.excluded[name], _P[name]) for name in _CONTACT}
        self._upsert = upsert.on_conflict_do_update(
            index_elements=["tenant", "id"], set_={**kept, "updated_at": upsert.excluded.updated_at}
        )

    async def put(self, tenant: str, contact: Contact, *, now: datetime) -> Person:
        """Create or change one person. A field that is None stays as it is, an empty one is removed."""
        return (await self.put_many(tenant, [contact], now=now))[0]

    async def put_many(self, tenant: str, contacts: Sequence[Contact], *, now: datetime) -> list[Person]:
        """Create or change people, all or none; who is named twice is changed twice, in order."""
        if not contacts:
            return []
        rows = [
            {
                "tenant": tenant,
                "id": contact.user,
                **{name: getattr(contact, name) for name in _CONTACT},
                "created_at": now,
                "updated_at": now,
            }
            for contact in contacts
        ]
        roles = {contact.user: contact.roles for contact in contacts if contact.roles is not None}
        # In the order of their ids, so that two processes cannot wait for each other in a circle.
        rows.sort(key=lambda row: row["id"])
        async with self._db.write() as conn:
            await conn.execute(self._upsert, rows)
            await self._set_roles(conn, tenant, roles)
            found = await _read(conn, tenant, _SOME, users=[contact.user for contact in contacts])
        people = {person.id: person for person in found}
        return [people[contact.user] for contact in contacts]

    async def get(self, tenant: str, user: str) -> Person | None:
        return (await self.get_many(tenant, [user])).get(user)

    async def get_many(self, tenant: str, users: Collection[str]) -> dict[str, Person]:
        """Those of `users` that are known, by id."""
        if not users:
            return {}
        async with self._db.read() as conn:
            found = await _read(conn, tenant, _SOME, users=list(users))
        return {person.id: person for person in found}

    async def addresses(self, tenant: str, users: Collection[str]) -> dict[str, Addresses]:
        """Where those of `users` can be reached that are known, by id."""
        if not users:
            return {}
        return await self._addresses.ask((tenant, users))

    def ask_addresses(self, tenant: str, users: Collection[str]) -> asyncio.Future[dict[str, Addresses]]:
        """The same for who does not wait."""
        return self._addresses.begin((tenant, users))

    async def _read_addresses(
        self, questions: Sequence[tuple[str, Collection[str]]]
    ) -> list[dict[str, Addresses]]:
        wanted = list({(tenant, user) for tenant, users in questions for user in users})
        which = (orjson.dumps(wanted).decode(),)
        asked = [(statements[self._db.dialect], which) for statements in (_ADDRESSES, _BROWSERS)]
        rows, browsers = await self._db.fetch(asked)
        found: dict[str, dict[str, Addresses]] = {}
        for tenant, user, email, phone, webhook, timezone, wishes, settings in rows:
            found.setdefault(tenant, {})[user] = Addresses(
                email or None,
                phone or None,
                webhook or None,
                timezone=timezone or None,
                wanted=orjson.loads(wishes) if wishes else None,
                default=defaults_of(settings) or None,
            )
        for tenant, user, subscription in browsers:
            person = found.setdefault(tenant, {}).get(user) or Addresses(None, None, None)
            found[tenant][user] = person._replace(webpush=(*person.webpush, subscription))
        return [_those(users, found.get(tenant, {})) for tenant, users in questions]

    async def everyone(self, tenant: str, *, after: str, limit: int) -> list[Person]:
        """A page of the tenant's people whose ids come after `after` ("" for the first page)."""
        return await self._with_browsers(tenant, _EVERYONE, after=after, limit=limit)

    async def with_role(self, tenant: str, role: str, *, after: str, limit: int) -> list[Person]:
        """The same for the people who have `role`."""
        return await self._with_browsers(tenant, _WITH_ROLE, role=role, after=after, limit=limit)

    async def _with_browsers(self, tenant: str, statement: Select[Any], **values: Any) -> list[Person]:
        async with self._db.read() as conn:
            people = await _read(conn, tenant, statement, **values)
            found = await browsers_of(conn, tenant, [person.id for person in people])
        return [replace(one, webpush=found[one.id]) if one.id in found else one for one in people]

    async def delete(self, tenant: str, user: str) -> bool:
        """Forget a person, their roles, browsers and what they want; whether there was one."""
        async with self._db.write() as conn:
            for table in (tables.preferences, tables.mutes):
                await conn.execute(delete(table).where(table.c.tenant == tenant, table.c.user == user))
            await conn.execute(delete(tables.people_roles).where(_R.tenant == tenant, _R.user == user))
            browsers = tables.push_subscriptions.c
            mine = (browsers.tenant == tenant, browsers.user == user)
            await conn.execute(delete(tables.push_subscriptions).where(*mine))
            gone = await conn.execute(delete(tables.people).where(_P.tenant == tenant, _P.id == user))
        return gone.rowcount > 0

    async def _set_roles(self, conn: AsyncConnection, tenant: str, roles: dict[str, tuple[str, ...]]) -> None:
        if not roles:
            return
        await conn.execute(delete(tables.people_roles).where(_R.tenant == tenant, _R.user.in_(list(roles))))
        rows = [
            {"tenant": tenant, "role": role, "user": user}
            for user, names in roles.items()
            for role in dict.fromkeys(names)
        ]
        if rows:
            await conn.execute(insert(tables.people_roles), rows)


def _those(users: Collection[str], known: Mapping[str, Addresses]) -> dict[str, Addresses]:
    return {user: known[user] for user in users if user in known}


async def _read(conn: AsyncConnection, tenant: str, statement: Select[Any], **values: Any) -> list[Person]:
    rows = (await conn.execute(statement, {"tenant": tenant, **values})).all()
    if not rows:
        return []
    roles: dict[str, list[str]] = {row.id: [] for row in rows}
    for user, role in await conn.execute(_ROLES, {"tenant": tenant, "users": list(roles)}):
        roles[user].append(role)
    return [_person(row, roles[row.id]) for row in rows]


def _person(row: Row[Any], roles: list[str]) -> Person:
    contact: dict[str, Any] = {name: getattr(row, name) or None for name in _CONTACT}
    return Person(
        tenant=row.tenant,
        id=row.id,
        **contact,
        roles=tuple(sorted(roles)),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
