"""The three things workers do to deliveries, for many deliveries at once: claim, start a call, move on.

Each is a few statements however many deliveries there are. Promises are those of `hub.store.deliveries`;
this file holds their SQL and runs inside a transaction that somebody else has begun.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    Connection,
    RowMapping,
    and_,
    bindparam,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from hub.domain.budgets import Over
from hub.domain.callback import GONE
from hub.domain.delivery import CLAIMABLE, Call, Claim, Delivery, Member, Status, Step
from hub.store.crews import CLAIMED, members_of, take
from hub.store.events import EVENT_COLUMNS, event_of
from hub.store.preferences import defaults_of
from hub.store.push import forget, owned
from hub.store.spending import Draw, draw
from hub.store.suppressions import Address, Struck, among, strike
from hub.store.tables import (
    attempts,
    deliveries,
    events,
    people,
    preferences,
    read_marks,
    receipts,
    tenants,
)

D = deliveries.c
# Glued to '', the status is no bound of a range: PostgreSQL would rather walk all that is being sent, and all
# that was since its last vacuum, than look up the ids.
_SENDING = D.status.concat("") == Status.SENDING
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
    draw: Draw | None = None


@dataclass(frozen=True, slots=True)
class ToMove:
    id: str
    fence: int
    step: Step
    now: datetime


Work = ToClaim | ToCall | ToMove
Done = Claim | Delivery | Over | int | None

_FREE = (
    select(D.id)
    .where(
        D.id.in_(bindparam("ids", expanding=True)),
        D.digest.is_(None),
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
    .returning(*CLAIMED)
)
# The events of claimed deliveries, with how their recipients read dates and words, what they want, and what
# they did with it where that matters.
_SOURCES = (
    select(
        D.id.label("delivery_id"),
        *EVENT_COLUMNS,
        *(people.c.locale, people.c.timezone, preferences.c.wishes, tenants.c.settings),
        *(receipts.c.read, receipts.c.seen_at, receipts.c.archived_at, receipts.c.deleted_at),
        read_marks.c.offset.label("mark"),
    )
    .join_from(deliveries, events, and_(events.c.tenant == D.tenant, events.c.offset == D.offset))
    .join(tenants, tenants.c.id == D.tenant)
    .outerjoin(people, and_(people.c.tenant == D.tenant, people.c.id == D.user))
    .outerjoin(preferences, and_(preferences.c.tenant == D.tenant, preferences.c.user == D.user))
    .outerjoin(
        receipts,
        and_(
            D.unless_seen,
            receipts.c.tenant == D.tenant,
            receipts.c.user == D.user,
            receipts.c.offset == D.offset,
        ),
    )
    .outerjoin(
        read_marks,
        and_(D.unless_seen, read_marks.c.tenant == D.tenant, read_marks.c.user == D.user),
    )
    .where(D.id.in_(bindparam("ids", expanding=True)))
)
_START = (
    update(deliveries)
    .where(
        D.id.in_(bindparam("ids", expanding=True)),  # SQLite looks for pairs in no index
        tuple_(D.id, D.fence).in_(bindparam("claims", expanding=True)),
        _SENDING,
        D.lease_until > bindparam("now"),
    )
    .values(
        call_started=bindparam("now"),
        attempts=D.attempts + 1,
        provider=bindparam("a_provider"),
        updated_at=bindparam("now"),
    )
    .returning(D.id, D.fence, D.attempts, D.digest_of)
)
_NEW_ATTEMPT = insert(attempts)
_OURS = (
    select(deliveries)
    .where(
        D.id.in_(bindparam("ids", expanding=True)),
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
        digest_of=bindparam("a_leader"),
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


def run(connection: Connection, work: Sequence[Work]) -> list[Done]:
    """All of `work`; for each what it brought: a claim, the number of a call, the delivery as it stands
    now, or None where it was not to be had."""
    results: list[Done] = [None] * len(work)
    claims = {place: item for place, item in enumerate(work) if isinstance(item, ToClaim)}
    calls = {place: item for place, item in enumerate(work) if isinstance(item, ToCall)}
    moves = {place: item for place, item in enumerate(work) if isinstance(item, ToMove)}
    if moves:
        moved = _move(connection, list(moves.values()))
        for place, move in moves.items():
            results[place] = moved.get((move.id, move.fence))
    if calls:
        numbers = _start(connection, list(calls.values()))
        for place, call in calls.items():
            results[place] = numbers.get((call.id, call.fence))
    if claims:
        claimed = _claim(connection, list(claims.values()))
        for place, claim in claims.items():
            results[place] = claimed.pop(claim.id, None)  # who asked for the same one later gets nothing
    return results


def _claim(connection: Connection, wanted: Sequence[ToClaim]) -> dict[str, Claim]:
    now = max(item.now for item in wanted)
    times = {"now": now, "lease_until": now + timedelta(seconds=max(item.lease for item in wanted))}
    ids = {item.id for item in wanted}
    rows = [*(connection.execute(_CLAIM, {**times, "ids": list(ids)})).mappings()]
    crews: dict[str, list[RowMapping]] = {row["id"]: [row] for row in rows}
    if others := ids - crews.keys():
        joined = take(connection, others, times)
        crews |= joined
        rows += [row for crew in joined.values() for row in crew]
    if not rows:
        return {}
    found = connection.execute(_SOURCES, {"ids": [row["id"] for row in rows]})
    sources = {source["delivery_id"]: source for source in found.mappings()}
    closed = _closed(connection, [crew[0] for crew in crews.values()])
    return {
        asked: _claimed(crew, sources, suppressed=crew[0]["id"] in closed) for asked, crew in crews.items()
    }


def _closed(connection: Connection, rows: Sequence[RowMapping]) -> set[str]:
    """Those of these deliveries to whose addresses nothing is to be sent: suppressed, or a browser that its
    user has signed off, or that another one has signed on with."""
    given = [row for row in rows if row["address"]]
    browsers = {row["id"]: (row["tenant"], row["user"], row["address"]) for row in given if _is_push(row)}
    open_ = owned(connection, list(browsers.values())) if browsers else set()
    struck = among(connection, [_address_of(row) for row in given if not _is_push(row)])
    closed = {id for id, browser in browsers.items() if browser not in open_}
    return closed | {row["id"] for row in given if _address_of(row) in struck}


def _start(connection: Connection, wanted: Sequence[ToCall]) -> dict[tuple[str, int], int | Over]:
    by_provider: dict[str, list[ToCall]] = defaultdict(list)
    numbers: dict[tuple[str, int], int | Over] = {}
    for item, over in zip(wanted, draw(connection, [item.draw for item in wanted]), strict=True):
        if over is not None:
            numbers[item.id, item.fence] = over
        else:
            by_provider[item.provider].append(item)
    for provider, items in by_provider.items():
        now = max(item.now for item in items)
        values = {**_claims(items), "now": now, "a_provider": provider}
        started = (connection.execute(_START, values)).all()
        called = [(row.id, row.attempts) for row in started]
        along_of: dict[str, list[tuple[str, int]]] = defaultdict(list)
        if leaders := [row.id for row in started if row.digest_of == row.id]:
            along = (
                update(deliveries)
                .where(members_of(leaders, _SENDING))
                .values(call_started=now, attempts=D.attempts + 1, provider=provider, updated_at=now)
                .returning(D.id, D.attempts, D.digest_of)
            )
            for row in connection.execute(along):
                called.append((row.id, row.attempts))
                along_of[row.digest_of].append((row.id, row.attempts))
        if called:
            rows = [
                {"delivery_id": id, "number": number, "started_at": now, "provider": provider}
                for id, number in called
            ]
            connection.execute(_NEW_ATTEMPT, rows)
        ended: list[tuple[str, Call]] = []
        before = {(item.id, item.fence): item.ended for item in items}
        for row in started:
            if (call := before.get((row.id, row.fence))) is not None:
                ended.append((row.id, call))
                ended += [(id, replace(call, number=number - 1)) for id, number in along_of.get(row.id, ())]
        _end_calls(connection, ended)
        numbers |= {(row.id, row.fence): row.attempts for row in started}
    return numbers


def _move(connection: Connection, wanted: Sequence[ToMove]) -> dict[tuple[str, int], Delivery]:
    ours = (connection.execute(_OURS, _claims(wanted))).mappings()
    held = {(row["id"], row["fence"]): row for row in ours}
    crews: dict[str, list[RowMapping]] = defaultdict(list)
    if leaders := [row["id"] for row in held.values() if row["digest_of"] == row["id"]]:
        settled = and_(D.status.in_(_SETTLED), D.call_started.is_not(None))
        along = select(deliveries).where(members_of(leaders, D.status.in_(_HELD), settled))
        for one in (connection.execute(along.order_by(D.id).with_for_update())).mappings():
            crews[one["digest_of"]].append(one)
    moved: dict[tuple[str, int], Delivery] = {}
    rows: list[dict[str, Any]] = []
    calls: list[tuple[str, Call]] = []
    gone: list[RowMapping] = []
    for item in wanted:
        row, step = held.get((item.id, item.fence)), item.step
        if row is None:
            continue
        crew: list[Delivery] = []
        for one in (row, *crews[row["id"]]):
            after = _after(one, step, item.now)
            crew.append(after)
            changed = {name: getattr(after, name) for name in _CHANGED}
            rows.append(
                {
                    "an_id": after.id,
                    "provider_id": step.provider_id or one["provider_id"],
                    "a_leader": _leader(one, step, alone=one is row),
                    "given_back": int(step.status is Status.PLANNED),
                    **changed,
                }
            )
            if step.call is not None:
                number = step.call.number if one is row else one["attempts"]
                calls.append((after.id, replace(step.call, number=number)))
        moved[item.id, item.fence] = replace(crew[0], crew=tuple(crew[1:])) if crew[1:] else crew[0]
        if step.gone and row["address"]:
            gone.append(row)
    if rows:
        connection.execute(_MOVE, rows)
    _end_calls(connection, calls)
    if gone:
        _leave(connection, gone, now=max(item.now for item in wanted))
    return moved


def _claims(items: Sequence[ToCall | ToMove]) -> dict[str, Any]:
    return {"ids": [item.id for item in items], "claims": [(item.id, item.fence) for item in items]}


def _after(row: RowMapping, step: Step, now: datetime) -> Delivery:
    """The delivery after the step; where a provider's word has settled it, it stays there."""
    before = delivery_of(row)
    doubtful = before.maybe_duplicate or step.maybe_duplicate
    if before.status not in _HELD:
        return replace(before, maybe_duplicate=doubtful)
    return replace(
        before,
        status=step.status,
        due_at=step.due_at,
        reason=step.reason,
        error=step.error,
        updated_at=now,
        maybe_duplicate=doubtful,
    )


