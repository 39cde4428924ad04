"""One transaction of the log: a group of events gets its offsets and its rows.

Promises: offsets of a tenant are contiguous and in commit order, whoever writes at the same time, because
the tenant's row is locked from the moment it is read until the commit; an Idempotency-Key is looked up
under the same lock, so two requests with one key can never both be stored. What goes wrong for one item
without the database (unknown tenant, key used with another body) is that item's outcome; an error of the
database fails the whole group, and `hub.store.group` sorts it out.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.delivery import Planned
from hub.domain.drafts import IdempotencyKey
from hub.domain.errors import IdempotencyConflict, StateConflict, TenantUnknown, ValidationFailed
from hub.domain.events import Cursor, Event
from hub.store import rows, tables
from hub.store.bulk import RowInsert, sqlite_time
from hub.store.collapse import Collapse, Newer, Replaced
from hub.store.engine import Database
from hub.store.muting import left_out
from hub.store.rows import Rows, plain
from hub.store.scheduled import sent, still_waiting, without
from hub.store.trips import Question, Statement, Trips

_EPOCH_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_EPOCH_LENGTH = 8
NOBODY_NAMED = "[]"


@dataclass(slots=True, kw_only=True)  # not frozen: that doubles the price of making one
class Append:
    """One event to store, with what must be stored in the same transaction.

    `expand`: rooms whose people are turned into deliveries later, with the channels. `answer` gives the
    bytes (UTF-8) that are returned and, under `key`, replayed; it must not block, and is called in a thread.
    `collapse_key`: it takes the place of older ones with the same (`hub.store.collapse`).
    `draft`: it comes of the scheduled draft with its id, as it was stored; `StateConflict` when that waits no
    longer, or is another by now.
    `mutable`: it does not stand in the inbox of those who have muted its type. `request`: the id of that for
    whose sake its deliveries are.
    The event gets its place while it is stored: it belongs to the log from here on.
    """

    event: Event
    answer: Callable[[Cursor], bytes]
    deliveries: Sequence[Planned] = ()
    expand: Sequence[tuple[str, tuple[str, ...]]] = ()
    key: IdempotencyKey | None = None
    create_tenant: bool = False
    mutable: bool = True
    collapse_key: str | None = None
    draft: str | None = None
    request: str | None = None


@dataclass(slots=True)
class Appended:
    """What became of an `Append`. `event` has its place; it is None when the answer is a replayed one.
    `replaced`: the older events whose place it has taken."""

    event: Event | None
    answer: bytes
    replayed: bool = False
    replaced: list[Replaced] | tuple[()] = ()


class Entry:
    """An `Append` on its way: encoded before it waits, so that what cannot be encoded harms nobody else."""

    __slots__ = ("data", "exclude", "item", "outcome", "rooms")

    def __init__(self, item: Append) -> None:
        event = item.event
        self.item = item
        self.outcome: Appended | Exception | None = None
        try:
            self.data = orjson.dumps(event.data, default=plain).decode()
            self.rooms = orjson.dumps(event.rooms).decode()
            self.exclude = orjson.dumps(event.exclude).decode() if event.exclude else None
        except TypeError as error:
            raise ValidationFailed(f"the event's data cannot be stored: {error}") from error


def new_epoch() -> str:
    """The name of one life of a tenant's log: letters and digits, told to clients in every cursor."""
    return "".join(secrets.choice(_EPOCH_ALPHABET) for _ in range(_EPOCH_LENGTH))


def _as_it_is(moment: datetime) -> datetime:
    return moment


