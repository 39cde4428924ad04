"""Deliveries in work: claimed by one worker at a time, called, moved along their states.

Promises: of any number of workers that claim a delivery at once exactly one gets it, for the length of a
lease; each claim raises the row's fence, and whoever holds an older fence can write nothing. That a
provider is being called is committed before it is called, so a lease that ends tells whether a message
may have left. Rows are inserted by the event log, in the event's own transaction. Decides nothing: which
state comes next, and when, is told. Does not know templates, providers or queues; what nobody works on
is found by `backlog`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, Select, and_, false, insert, or_, select, true, update

from hub.domain.delivery import CLAIMABLE, TERMINAL, Delivery, Planned, Status
from hub.domain.events import Event
from hub.store.engine import Database
from hub.store.events import EVENT_COLUMNS, event_of
from hub.store.tables import attempts, deliveries, events, expansions, people, tenants

D = deliveries.c
# A worker that found its claim ended may still say how the call went, until another one claims.
_HELD = (Status.SENDING, Status.UNKNOWN)
_PENDING = (Status.PLANNED, Status.QUEUED, Status.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery that is ours until the lease ends, and what is needed to send it.

    `fence` is raised by every claim, `attempts` counts the calls made before this one. `event` None:
    retention has removed it.
    """

    id: str
    tenant: str
    user: str
    channel: str
    address: str | None
    fence: int
    attempts: int
    maybe_duplicate: bool
    event: Event | None
    locale: str | None
    timezone: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How a call of a provider ended. `outcome`: sent, temporary or permanent."""

    number: int
    outcome: str
    duration_ms: float
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a claimed delivery goes next. `due_at` is for states that are not over.

    `maybe_duplicate` is only ever added to a delivery, never taken away.
    """

    status: Status
    due_at: datetime | None = None
    reason: str | None = None
    error: str | None = None
    provider_id: str | None = None
    maybe_duplicate: bool = False
    call: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of a provider, as stored. `outcome` None: under way; `lost`: its worker died."""

    number: int
    started_at: datetime
    duration_ms: float | None
    provider: str | None
    outcome: str | None
    detail: str | None


def row_of(planned: Planned, *, tenant: str, offset: int, event_id: str, now: datetime) -> dict[str, Any]:
    """The row of a planned or skipped delivery of an event."""
    return {
        "id": planned.id,
        "tenant": tenant,
        "offset": offset,
        "event_id": event_id,
        "user": planned.user,
        "channel": planned.channel,
        "address": planned.address,
        "status": planned.status,
        "attempts": 0,
        "due_at": None if planned.status in TERMINAL else planned.due_at,
        "fence": 0,
        "maybe_duplicate": False,
        "reason": planned.reason,
        "created_at": now,
        "updated_at": now,
    }


class Deliveries:
    def __init__(self, db: Database) -> None:
        self._db = db

    # -- a worker's side -----------------------------------------------------------------------------
    async def claim(self, id: str, *, now: datetime, lease: float) -> Claim | None:
        """Take a delivery that is due, for `lease` seconds. None: not due, over, held, or unknown."""
        taken = (
            update(deliveries)
            .where(D.id == id, D.status.in_(CLAIMABLE), D.due_at <= now)
            .values(
                status=Status.SENDING,
                fence=D.fence + 1,
                lease_until=now + timedelta(seconds=lease),
                call_started=None,
                maybe_duplicate=or_(D.maybe_duplicate, D.status == Status.UNKNOWN),
                updated_at=now,
            )
            .returning(*deliveries.c)
        )
        async with self._db.write() as connection:
            row = (await connection.execute(taken)).mappings().first()
            if row is None:
                return None
            source = (await connection.execute(_source(row))).mappings().first()
        return Claim(
            id=row["id"],
            tenant=row["tenant"],
            user=row["user"],
            channel=row["channel"],
            address=row["address"],
            fence=row["fence"],
            attempts=row["attempts"],
            maybe_duplicate=row["maybe_duplicate"],
            event=event_of(source) if source else None,
            locale=source["locale"] if source else None,
            timezone=source["timezone"] if source else None,
        )

    async def start_call(self, id: str, fence: int, *, provider: str, now: datetime) -> int | None:
        """Commit that the provider is being called: the call's number, from 1. None: the claim is gone."""
        started = (
            update(deliveries)
            .where(D.id == id, D.fence == fence, D.status == Status.SENDING, D.lease_until > now)
            .values(call_started=now, attempts=D.attempts + 1, provider=provider, updated_at=now)
            .returning(D.attempts)
        )
        async with self._db.write() as connection:
            number: int | None = (await connection.execute(started)).scalar()
            if number is not None:
                row = {"delivery_id": id, "number": number, "started_at": now, "provider": provider}
                await connection.execute(insert(attempts).values(row))
        return number

    async def advance(self, id: str, fence: int, step: Step, *, now: datetime) -> Delivery | None:
        """Move a claimed delivery on and give the claim back. None: the fence was lost, nothing written."""
        moved = (
            update(deliveries)
            .where(D.id == id, D.fence == fence, D.status.in_(_HELD))
            .values(
                status=step.status,
                due_at=step.due_at,
                lease_until=None,
                call_started=None,
                reason=step.reason,
                error=step.error,
                provider_id=step.provider_id,
                maybe_duplicate=or_(D.maybe_duplicate, true() if step.maybe_duplicate else false()),
                updated_at=now,
            )
            .returning(*deliveries.c)
        )
        async with self._db.write() as connection:
            row = (await connection.execute(moved)).mappings().first()
            if row is not None and step.call is not None:
                a, call = attempts.c, step.call
                await connection.execute(
                    update(attempts)
                    .where(a.delivery_id == id, a.number == call.number)
                    .values(outcome=call.outcome, duration_ms=call.duration_ms, detail=call.detail)
                )
        return delivery_of(row) if row is not None else None

    # -- what people see and ask for -----------------------------------------------------------------
    async def cancel_pending(self, tenant: str, event_id: str, *, now: datetime) -> list[Delivery]:
        """Cancel what has not been sent of an event, also what is not written out yet; what was cancelled."""
        cancelled = (
            update(deliveries)
            .where(D.tenant == tenant, D.event_id == event_id, D.status.in_(_PENDING))
            .values(status=Status.CANCELLED, due_at=None, lease_until=None, updated_at=now)
            .returning(*deliveries.c)
        )
        async with self._db.write() as connection:
            await connection.execute(
                update(expansions)
                .where(expansions.c.tenant == tenant, expansions.c.event_id == event_id)
                .values(done=True)
            )
            rows = (await connection.execute(cancelled)).mappings().all()
        return [delivery_of(row) for row in rows]

    async def channels_of(
        self, tenant: str, user: str, event_ids: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Per event id what became of one user's deliveries: `{channel, status, attempts, error}` each."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        wanted = select(deliveries).where(D.tenant == tenant, D.user == user, D.event_id.in_(event_ids))
        async with self._db.read() as connection:
            rows = (await connection.execute(wanted.order_by(D.id))).mappings().all()
        for row in rows:
            state = delivery_of(row).update
            found[row["event_id"]].append(
                {
                    "channel": state.channel,
                    "status": state.status,
                    "attempts": state.attempts,
                    "error": state.error,
                }
            )
        return dict(found)

    async def attempts(self, id: str) -> list[Attempt]:
        """Every call of a provider for a delivery, in order."""
        a = attempts.c
        made = (
            select(a.number, a.started_at, a.duration_ms, a.provider, a.outcome, a.detail)
            .where(a.delivery_id == id)
            .order_by(a.number)
        )
        async with self._db.read() as connection:
            rows = (await connection.execute(made)).mappings().all()
        return [Attempt(**row) for row in rows]


def _source(row: RowMapping) -> Select[Any]:
    """The event of a delivery's row, with how its recipient reads dates and words."""
    e, p = events.c, people.c
    return (
        select(*EVENT_COLUMNS, p.locale, p.timezone)
        .join_from(events, tenants, e.tenant == tenants.c.id)
        .outerjoin(people, and_(p.tenant == row["tenant"], p.id == row["user"]))
        .where(e.tenant == row["tenant"], e.offset == row["offset"])
    )


def delivery_of(row: RowMapping) -> Delivery:
    """A row of `deliveries` as a noun."""
    return Delivery(
        id=row["id"],
        tenant=row["tenant"],
        event_id=row["event_id"],
        user=row["user"],
        channel=row["channel"],
        status=Status(row["status"]),
        attempts=row["attempts"],
        due_at=row["due_at"],
        reason=row["reason"],
        error=row["error"],
        provider=row["provider"],
        maybe_duplicate=row["maybe_duplicate"],
        updated_at=row["updated_at"],
    )
