"""The log: append with an offset, read after a cursor.

Promises: every event that `append` returns is committed, with the tenant's next offset; reads give
events in the order of their offsets. It does not know connections, channels' rules or how an event looks
to a client.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

import orjson
from sqlalchemy import RowMapping, bindparam, select

from hub.domain.errors import Refusal, TenantUnknown
from hub.domain.events import Event, Position
from hub.domain.spread import Spread
from hub.store import tables
from hub.store.appending import Append, Appended, Appender, Entry
from hub.store.audience import Audience, offsets_after
from hub.store.engine import Database
from hub.store.group import Answer, GroupCommit, OnCommit

__all__ = ["Append", "Appended", "EventLog"]

_E, _T = tables.events.c, tables.tenants.c
EVENT_COLUMNS = (
    *(column for column in tables.events.columns if column.name != "collapse_key"),
    _T.epoch,
)
_EVENTS = select(*EVENT_COLUMNS).join_from(tables.events, tables.tenants, _E.tenant == _T.id)
_RANGE = (
    _EVENTS.where(
        _E.tenant == bindparam("tenant"), _E.offset > bindparam("after"), _E.offset <= bindparam("upto")
    )
    .order_by(_E.offset)
    .limit(bindparam("limit"))
)
_AT = _EVENTS.where(
    _E.tenant == bindparam("tenant"), _E.offset.in_(bindparam("offsets", expanding=True))
).order_by(_E.offset)
_ONE = _EVENTS.where(_E.id == bindparam("id"), _E.tenant == bindparam("tenant"))
_POSITIONS = select(_T.id, _T.epoch, _T.offset, _T.trimmed).where(
    _T.id.in_(bindparam("tenants", expanding=True))
)
_X = tables.event_rooms.c
_KEPT_FROM = select(_X.offset).where(
    _X.tenant == bindparam("tenant"),
    _X.room == bindparam("room"),
    _X.offset > bindparam("after"),
    _X.offset <= bindparam("upto"),
)
# Offsets that `missed` looks up at once.
_SLICE = 1000


class EventLog:
    """Every tenant's log.

    `clock` gives the UTC time of rows, `max_group` bounds one shared transaction. `on_commit` is called
    after each commit with what was stored (the event with its place, and its `Append`), in the order of
    the offsets, and what that has replaced, before `append` returns; it must not block.
    """

    def __init__(
        self,
        db: Database,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        max_group: int = 500,
        on_commit: OnCommit | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._appender = Appender(db, clock=clock)
        self._group = GroupCommit(db, self._appender, max_group=max_group, on_commit=on_commit)

    @property
    def commits(self) -> Spread:
        """How many entries shared a transaction."""
        return self._group.sizes

    async def open(self) -> None:
        await self._group.open()

    async def close(self) -> None:
        """Store what waits and stop; raises nothing, later appends are refused with `Draining`."""
        await self._group.close()

    async def append(self, item: Append) -> Appended:
        """Store one event and return when it is committed.

        Raises `TenantUnknown`, `IdempotencyConflict`, `StateConflict` (the event's id is stored already),
        `ValidationFailed` (a value cannot be stored), `StoreUnavailable`. Cancelling stores the event or not.
        """
        [outcome] = await self._group.submit([Entry(item)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def enter(self, item: Append, answer: Answer) -> None:
        """The same for who does not wait: `answer` is told what `append` would return or raise, in a list.

        Raises `ValidationFailed` and `Draining` at once.
        """
        self._group.enter([Entry(item)], answer)

    async def append_many(self, items: Sequence[Append]) -> list[Appended | Refusal]:
        """Store many; each has its own outcome, in order. Those stored get neighbouring offsets."""
        outcomes: list[Appended | Refusal | None] = [None] * len(items)
        entries: dict[int, Entry] = {}
        for number, item in enumerate(items):
            try:
                entries[number] = Entry(item)
            except Refusal as refusal:
                outcomes[number] = refusal
        if entries:
            answers = await self._group.submit(list(entries.values()))
            for number, outcome in zip(entries, answers, strict=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, Refusal):
                    raise outcome
                outcomes[number] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    async def tenant(self, tenant: str, *, create: bool) -> Position:
        """Where the tenant's log stands. Raises `TenantUnknown`, unless it may be created."""
        found = await self.positions([tenant])
        if not found and create:
            async with self._db.write() as conn:
                await self._appender.create_tenants(conn, [tenant], self._clock())
            found = await self.positions([tenant])
        if not found:
            raise TenantUnknown(f"no tenant {tenant!r}")
        return found[tenant]

    async def positions(self, tenants: Collection[str]) -> dict[str, Position]:
        """Where the logs of those tenants stand that exist."""
        if not tenants:
            return {}
        async with self._db.read() as conn:
            found = await conn.execute(_POSITIONS, {"tenants": list(tenants)})
        return {name: Position(epoch, offset, trimmed) for name, epoch, offset, trimmed in found}

    async def range(self, tenant: str, after: int, upto: int, *, limit: int) -> list[Event]:
        """All events of the log with `after` < offset <= `upto`, oldest first, whoever they were for."""
        bounds = {"tenant": tenant, "after": after, "upto": upto, "limit": limit}
        async with self._db.read() as conn:
            found = await conn.execute(_RANGE, bounds)
        return [event_of(row) for row in found.mappings()]

    async def missed(
        self,
        tenant: str,
        rooms: Sequence[str],
        user: str | None,
        after: int,
        upto: int,
        *,
        limit: int,
        now: datetime,
    ) -> list[Event]:
        """What somebody in `rooms` missed: `after` < offset <= `upto`, oldest first, each event once.

        Without what has expired, and without what excludes one of the rooms or `user`, also because the
        user had muted it. Fewer than `limit` events: there are no more.
        """
        own = {*rooms, f"user:{user}"} if user is not None else set(rooms)
        events: list[Event] = []
        audience = Audience(tenant, tuple(rooms))
        bounds = {"tenant": tenant, "room": f"-user:{user}", "after": after, "upto": upto}
        async with self._db.read() as conn:
            kept = set((await conn.execute(_KEPT_FROM, bounds)).scalars())
            while len(events) < limit:
                wanted = min(_SLICE, limit - len(events))
                offsets = await offsets_after(conn, audience, after, upto, limit=wanted)
                if not offsets:
                    break
                found = await conn.execute(_AT, {"tenant": tenant, "offsets": offsets})
                for row in found.mappings():
                    event = event_of(row)
                    shut_out = event.offset in kept or not own.isdisjoint(event.exclude)
                    if not shut_out and not _expired(event, now):
                        events.append(event)
                if len(offsets) < wanted:
                    break
                after = offsets[-1]
        return events

    async def get(self, tenant: str, id: str) -> Event | None:
        """The event with this id, when it is the tenant's and retention has left it."""
        async with self._db.read() as conn:
            row = (await conn.execute(_ONE, {"tenant": tenant, "id": id})).mappings().first()
        return None if row is None else event_of(row)


def event_of(row: RowMapping) -> Event:
    """The event in a row that has `EVENT_COLUMNS`, whatever else it has."""
    exclude = row["exclude"]
    return Event(
        tenant=row["tenant"],
        id=row["id"],
        type=row["type"],
        wire=row["wire"],
        created_at=row["created_at"],
        rooms=tuple(orjson.loads(row["rooms"])),
        title=row["title"],
        message=row["message"],
        link=row["link"],
        data=orjson.loads(row["data"]),
        severity=row["severity"],
        inbox=row["inbox"],
        exclude=tuple(orjson.loads(exclude)) if exclude else (),
        actor=row["actor"],
        expires_at=row["expires_at"],
        epoch=row["epoch"],
        offset=row["offset"],
    )


def _expired(event: Event, now: datetime) -> bool:
    return event.expires_at is not None and event.expires_at <= now
