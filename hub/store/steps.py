"""The three things workers do to deliveries, for many deliveries at once: claim, start a call, move on.

Each is a few statements however many deliveries there are. Promises are those of `hub.store.deliveries`;
it runs inside a transaction that somebody else has begun.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from hub.domain.budgets import Over
from hub.domain.delivery import Claim, Delivery
from hub.store.calls import ToCall, start
from hub.store.claims import ToClaim, claim
from hub.store.moves import ToMove, move

Work = ToClaim | ToCall | ToMove
Done = Claim | Delivery | Over | int | None


def run(connection: Connection, work: Sequence[Work]) -> list[Done]:
    """All of `work`; for each what it brought: a claim, the number of a call, the delivery as it stands
    now, or None where it was not to be had."""
    results: list[Done] = [None] * len(work)
    claims = {place: item for place, item in enumerate(work) if isinstance(item, ToClaim)}
    calls = {place: item for place, item in enumerate(work) if isinstance(item, ToCall)}
    moves = {place: item for place, item in enumerate(work) if isinstance(item, ToMove)}
    if moves:
        moved = move(connection, list(moves.values()))
        for place, step in moves.items():
            results[place] = moved.get((step.id, step.fence))
    if calls:
        numbers = start(connection, list(calls.values()))
        for place, call in calls.items():
            results[place] = numbers.get((call.id, call.fence))
    if claims:
        claimed = claim(connection, list(claims.values()))
        for place, wanted in claims.items():
            results[place] = claimed.pop(wanted.id, None)  # who asked for the same one later gets nothing
    return results
