"""Addresses of a tenant that get nothing any more, by their digests.

Promises: an address is there once for each channel, with the reason that came first; whoever asks for many
asks once. Nothing here can tell an address from its digest. Does not know who bounced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, bindparam, delete, or_, select, tuple_

from hub.domain.suppression import Suppression, digest, hint
from hub.store.audit import Note, put
from hub.store.dialects import insert
from hub.store.engine import Database
from hub.store.tables import suppressions

S = suppressions.c
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOUND = select(S.tenant, S.channel, S.address).where(
    tuple_(S.tenant, S.channel, S.address).in_(bindparam("wanted", expanding=True))
)


class Address(NamedTuple):
    tenant: str
    channel: str
    address: str


class Struck(NamedTuple):
    """An address to suppress, and the delivery that showed why."""

    tenant: str
    channel: str
    address: str
    reason: str
    delivery: str | None


class Place(NamedTuple):
    """Where a page begins: after this entry. `at` in microseconds since 1970."""

    at: int
    channel: str
    id: str


def among(conn: Connection, addresses: Iterable[Address]) -> set[Address]:
    """Those of `addresses` that are suppressed."""
    keys = {(one.tenant, one.channel, digest(one.channel, one.address)): one for one in addresses}
    if not keys:
        return set()
    found = conn.execute(_FOUND, {"wanted": list(keys)})
    return {keys[tenant, channel, id] for tenant, channel, id in found}


def strike(conn: Connection, struck: Iterable[Struck], *, now: datetime) -> int:
    """Suppress, in a transaction that somebody else has begun; how many are new."""
    rows = {
        (one.tenant, one.channel, id := digest(one.channel, one.address)): {
            "tenant": one.tenant,
            "channel": one.channel,
            "address": id,
            "hint": hint(one.channel, one.address),
            "reason": one.reason,
            "delivery_id": one.delivery,
            "created_at": now,
        }
        for one in struck
    }
    if not rows:
        return 0
    # In one order, so that two processes cannot wait for each other in a circle.
    new = (
        insert(conn.dialect.name, suppressions)
        .values([rows[key] for key in sorted(rows)])
        .on_conflict_do_nothing()
        .returning(S.address)
    )
    return len((conn.execute(new)).all())


class Suppressions:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def among(self, addresses: Sequence[Address]) -> set[Address]:
        """Those of `addresses` that get nothing; one read for all of them, none for none."""
        if not addresses:
            return set()
        async with self._db.read() as conn:
            return await conn.run_sync(among, addresses)

    async def add(
        self, tenant: str, channel: str, address: str, reason: str, *, now: datetime, note: Note
    ) -> tuple[Suppression, bool]:
        """The entry, and whether it is new. One that was there keeps its reason."""
        struck = Struck(tenant, channel, address, reason, None)
        id = digest(channel, address)
        async with self._db.write() as conn:
            is_new = bool(await conn.run_sync(partial(strike, struck=[struck], now=now)))
            one = select(suppressions).where(S.tenant == tenant, S.channel == channel, S.address == id)
            row = (await conn.execute(one)).one()
            if is_new:
                await put(conn, note.about(f"{channel}:{id}"))
        return _entry(row), is_new

    async def remove(self, tenant: str, channel: str, id: str, *, note: Note) -> bool:
        """Let an address get messages again; whether it was there."""
        gone = delete(suppressions).where(S.tenant == tenant, S.channel == channel, S.address == id)
        async with self._db.write() as conn:
            found = (await conn.execute(gone)).rowcount > 0
            if found:
                await put(conn, note)
        return found

    async def page(
        self, tenant: str, *, channel: str | None, limit: int, after: Place | None
    ) -> list[Suppression]:
        """Entries, the newest first."""
        wanted = select(suppressions).where(S.tenant == tenant)
        if channel is not None:
            wanted = wanted.where(S.channel == channel)
        if after is not None:
            at = _EPOCH + timedelta(microseconds=after.at)
            later = and_(S.created_at == at, tuple_(S.channel, S.address) > tuple_(after.channel, after.id))
            wanted = wanted.where(S.created_at <= at, or_(S.created_at < at, later))
        newest = wanted.order_by(S.created_at.desc(), S.channel, S.address).limit(limit)
        async with self._db.read() as conn:
            return [_entry(row) for row in await conn.execute(newest)]


def place_of(entry: Suppression) -> Place:
    return Place((entry.created_at - _EPOCH) // timedelta(microseconds=1), entry.channel, entry.id)


def _entry(row: Row[Any]) -> Suppression:
    return Suppression(
        channel=row.channel,
        id=row.address,
        hint=row.hint,
        reason=row.reason,
        delivery=row.delivery_id,
        created_at=row.created_at,
    )