def _leader(row: RowMapping, step: Step, *, alone: bool) -> str | None:
    """In whose message a delivery is after the step. One that moves without its leader has left the crew;
    one that no provider was called with may leave with others next time."""
    leader: str | None = row["digest_of"]
    left = alone and leader != row["id"]
    free = step.status == Status.PLANNED and not row["attempts"]
    return None if left or free else leader


def _leave(connection: Connection, gone: Sequence[RowMapping], *, now: datetime) -> None:
    """Nothing goes to these deliveries' addresses any more."""
    browsers = [row["address"] for row in gone if _is_push(row)]
    if browsers:
        forget(connection, browsers)
    others = [row for row in gone if not _is_push(row)]
    strike(connection, [Struck(*_address_of(row), GONE, row["id"]) for row in others], now=now)


def _is_push(row: RowMapping) -> bool:
    return bool(row["channel"] == "webpush")


def _address_of(row: RowMapping) -> Address:
    return Address(row["tenant"], row["channel"], row["address"])


def _end_calls(connection: Connection, calls: Sequence[tuple[str, Call]]) -> None:
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
        connection.execute(_END_CALL, rows)


def _claimed(crew: Sequence[RowMapping], sources: Mapping[str, RowMapping], *, suppressed: bool) -> Claim:
    row, *others = crew
    source = sources.get(row["id"])
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
        crew=tuple(
            Member(
                id=one["id"],
                fence=one["fence"],
                event=event_of(sources[one["id"]]) if one["id"] in sources else None,
            )
            for one in others
        ),
        wanted=orjson.loads(source["wishes"]) if source and source["wishes"] else {},
        default=defaults_of(source["settings"]) if source else {},
        seen=source is not None and row["unless_seen"] and _seen(source),
    )


def _seen(source: RowMapping) -> bool:
    """Whether a person has dealt with a notification: seen, read, archived or removed it."""
    marks = ("seen_at", "archived_at", "deleted_at")
    if source["read"] or any(source[name] is not None for name in marks):
        return True
    return source["read"] is None and source["mark"] is not None and source["mark"] >= source["offset"]


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
