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
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from hub.domain.budgets import Over
from hub.domain.delivery import UNSENT, Call, Claim, Delivery, Status, Step
from hub.store.calls import ToCall
from hub.store.claims import ToClaim
from hub.store.delivery_rows import delivery_of
from hub.store.engine import Database
from hub.store.moves import ToMove
from hub.store.places import offsets_of
from hub.store.spending import Draw
from hub.store.steps import Done, Work, run
from hub.store.tables import attempts, deliveries, expansions
from hub.store.together import Together

D = deliveries.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of a provider, as stored. `outcome` None: under way; `lost`: its worker died."""

    number: int
    started_at: datetime
    duration_ms: float | None
    provider: str | None
    outcome: str | None
    detail: str | None


class Deliveries:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._work = Together[Work, Done](db, run)

    # -- a worker's side -----------------------------------------------------------------------------
    async def claim(self, id: str, *, now: datetime, lease: float) -> Claim | None:
        """Take a delivery that is due, for `lease` seconds. None: not due, over, held, or unknown."""
        claim = await self._work.do(ToClaim(id, now, lease))
        assert claim is None or isinstance(claim, Claim)
        return claim

    async def start_call(
        self,
        id: str,
        fence: int,
        *,
        provider: str,
        now: datetime,
        ended: Call | None = None,
        draw: Draw | None = None,
    ) -> int | Over | None:
        """Commit that the provider is being called: the call's number, from 1. None: the claim is gone.

        `ended` is how the call before it in the same claim went. `draw` is counted in the same transaction;
        `Over`: a budget is spent, and nothing is called.
        """
        number = await self._work.do(ToCall(id, fence, provider, now, ended, draw))
        assert number is None or isinstance(number, int | Over)
        return number

    async def advance(self, id: str, fence: int, step: Step, *, now: datetime) -> Delivery | None:
        """Move a claimed delivery on and give the claim back. None: the fence was lost, nothing written."""
        delivery = await self._work.do(ToMove(id, fence, step, now))
        assert delivery is None or isinstance(delivery, Delivery)
        return delivery

    # -- what people see and ask for -----------------------------------------------------------------
    async def cancel_pending(self, tenant: str, event_id: str, *, now: datetime) -> list[Delivery]:
        """Cancel what has not been sent of an event, also what is not written out yet; what was cancelled."""
        cancelled = (
            update(deliveries)
            .where(D.tenant == tenant, D.offset.in_(offsets_of(tenant, [event_id])), D.status.in_(UNSENT))
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
        wanted = select(deliveries).where(
            D.tenant == tenant, D.user == user, D.offset.in_(offsets_of(tenant, event_ids))
        )
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
