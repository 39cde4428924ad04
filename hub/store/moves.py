"""Moving deliveries on after a call: their new state, their crews, and addresses that are gone.

Runs inside a transaction that somebody else has begun; the promises are those of `hub.store.deliveries`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, or_, select, tuple_, update

from hub.domain.callback import GONE
from hub.domain.delivery import Call, Delivery, Status, Step
from hub.store.calls import end_calls
from hub.store.crews import members_of
from hub.store.delivery_rows import D, address_of, bound_to, delivery_of, is_push
from hub.store.push import forget
from hub.store.suppressions import Struck, strike
from hub.store.tables import deliveries

# A worker that found its claim ended may still say how the call went, until another one claims.
_HELD = (Status.SENDING, Status.UNKNOWN)
# Where the provider's word has taken a delivery before its worker came back from the call. It stays there.
_SETTLED = (Status.SENT, Status.DELIVERED, Status.OPENED, Status.DEAD)
# What a step changes in a row and its noun alike.
_CHANGED = ("status", "due_at", "reason", "error", "maybe_duplicate", "updated_at")


@dataclass(frozen=True, slots=True)
class ToMove:
    id: str
    fence: int
    step: Step
    now: datetime


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


def move(connection: Connection, wanted: Sequence[ToMove]) -> dict[tuple[str, int], Delivery]:
    """Each delivery as it stands after its step, by (id, fence); without those whose claim is over."""
    ours = (connection.execute(_OURS, bound_to([(item.id, item.fence) for item in wanted]))).mappings()
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
    end_calls(connection, calls)
    if gone:
        _leave(connection, gone, now=max(item.now for item in wanted))
    return moved


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
    browsers = [row["address"] for row in gone if is_push(row)]
    if browsers:
        forget(connection, browsers)
    others = [row for row in gone if not is_push(row)]
    strike(connection, [Struck(*address_of(row), GONE, row["id"]) for row in others], now=now)
