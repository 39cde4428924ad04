"""From times and ids to places in a tenant's log, so that reports over a span of time read only that span.

Promises: what lies between two times lies between the two offsets that are found for them. Events get
their offsets in the order of their commits, so their times grow with them but for the moment that a
request takes and the difference of clocks; `SLACK` allows for both.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.tables import events, tenants

SLACK = timedelta(seconds=90)
_E, _T = events.c, tenants.c


async def span(
    conn: AsyncConnection, tenant: str, since: datetime | None, until: datetime | None
) -> tuple[int, int]:
    """`after` < offset <= `upto` hold every event of the tenant with `since` <= its time < `until`."""
    row = (await conn.execute(select(_T.trimmed, _T.offset).where(_T.id == tenant))).first()
    if row is None:
        return 0, 0
    first, last = row.trimmed, row.offset
    after = first if since is None else await _before(conn, tenant, since - SLACK, first, last)
    upto = last if until is None else await _before(conn, tenant, until + SLACK, after, last)
    return after, upto


def offsets_of(tenant: str, ids: Collection[str]) -> Select[tuple[int]]:
    """Where these events lie in the log, for a condition: what hangs on events is found by their places."""
    return select(_E.offset).where(_E.tenant == tenant, _E.id.in_(ids))


async def _before(conn: AsyncConnection, tenant: str, moment: datetime, low: int, high: int) -> int:
    """The last offset in `low`..`high` whose event is older than `moment`; `low` when none is. Halves."""
    while low < high:
        middle = (low + high + 1) // 2
        at = select(_E.created_at).where(_E.tenant == tenant, _E.offset == middle)
        found = (await conn.execute(at)).scalar()
        if found is None or found < moment:  # None: retention has just removed it, so it was old
            low = middle
        else:
            high = middle - 1
    return low
