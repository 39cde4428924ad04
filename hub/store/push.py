"""Browsers that get web push: one row for each subscription.

Promises: an endpoint is there once and belongs to whoever subscribed it last; nobody has more than they may,
the one that was unused for longest gives way. A subscription's JSON is its address, and goes to nobody but
the provider.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import orjson
from sqlalchemy import Connection, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.engine import Database
from hub.store.tables import push_subscriptions

P = push_subscriptions.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """A subscription without what makes it usable. `host`: the browser maker's push service."""

    id: str
    host: str
    user_agent: str | None
    created_at: datetime
    used_at: datetime | None


class PushSubscriptions:
    def __init__(self, db: Database) -> None:
        self._db = db
        new = db.insert(push_subscriptions)
        kept = ("tenant", "user", "subscription", "user_agent", "used_at")
        self._put = new.on_conflict_do_update(
            index_elements=["endpoint_hash"], set_={name: new.excluded[name] for name in kept}
        ).returning(P.id)

    async def put(
        self,
        tenant: str,
        user: str,
        subscription: str,
        *,
        id: str,
        user_agent: str | None,
        now: datetime,
        most: int,
    ) -> str:
        """Keep a subscription (JSON) of `user`; its id, which is `id` unless the endpoint was known."""
        row = {
            "id": id,
            "tenant": tenant,
            "user": user,
            "endpoint_hash": _hash(subscription),
            "subscription": subscription,
            "user_agent": user_agent,
            "created_at": now,
            "used_at": now,
        }
        mine = (P.tenant == tenant, P.user == user)
        async with self._db.write() as conn:
            kept: str = (await conn.execute(self._put, row)).scalar_one()
            over = select(P.id).where(*mine, P.id != kept).order_by(P.used_at.desc(), P.id.desc())
            ids = (await conn.execute(over.offset(most - 1))).scalars().all()
            if ids:
                await conn.execute(delete(push_subscriptions).where(P.id.in_(ids)))
        return kept

    async def list(self, tenant: str, user: str) -> list[Browser]:
        """One user's, the newest first."""
        mine = select(push_subscriptions).where(P.tenant == tenant, P.user == user)
        async with self._db.read() as conn:
            rows = (await conn.execute(mine.order_by(P.created_at.desc(), P.id.desc()))).mappings().all()
        return [
            Browser(
                id=row["id"],
                host=host_of(row["subscription"]),
                user_agent=row["user_agent"],
                created_at=row["created_at"],
                used_at=row["used_at"],
            )
            for row in rows
        ]

    async def remove(self, tenant: str, user: str, id: str) -> bool:
        """Whether the user had it."""
        gone = delete(push_subscriptions).where(P.id == id, P.tenant == tenant, P.user == user)
        async with self._db.write() as conn:
            return (await conn.execute(gone)).rowcount > 0

    async def of(self, tenant: str, users: Collection[str]) -> dict[str, tuple[str, ...]]:
        """The subscriptions (JSON) of those of `users` who have any."""
        async with self._db.read() as conn:
            return await browsers_of(conn, tenant, users)


async def browsers_of(
    conn: AsyncConnection, tenant: str, users: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """The subscriptions (JSON) of those of `users` who have any, each user's oldest first."""
    found: dict[str, list[str]] = defaultdict(list)
    if users:
        wanted = select(P.user, P.subscription).where(P.tenant == tenant, P.user.in_(list(users)))
        for user, subscription in await conn.execute(wanted.order_by(P.id)):
            found[user].append(subscription)
    return {user: tuple(subscriptions) for user, subscriptions in found.items()}


def forget(conn: Connection, subscriptions: Iterable[str]) -> None:
    """Remove subscriptions, in a transaction that somebody else has begun. What is none is left out."""
    hashes = sorted({_hash(one) for one in subscriptions} - {""})
    conn.execute(delete(push_subscriptions).where(P.endpoint_hash.in_(hashes)))


def owned(conn: Connection, asked: Collection[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Those of (tenant, user, subscription) that still belong together."""
    keys = {(tenant, user, _hash(text)): (tenant, user, text) for tenant, user, text in asked}
    wanted = select(P.tenant, P.user, P.endpoint_hash).where(P.endpoint_hash.in_([key[2] for key in keys]))
    found = {tuple(row) for row in conn.execute(wanted)}
    return {one for key, one in keys.items() if key in found}


def host_of(subscription: str) -> str:
    """What may be shown of a subscription."""
    return urlsplit(str(orjson.loads(subscription)["endpoint"])).hostname or ""


def _hash(subscription: str) -> str:
    """Of the endpoint; "" for what is no subscription."""
    try:
        endpoint: str = orjson.loads(subscription)["endpoint"]
        return hashlib.sha256(endpoint.encode()).hexdigest()
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
