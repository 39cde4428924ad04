"""The three things workers do to deliveries, for many deliveries at once: claim, start a call, move on.

Each is a few statements however many deliveries there are. Promises are those of `hub.store.deliveries`;
this file holds their SQL and runs inside a transaction that somebody else has begun.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    RowMapping,
    and_,
    bindparam,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.callback import GONE
from hub.domain.delivery import CLAIMABLE, Call, Claim, Delivery, Status, Step
from hub.store.events import EVENT_COLUMNS, event_of
from hub.store.push import forget, owned
from hub.store.suppressions import Address, Struck, among, strike
from hub.store.tables import attempts, deliveries, events, people, tenants

D = deliveries.c
# A worker that found its claim ended may still say how the call went, until another one claims.
_HELD = (Status.SENDING, Status.UNKNOWN)
# Where the provider's word has taken a delivery before its worker came back from the call. It stays there.
_SETTLED = (Status.SENT, Status.DELIVERED, Status.OPENED, Status.DEAD)
# What a step changes in a row and its noun alike.
_CHANGED = ("status", "due_at", "reason", "error", "maybe_duplicate", "updated_at")


@dataclass(frozen=True, slots=True)
class ToClaim:
    id: str
    now: datetime
    lease: float


@dataclass(frozen=True, slots=True)
class ToCall:
    id: str
    fence: int
    provider: str
    now: datetime
    ended: Call | None = None


@dataclass(frozen=True, slots=True)
class ToMove:
    id: str
    fence: int
    step: Step
    now: datetime


Work = ToClaim | ToCall | ToMove
Done = Claim | Delivery | int | None

_FREE = (
    select(D.id)
    .where(
        D.id.in_(bindparam("ids", expanding=True)),
        D.status.in_(CLAIMABLE),
        D.due_at <= bindparam("now"),
    )
    .with_for_update(skip_locked=True)  # whoever has it locked is claiming it
)
_CLAIM = (
    update(deliveries)
    .where(D.id.in_(_FREE.scalar_subquery()))
    .values(
        status=Status.SENDING,
        fence=D.fence + 1,
        lease_until=bindparam("lease_until"),
        call_started=None,
        maybe_duplicate=or_(D.maybe_duplicate, D.status == Status.UNKNOWN),
        updated_at=bindparam("now"),
    )
    .returning(*deliveries.c)
)
# The events of claimed deliveries, with how their recipients read dates and words.
_SOURCES = (
    select(D.id.label("delivery_id"), *EVENT_COLUMNS, people.c.locale, people.c.timezone)
    .join_from(deliveries, events, and_(events.c.tenant == D.tenant, events.c.offset == D.offset))
    .join(tenants, tenants.c.id == D.tenant)
    .outerjoin(people, and_(people.c.tenant == D.tenant, people.c.id == D.user))
    .where(D.id.in_(bindparam("ids", expanding=True)))
)
_START = (
    update(deliveries)
    .where(
        tuple_(D.id, D.fence).in_(bindparam("claims", expanding=True)),
        D.status == Status.SENDING,
        D.lease_until > bindparam("now"),
    )
    .values(
        call_started=bindparam("now"),
        attempts=D.attempts + 1,
        provider=bindparam("a_provider"),
        updated_at=bindparam("now"),
    )
    .returning(D.id, D.fence, D.attempts)
)
_NEW_ATTEMPT = insert(attempts)
_OURS = (
    select(deliveries)
    .where(
        tuple_(D.id, D.fence).in_(bindparam("claims", expanding=True)),
        or_(D.status.in_(_HELD), and_(D.status.in_(_SETTLED), D.call_started.is_not(None))),
    )
    .order_by(D.id)
    .with_for_update()
)
_MOVE = (
    update(deliveries)
    .where(D.id == bindparam("an_id"))
    .values(
        lease_until=None,
        call_started=None,
        provider_id=bindparam("provider_id"),
        # A claim that was given back was not lost.
        past_fence=D.past_fence + bindparam("given_back"),
        **{name: bindparam(name) for name in _CHANGED},
    )
)
_END_CALL = (
    update(attempts)
    .where(attempts.c.delivery_id == bindparam("an_id"), attempts.c.number == bindparam("a_number"))
    .values(**{name: bindparam(name) for name in ("outcome", "duration_ms", "detail")})
)


async def run(connection: AsyncConnection, work: Sequence[Work]) -> list[Done]:
    """All of `work`; for each what it brought: a claim, the number of a call, the delivery as it stands
    now, or None where it was not to be had."""
    results: list[Done] = [None] * len(work)
    claims = {place: item for place, item in enumerate(work) if isinstance(item, ToClaim)}
    calls = {place: item for place, item in enumerate(work) if isinstance(item, ToCall)}
    moves = {place: item for place, item in enumerate(work) if isinstance(item, ToMove)}
    if moves:
        moved = await _move(connection, list(moves.values()))
        for place, move in moves.items():
            results[place] = moved.get((move.id, move.fence))
    if calls:
        numbers = await _start(connection, list(calls.values()))
        for place, call in calls.items():
            results[place] = numbers.get((call.id, call.fence))
    if claims:
        claimed = await _claim(connection, list(claims.values()))
        for place, claim in claims.items():
            results[place] = claimed.pop(claim.id, None)  # who asked for the same one later gets nothing
    return results


async def _claim(connection: AsyncConnection, wanted: Sequence[ToClaim]) -> dict[str, Claim]:
    now = max(item.now for item in wanted)
    values = {
        "ids": [item.id for item in wanted],
        "now": now,
        "lease_until": now + timedelta(seconds=max(item.lease for item in wanted)),
    }
    rows = (await connection.execute(_CLAIM, values)).mappings().all()
    if not rows:
        return {}
    found = await connection.execute(_SOURCES, {"ids": [row["id"] for row in rows]})
    sources = {source["delivery_id"]: source for source in found.mappings()}
    closed = await _closed(connection, rows)
    return {row["id"]: _claimed(row, sources.get(row["id"]), suppressed=row["id"] in closed) for row in rows}


async def _closed(connection: AsyncConnection, rows: Sequence[RowMapping]) -> set[str]:
    """Those of these deliveries to whose addresses nothing is to be sent: suppressed, or a browser that its
    user has signed off, or that another one has signed on with."""
    given = [row for row in rows if row["address"]]
    browsers = {row["id"]: (row["tenant"], row["user"], row["address"]) for row in given if _is_push(row)}
    open_ = await owned(connection, list(browsers.values())) if browsers else set()
    struck = await among(connection, [_address_of(row) for row in given if not _is_push(row)])
    closed = {id for id, browser in browsers.items() if browser not in open_}
    return closed | {row["id"] for row in given if _address_of(row) in struck}


async def _start(connection: AsyncConnection, wanted: Sequence[ToCall]) -> dict[tuple[str, int], int]:
    by_provider: dict[str, list[ToCall]] = defaultdict(list)
    for item in wanted:
        by_provider[item.provider].append(item)
    numbers: dict[tuple[str, int], int] = {}
    for provider, items in by_provider.items():
        now = max(item.now for item in items)
        values = {"claims": [(item.id, item.fence) for item in items], "now": now, "a_provider": provider}
        started = {(id, fence): number for id, fence, number in await connection.execute(_START, values)}
        if started:
            rows = [
                {"delivery_id": id, "number": number, "started_at": now, "provider": provider}
                for (id, _), number in started.items()
            ]
            await connection.execute(_NEW_ATTEMPT, rows)
            ended = [(item.id, item.ended) for item in items if (item.id, item.fence) in started]
            await _end_calls(connection, [(id, call) for id, call in ended if call is not None])
        numbers |= started
    return numbers


async def _move(connection: AsyncConnection, wanted: Sequence[ToMove]) -> dict[tuple[str, int], Delivery]:
    claims = {"claims": [(item.id, item.fence) for item in wanted]}
    ours = (await connection.execute(_OURS, claims)).mappings()
    held = {(row["id"], row["fence"]): row for row in ours}
    moved: dict[tuple[str, int], Delivery] = {}
    rows: list[dict[str, Any]] = []
    calls: list[tuple[str, Call]] = []
    gone: list[RowMapping] = []
    for item in wanted:
        row, step = held.get((item.id, item.fence)), item.step
        if row is None:
            continue
        after = delivery_of(row)
        if after.status in _HELD:
            after = replace(
                after,
                status=step.status,
                due_at=step.due_at,
                reason=step.reason,
                error=step.error,
                updated_at=item.now,
            )
        after = replace(after, maybe_duplicate=after.maybe_duplicate or step.maybe_duplicate)
        moved[item.id, item.fence] = after
        changed = {name: getattr(after, name) for name in _CHANGED}
        about = {
            "provider_id": step.provider_id or row["provider_id"],
            "given_back": int(step.status is Status.PLANNED),
        }
        rows.append({"an_id": item.id, **about, **changed})
        if step.gone and row["address"]:
            gone.append(row)
        if step.call is not None:
            calls.append((item.id, step.call))
    if rows:
        await connection.execute(_MOVE, rows)
    await _end_calls(connection, calls)
    if gone:
        await _leave(connection, gone, now=max(item.now for item in wanted))
    return moved


async def _leave(connection: AsyncConnection, gone: Sequence[RowMapping], *, now: datetime) -> None:
    """Nothing goes to these deliveries' addresses any more."""
    browsers = [row["address"] for row in gone if _is_push(row)]
    if browsers:
        await forget(connection, browsers)
    others = [row for row in gone if not _is_push(row)]
    await strike(connection, [Struck(*_address_of(row), GONE, row["id"]) for row in others], now=now)


