"""Drafts that wait for their `sendAt`.

Promises: a draft and its Idempotency-Key are stored together; nothing about who takes a draft: several
processes may take the same one at once. Its id becomes the event's id, and the log stores that event only
while the draft waits as it was taken (`still_waiting`), and removes it in the same transaction: what was
replaced or cancelled meanwhile is not sent, and nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.drafts import Contact, Draft, IdempotencyKey
from hub.domain.errors import IdempotencyConflict, ValidationFailed
from hub.domain.geo import Near
from hub.store import tables
from hub.store.engine import Database
from hub.store.rows import key_row, plain
from hub.store.trips import Statement

_S, _K = tables.scheduled.c, tables.idempotency_keys.c
_TUPLES = ("to", "channels", "exclude")
_TIMES = ("send_at", "expires_at")
_WAITING = "SELECT id, draft FROM scheduled WHERE id IN (SELECT value FROM json_each(?))"
_WAITING_LOCKED = (
    "SELECT id, draft FROM scheduled WHERE id IN (SELECT json_array_elements_text(%s::json)) "
    "ORDER BY id FOR UPDATE"
)
_SENT = "DELETE FROM scheduled WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored draft. `id` is to be its event's, `text` is how it is stored."""

    id: str
    draft: Draft
    text: str
    send_at: datetime
    created_at: datetime


class Scheduled:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(
        self, id: str, draft: Draft, *, key: IdempotencyKey | None, answer: bytes, now: datetime
    ) -> tuple[bytes, bool]:
        """Keep a draft until its `send_at`; the answer, and whether it is the one given before for `key`.

        Key and draft are stored together. Raises `IdempotencyConflict` and `ValidationFailed`.
        """
        if draft.send_at is None:
            raise ValueError("a draft without send_at is not scheduled")
        tenant = draft.tenant
        row = {
            "id": id,
            "tenant": tenant,
            "draft": _encode(draft),
            "send_at": draft.send_at,
            "created_at": now,
            "collapse_key": draft.collapse_key,
        }
        async with self._db.write() as conn:
            if key is not None:
                given = await _given(conn, tenant, key)
                if given is not None:
                    return given, True
                await conn.execute(insert(tables.idempotency_keys), key_row(tenant, key, answer, now))
            if draft.collapse_key is not None:
                if key is None:
                    await _lock(conn, tenant)
                await _supersede(conn, draft)
            await conn.execute(insert(tables.scheduled), row)
        return answer, False

    async def take_due(self, now: datetime, *, limit: int) -> list[Waiting]:
        """Drafts of all tenants whose time has come, oldest first. They stay until they are events."""
        due = select(tables.scheduled).where(_S.send_at <= now).order_by(_S.send_at, _S.id).limit(limit)
        async with self._db.read() as conn:
            return [_waiting(row) for row in await conn.execute(due)]

    async def get(self, id: str, *, tenant: str) -> Waiting | None:
        """The draft with this id, if it still waits."""
        wanted = select(tables.scheduled).where(_S.id == id, _S.tenant == tenant)
        async with self._db.read() as conn:
            row = (await conn.execute(wanted)).first()
        return None if row is None else _waiting(row)

    async def remove(self, id: str, *, tenant: str) -> bool:
        """Forget a draft that is cancelled, or cannot be sent; whether it was there."""
        async with self._db.write() as conn:
            gone = await conn.execute(delete(tables.scheduled).where(_S.id == id, _S.tenant == tenant))
        return gone.rowcount > 0


def still_waiting(ids: Sequence[str], *, sqlite: bool) -> Statement:
    """Asks for id and text of those of these drafts that wait: the asker's until its transaction ends."""
    return _WAITING if sqlite else _WAITING_LOCKED, (orjson.dumps(ids).decode(),)


def sent(id: str, *, sqlite: bool) -> Statement:
    """Removes a draft in the transaction that stores its event."""
    return _SENT if sqlite else _SENT.replace("?", "%s"), (id,)


async def _supersede(conn: AsyncConnection, draft: Draft) -> None:
    """Take the rooms of `draft` out of those that wait with its collapse key."""
    wanted = select(_S.id, _S.draft).where(_S.tenant == draft.tenant, _S.collapse_key == draft.collapse_key)
    for id, text in (await conn.execute(wanted)).all():
        less = without(text, draft.to)
        if less is None:
            await conn.execute(delete(tables.scheduled).where(_S.id == id))
        elif less != text:
            await conn.execute(update(tables.scheduled).where(_S.id == id).values(draft=less))


def without(text: str, rooms: Collection[str]) -> str | None:
    """A stored draft without `rooms`: something newer went there, or will go. None: nobody is left."""
    draft = _decode(text)
    rest = tuple([room for room in draft.to if room not in rooms])
    if rest == draft.to:
        return text
    return _encode(replace(draft, to=rest)) if rest or draft.near is not None else None


async def _given(conn: AsyncConnection, tenant: str, key: IdempotencyKey) -> bytes | None:
    """The answer that was given for `key`, if any.

    Looked up under the tenant's lock, as in the log, so that of two requests at once one sees the other's.
    """
    await _lock(conn, tenant)
    known = select(_K.fingerprint, _K.answer).where(_K.tenant == tenant, _K.key == key.key)
    found = (await conn.execute(known)).first()
    if found is None:
        return None
    if found.fingerprint != key.fingerprint:
        raise IdempotencyConflict
    return str(found.answer).encode()


async def _lock(conn: AsyncConnection, tenant: str) -> None:
    lock = select(tables.tenants.c.id).where(tables.tenants.c.id == tenant)
    await conn.execute(lock.with_for_update(key_share=True))


def _encode(draft: Draft) -> str:
    try:
        return orjson.dumps(draft, default=plain).decode()
    except TypeError as error:
        raise ValidationFailed(f"the draft cannot be stored: {error}") from error


def _decode(text: str) -> Draft:
    fields: dict[str, Any] = orjson.loads(text)
    for name in _TUPLES:
        if fields[name] is not None:
            fields[name] = tuple(fields[name])
    for name in _TIMES:
        if fields[name] is not None:
            fields[name] = datetime.fromisoformat(fields[name])
    contact = fields["contact"]
    if contact is not None:
        roles = contact["roles"]
        fields["contact"] = Contact(**contact | {"roles": None if roles is None else tuple(roles)})
    if (near := fields.get("near")) is not None:  # older rows do not say
        fields["near"] = Near(**near)
    return Draft(**fields)


def _waiting(row: Row[Any]) -> Waiting:
    return Waiting(row.id, _decode(row.draft), row.draft, row.send_at, row.created_at)