class Appender:
    """Describes how groups are stored. Keeps the statements and the names of tenants it has seen."""

    def __init__(self, db: Database, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        dialect = db.dialect
        self._sqlite = dialect == "sqlite"
        self._events = RowInsert(tables.events, dialect, rows.EVENT)
        self._rooms = RowInsert(tables.event_rooms, dialect, rows.ROOM)
        self._deliveries = RowInsert(tables.deliveries, dialect, rows.DELIVERY, rows.NEW_DELIVERY)
        self._expansions = RowInsert(tables.expansions, dialect, rows.EXPANSION, rows.NEW_EXPANSION)
        self._keys = RowInsert(tables.idempotency_keys, dialect, rows.KEY)
        self._tenants = db.insert(tables.tenants).on_conflict_do_nothing()
        self._known: set[str] = set()
        create = (
            'INSERT INTO tenants (id, epoch, "offset", trimmed, settings, created_at) '
            "VALUES ({0}, {0}, 0, 0, '{{}}', {0}) ON CONFLICT DO NOTHING"
        )
        if dialect == "sqlite":
            self._lock = (
                'SELECT id, epoch, "offset", muted FROM tenants WHERE id IN (SELECT value FROM json_each(?))'
            )
            self._find = (
                "SELECT k.tenant, k.key, k.fingerprint, k.answer FROM json_each(?) AS wanted "
                "CROSS JOIN idempotency_keys AS k ON k.tenant = json_extract(wanted.value, '$[0]') "
                "AND k.key = json_extract(wanted.value, '$[1]')"
            )
            self._advance = 'UPDATE tenants SET "offset" = ? WHERE id = ?'
            self._create = create.format("?")
            self._time: Callable[[datetime], Any] = sqlite_time
        else:
            # In the order of their names, so that two processes cannot wait for each other in a circle.
            self._lock = (
                'SELECT id, epoch, "offset", muted FROM tenants '
                "WHERE id = ANY(ARRAY(SELECT json_array_elements_text(%s::json))) "
                "ORDER BY id FOR NO KEY UPDATE"
            )
            self._find = (
                "SELECT k.tenant, k.key, k.fingerprint, k.answer "
                "FROM json_array_elements(%s::json) AS wanted "
                "JOIN idempotency_keys AS k ON k.tenant = wanted->>0 AND k.key = wanted->>1"
            )
            self._advance = 'UPDATE tenants SET "offset" = %s WHERE id = %s'
            self._create = create.format("%s")
            self._time = _as_it_is
        self._collapse = Collapse(sqlite=self._sqlite, time=self._time)

    def store(self, entries: Sequence[Entry]) -> Trips:
        """The transaction that stores all of `entries` whose tenants exist; sets their outcomes."""
        now = self._clock()
        names = sorted({entry.item.event.tenant for entry in entries})
        new = sorted({entry.item.event.tenant for entry in entries if entry.item.create_tenant} - self._known)
        wanted = [(entry.item.event.tenant, entry.item.key.key) for entry in entries if entry.item.key]
        asked: list[Statement] = [(self._lock, (orjson.dumps(names).decode(),))]
        if wanted:
            asked.append((self._find, (orjson.dumps(wanted).decode(),)))
        drafts = [entry.item.event.id for entry in entries if entry.item.draft is not None]
        if drafts:
            asked.append(still_waiting(drafts, sqlite=self._sqlite))
        # Created before any is locked: an insert that waits while it holds a lock could close a circle.
        found = yield Question([(self._create, (name, new_epoch(), self._time(now))) for name in new], asked)
        places: dict[str, tuple[str, int]] = {name: (epoch, offset) for name, epoch, offset, _ in found[0]}
        muted = {name for name, _, _, some in found[0] if some}
        self._known -= set(names) - places.keys()
        keys: dict[tuple[str, str], tuple[str, str]] = {}
        if wanted:
            keys = {(tenant, key): (digest, answer) for tenant, key, digest, answer in found[1]}
        waiting: dict[str, str] = dict(found[-1]) if drafts else {}
        new_rows = Rows(now, self._time)
        moved: dict[str, int] = {}
        muting: list[Event] = []
        newer: list[Newer] = []
        released: list[str] = []
        for entry in entries:
            item, tenant = entry.item, entry.item.event.tenant
            place = places.get(tenant)
            if place is None:
                entry.outcome = TenantUnknown(f"no tenant {tenant!r}")
                continue
            known = keys.get((tenant, item.key.key)) if item.key else None
            if item.key and known:
                entry.outcome = _replay(item.key, *known)
                continue
            if item.draft is not None and (
                waiting.get(item.event.id) != item.draft or _overtaken(item, newer)
            ):
                entry.outcome = StateConflict("the scheduled draft was sent, replaced or cancelled")
                continue
            epoch, last = place
            places[tenant] = epoch, last + 1
            moved[tenant] = last + 1
            event = item.event
            event.epoch, event.offset = epoch, last + 1
            if item.draft is not None:
                released.append(event.id)
            answer = item.answer(Cursor(epoch, last + 1))
            entry.outcome = outcome = Appended(event, answer)
            if item.collapse_key is not None:
                outcome.replaced = []
                newer.append(Newer(event, item.collapse_key, outcome.replaced))
            may_be_muted = tenant in muted and item.mutable and event.inbox
            # Who reads an inbox looks for exclusions only where the event says that there may be some.
            exclude = entry.exclude or (NOBODY_NAMED if may_be_muted else None)
            new_rows.add(event, entry.data, entry.rooms, exclude, item.collapse_key)
            if may_be_muted:
                muting.append(event)
            if item.deliveries:
                new_rows.add_deliveries(event, item.deliveries, item.request)
            if item.expand:
                new_rows.add_expansions(event, item.expand, item.request)
            if item.key:
                text = answer.decode()
                keys[tenant, item.key.key] = item.key.fingerprint, text
                new_rows.add_key(tenant, item.key, text)
        stored: list[Statement] = [
            *((self._advance, (moved[tenant], tenant)) for tenant in sorted(moved)),
            *self._events.of(new_rows.events),
            *self._rooms.of(sorted(new_rows.rooms)),  # neighbours share the pages of their table
            *left_out(muting, self._sqlite),
            *self._deliveries.of(new_rows.deliveries),
            *self._expansions.of(new_rows.expansions),
            *self._keys.of(new_rows.keys),
            *(sent(id, sqlite=self._sqlite) for id in released),
        ]
        if newer:
            return (yield from self._collapse.replace(newer, stored, now))
        return stored

    def committed(self, tenants: Iterable[str]) -> None:
        """Told after a commit: these tenants exist, and need not be created any more."""
        self._known.update(tenants)

    async def create_tenants(self, conn: AsyncConnection, names: Sequence[str], now: datetime) -> None:
        """Store those of `names` that do not exist, in the given order."""
        if names:
            await conn.execute(
                self._tenants,
                [{"id": name, "epoch": new_epoch(), "created_at": now} for name in names],
            )


def _overtaken(item: Append, newer: Sequence[Newer]) -> bool:
    """Whether one of these, stored right before it, takes rooms out of the draft that it comes of."""
    event, key, draft = item.event, item.collapse_key, item.draft
    return draft is not None and any(
        one.key == key
        and one.event.tenant == event.tenant
        and event.id < one.event.id
        and without(draft, one.event.rooms) != draft
        for one in newer
    )


def _replay(key: IdempotencyKey, fingerprint: str, answer: str) -> Appended | IdempotencyConflict:
    if fingerprint != key.fingerprint:
        return IdempotencyConflict()
    return Appended(None, answer.encode(), replayed=True)
