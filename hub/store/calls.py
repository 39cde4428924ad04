"""The calls of providers for claimed deliveries: written down before they are made, and how they ended.

Runs inside a transaction that somebody else has begun; the promises are those of `hub.store.deliveries`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, tuple_, update

from hub.domain.budgets import Over
from hub.domain.delivery import Call
from hub.store.crews import members_of
from hub.store.delivery_rows import SENDING, D, bound_to
from hub.store.spending import Draw, draw
from hub.store.tables import attempts, deliveries


@dataclass(frozen=True, slots=True)
class ToCall:
    id: str
    fence: int
    provider: str
    now: datetime
    ended: Call | None = None
    draw: Draw | None = None


_START = (
    update(deliveries)
    .where(
        D.id.in_(bindparam("ids", expanding=True)),  # SQLite looks for pairs in no index
        tuple_(D.id, D.fence).in_(bindparam("claims", expanding=True)),
        SENDING,
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
_END_CALL = (
    update(attempts)
    .where(attempts.c.delivery_id == bindparam("an_id"), attempts.c.number == bindparam("a_number"))
    .values(**{name: bindparam(name) for name in ("outcome", "duration_ms", "detail")})
)


def start(connection: Connection, wanted: Sequence[ToCall]) -> dict[tuple[str, int], int | Over]:
    """By (id, fence): the number of the call, or the budget it would exceed; nothing if the claim is over."""
    by_provider: dict[str, list[ToCall]] = defaultdict(list)
    numbers: dict[tuple[str, int], int | Over] = {}
    for item, over in zip(wanted, draw(connection, [item.draw for item in wanted]), strict=True):
        if over is not None:
            numbers[item.id, item.fence] = over
        else:
            by_provider[item.provider].append(item)
    for provider, items in by_provider.items():
        now = max(item.now for item in items)
        values = {**bound_to([(item.id, item.fence) for item in items]), "now": now, "a_provider": provider}
        started = (connection.execute(_START, values)).all()
        called = [(row.id, row.attempts) for row in started]
        along_of: dict[str, list[tuple[str, int]]] = defaultdict(list)
        if leaders := [row.id for row in started if row.digest_of == row.id]:
            along = (
                update(deliveries)
                .where(members_of(leaders, SENDING))
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
        end_calls(connection, ended)
        numbers |= {(row.id, row.fence): row.attempts for row in started}
    return numbers


def end_calls(connection: Connection, calls: Sequence[tuple[str, Call]]) -> None:
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
