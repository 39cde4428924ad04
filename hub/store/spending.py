"""Counting what was sent against budgets, for many messages at once.

Promises: however many processes count at the same time, no more is granted in a window than there is; what
is granted is counted in the transaction that says so. Decides nothing: budgets and their limits are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, tuple_, update

from hub.domain.budgets import Over, Spend
from hub.store.dialects import insert
from hub.store.engine import Database
from hub.store.tables import spent

_S = spent.c
Key = tuple[str, str, datetime]  # tenant, budget, window
_SET = (
    update(spent)
    .where(
        _S.tenant == bindparam("a_tenant"),
        _S.budget == bindparam("a_budget"),
        _S.window == bindparam("a_window"),
    )
    .values(count=bindparam("a_count"))
)
_COUNTS = select(_S.budget, _S.window, _S.count).where(
    _S.tenant == bindparam("a_tenant"),
    tuple_(_S.budget, _S.window).in_(bindparam("places", expanding=True)),
)


class Draw(NamedTuple):
    """One message of a tenant and what it draws on."""

    tenant: str
    spends: tuple[Spend, ...]


def draw(connection: Connection, wanted: Sequence[Draw | None]) -> list[Over | None]:
    """For each, in order: None, and it is counted; or which budget is spent, and nothing is."""
    asked: Counter[Key] = Counter()
    ends: dict[Key, datetime] = {}
    for one in wanted:
        if one is None:
            continue
        for spend in one.spends:
            key = one.tenant, spend.budget, spend.window
            asked[key] += 1
            ends[key] = spend.ends_at
    if not asked:
        return [None] * len(wanted)
    # Counted for all first, which locks the rows, always in one order; what was not granted is taken back.
    counted: dict[Key, int] = {}
    for key in sorted(asked):
        counted[key] = _add(connection, key, asked[key], ends[key])
    before = {key: counted[key] - asked[key] for key in asked}
    answers = [None if one is None else _grant(before, one) for one in wanted]
    back = [key for key in asked if before[key] != counted[key]]
    if back:
        connection.execute(
            _SET,
            [
                {"a_tenant": key[0], "a_budget": key[1], "a_window": key[2], "a_count": before[key]}
                for key in back
            ],
        )
    return answers


def _grant(before: dict[Key, int], one: Draw) -> Over | None:
    """Which budget is spent; None: `before` has it counted now."""
    keys = [(one.tenant, spend.budget, spend.window) for spend in one.spends]
    for spend, key in zip(one.spends, keys, strict=True):
        if before[key] >= spend.most:
            return Over(spend.said)
    for key in keys:
        before[key] += 1
    return None


def _add(connection: Connection, key: Key, count: int, ends_at: datetime) -> int:
    """The count of a window after `count` more."""
    tenant, budget, window = key
    row = insert(connection.dialect.name, spent).values(
        tenant=tenant, budget=budget, window=window, count=count, ends_at=ends_at
    )
    added = row.on_conflict_do_update(
        index_elements=["tenant", "budget", "window"], set_={"count": _S.count + row.excluded.count}
    ).returning(_S.count)
    return int((connection.execute(added)).scalar_one())


class Spending:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def look(self, tenant: str, wanted: Sequence[tuple[Spend, ...]]) -> list[Over | None]:
        """For each, as if it went after those before it: which of its budgets is spent. Counts nothing."""
        asked = {(spend.budget, spend.window) for spends in wanted for spend in spends}
        if not asked:
            return [None] * len(wanted)
        async with self._db.read() as connection:
            found = await connection.execute(_COUNTS, {"a_tenant": tenant, "places": sorted(asked)})
            counts = {(tenant, budget, window): count for budget, window, count in found}
        before = {(tenant, *place): counts.get((tenant, *place), 0) for place in asked}
        return [_grant(before, Draw(tenant, spends)) for spends in wanted]

    async def forget(self, before: datetime, *, slice: int = 1000) -> None:
        """Remove windows that ended before then, so many in one transaction."""
        old = select(_S.tenant, _S.budget, _S.window).where(_S.ends_at < before).limit(slice)
        removed = slice
        while removed == slice:
            async with self._db.write() as connection:
                gone = await connection.execute(
                    delete(spent).where(tuple_(_S.tenant, _S.budget, _S.window).in_(old))
                )
                removed = gone.rowcount
