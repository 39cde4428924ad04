"""Escalations: deliveries that wait for whether their person sees the notification before they are due.

Promises: those of what somebody has dealt with are skipped in the transaction of the mark; one that a worker
has claimed already stays with that worker, so none is sent after it was skipped and none is skipped after it
was sent. Whether there are any costs one look into an index that holds only these. Does not know what a mark
is, nor who is told.
"""

# ruff: noqa: S608 - made from the constants of this file, never from values
from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.delivery import Delivery, Status
from hub.domain.routing import ALREADY_READ
from hub.store.delivery_rows import delivery_of
from hub.store.tables import ESCALATED, deliveries

D = deliveries.c
_ESCALATED = text(ESCALATED)
# Whether some of `:user` wait for places that the condition names; in a statement about `:tenant`.
WAITS = (
    'EXISTS (SELECT 1 FROM deliveries AS d WHERE d.tenant = :tenant AND d."user" = :user '
    f'AND d."offset" {{places}} AND {ESCALATED})'
)


async def end(
    conn: AsyncConnection,
    tenant: str,
    user: str,
    *,
    places: Collection[int] | None = None,
    upto: int | None = None,
    now: datetime,
) -> list[Delivery]:
    """Skip what waits for these places of the log, or for all up to one; what was skipped."""
    within = D.offset <= upto if places is None else D.offset.in_(places)
    waiting = (
        select(D.id)
        .where(D.tenant == tenant, D.user == user, within, _ESCALATED)
        .order_by(D.id)  # nobody waits for another in a circle
        .with_for_update()
    )
    skipped = (
        update(deliveries)
        .where(D.id.in_(waiting.scalar_subquery()), _ESCALATED)
        .values(status=Status.SKIPPED, reason=ALREADY_READ, due_at=None, lease_until=None, updated_at=now)
        .returning(*deliveries.c)
    )
    return [delivery_of(row) for row in (await conn.execute(skipped)).mappings()]