def _is_push(row: RowMapping) -> bool:
    return bool(row["channel"] == "webpush")


def _address_of(row: RowMapping) -> Address:
    return Address(row["tenant"], row["channel"], row["address"])


async def _end_calls(connection: AsyncConnection, calls: Sequence[tuple[str, Call]]) -> None:
    """Write down how calls of these deliveries have ended."""
    if calls:
        rows = [
            {
                "an_id": id,
                "a_number": call.number,
                "outcome": call.outcome,
                "duration_ms": call.duration_ms,
                "detail": call.detail,
            }
            for id, call in calls
        ]
        await connection.execute(_END_CALL, rows)


def _claimed(row: RowMapping, source: RowMapping | None, *, suppressed: bool) -> Claim:
    return Claim(
        id=row["id"],
        tenant=row["tenant"],
        user=row["user"],
        channel=row["channel"],
        address=row["address"],
        fence=row["fence"],
        attempts=row["attempts"],
        past_attempts=row["past_attempts"],
        past_fence=row["past_fence"],
        maybe_duplicate=row["maybe_duplicate"],
        event=event_of(source) if source else None,
        locale=source["locale"] if source else None,
        timezone=source["timezone"] if source else None,
        suppressed=suppressed,
    )


def delivery_of(row: RowMapping | dict[str, Any]) -> Delivery:
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
