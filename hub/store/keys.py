"""API keys of backends.

Promises: only the SHA-256 of a secret is stored, so a stolen database opens nothing; a revoked key is not
found. A secret is 32 random bytes, which needs no slow hash. It does not know what a scope allows.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from ulid import ULID

from hub.domain.access import ApiKey
from hub.store import tables
from hub.store.asking import Asking
from hub.store.audit import Note, put
from hub.store.engine import Database

PREFIX = "hub_"
_SHOWN = 12  # characters of a secret that lists show, so that people recognize it
_K = tables.api_keys.c


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key as lists show it. `shown` is the beginning of its secret."""

    key: ApiKey
    name: str | None
    shown: str
    created_at: datetime
    revoked_at: datetime | None


Entries = list[KeyEntry]  # `ApiKeys.list` hides the builtin from the annotations of its class


class ApiKeys:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._asking = Asking(self._read)

    async def create(
        self,
        tenant: str | None,
        scopes: Collection[str],
        name: str | None,
        *,
        now: datetime,
        note: Note | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which nobody can ever read again. `tenant` None: the platform's."""
        secret = PREFIX + secrets.token_urlsafe(32)
        row = _row(secret, tenant, scopes, name, now)
        async with self._db.write() as conn:
            await conn.execute(insert(tables.api_keys), row)
            await put(conn, note and note.about(row["id"]))
        return ApiKey(row["id"], tenant, frozenset(scopes)), secret

    async def ensure(
        self, secret: str, tenant: str | None, scopes: Collection[str], name: str | None, *, now: datetime
    ) -> None:
        """See to it that a key with this known secret exists, as it is if it was there: for development."""
        statement = self._db.insert(tables.api_keys).on_conflict_do_nothing(index_elements=["hash"])
        async with self._db.write() as conn:
            await conn.execute(statement, _row(secret, tenant, scopes, name, now))

    async def find(self, secret: str) -> ApiKey | None:
        """The key with this secret, unless it was revoked. Many who ask at once cost one read."""
        return await self._asking.ask(_hash(secret))

    async def _read(self, hashes: Sequence[str]) -> Sequence[ApiKey | None]:
        wanted = select(tables.api_keys).where(_K.hash.in_(set(hashes)), _K.revoked_at.is_(None))
        async with self._db.read() as conn:
            found = {row.hash: _key(row) for row in await conn.execute(wanted)}
        return [found.get(hash) for hash in hashes]

    async def list(self, tenant: str | None) -> Entries:
        """The keys of a tenant (None: of the platform), oldest first, revoked ones too."""
        wanted = select(tables.api_keys).where(_K.tenant.is_not_distinct_from(tenant)).order_by(_K.id)
        async with self._db.read() as conn:
            found = await conn.execute(wanted)
        return [KeyEntry(_key(row), row.name, row.prefix, row.created_at, row.revoked_at) for row in found]

    async def revoke(self, tenant: str | None, id: str, *, now: datetime, note: Note | None = None) -> bool:
        """End a key; whether there was one that had not ended. The first revocation's time stays."""
        ended = (
            update(tables.api_keys)
            .where(_K.id == id, _K.tenant.is_not_distinct_from(tenant), _K.revoked_at.is_(None))
            .values(revoked_at=now)
        )
        async with self._db.write() as conn:
            found = (await conn.execute(ended)).rowcount > 0
            await put(conn, note if found else None)
        return found


def _row(
    secret: str, tenant: str | None, scopes: Collection[str], name: str | None, now: datetime
) -> dict[str, Any]:
    return {
        "id": str(ULID.from_datetime(now)),
        "tenant": tenant,
        "hash": _hash(secret),
        "prefix": secret[:_SHOWN],
        "name": name,
        "scopes": " ".join(sorted(scopes)),
        "created_at": now,
    }


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(row.id, row.tenant, frozenset(row.scopes.split()))
