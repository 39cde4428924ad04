"""Counting what was sent against budgets, for many messages at once.

Promises: however many processes count at the same time, no more is granted in a window than there is; what
is granted is counted in the transaction that says so. Decides nothing: budgets and their limits are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.budgets import Over, Spend
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


class Draw(NamedTuple):
    """One message of a tenant and what it draws on."""

    tenant: str
    spends: tuple[Spend, ...]


async def draw(connection: AsyncConnection, wanted: Sequence[Draw | None]) -> list[Over | None]:
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
        counted[key] = await _add(connection, key, asked[key], ends[key])
    before = {key: counted[key] - asked[key] for key in asked}
    answers: list[Over | None] = []
    for one in wanted:
        if one is None:
            answers.append(None)
            continue
        keys = [(one.tenant, spend.budget, spend.window) for spend in one.spends]
        over = next(
            (spend for spend, key in zip(one.spends, keys, strict=True) if before[key] >= spend.most), None
        )
        answers.append(None if over is None else Over(over.said))
        if over is None:
            for key in keys:
                before[key] += 1
    back = [key for key in asked if before[key] != counted[key]]
    if back:
        await connection.execute(
            _SET,
            [
                {"a_tenant": key[0], "a_budget": key[1], "a_window": key[2], "a_count": before[key]}
                for key in back
            ],
        )
    return answers


async def _add(connection: AsyncConnection, key: Key, count: int, ends_at: datetime) -> int:
    """The count of a window after `count` more."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    tenant, budget, window = key
    row = make(spent).values(tenant=tenant, budget=budget, window=window, count=count, ends_at=ends_at)
    added = row.on_conflict_do_update(
        index_elements=["tenant", "budget", "window"], set_={"count": _S.count + row.excluded.count}
    ).returning(_S.count)
    return int((await connection.execute(added)).scalar_one())


class Spending:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def look(self, tenant: str, spends: Sequence[Spend]) -> Over | None:
        """Which of these budgets is spent, if any. Counts nothing."""
        if not spends:
            return None
        places = or_(*(and_(_S.budget == one.budget, _S.window == one.window) for one in spends))
        async with self._db.read() as connection:
            found = await connection.execute(select(_S.budget, _S.count).where(_S.tenant == tenant, places))
            counts = {str(budget): int(count) for budget, count in found}
        return next((Over(one.said) for one in spends if counts.get(one.budget, 0) >= one.most), None)

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
