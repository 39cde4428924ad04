"""What providers say later, written down: deliveries moved forward, steps for the timeline, dead addresses.

Promises: what is taken is committed together; a step is stored once for each attempt, however often it is
said; what names no delivery of ours changes nothing. A worker that is still waiting for the provider's
answer writes that down afterwards without moving its delivery back (see `steps`). Decides nothing: how far a
report is believed is the domain's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.callback import Report, forward, rank
from hub.domain.delivery import Delivery, Status
from hub.store.delivery_rows import delivery_of
from hub.store.engine import Database
from hub.store.suppressions import Struck, strike
from hub.store.tables import callbacks, deliveries

D = deliveries.c
# The deliveries that are meant, and those that left in the same message.
_MEANT = (
    select(deliveries)
    .where(
        or_(
            D.id.in_(bindparam("ids", expanding=True)),
            D.digest_of.in_(bindparam("ids", expanding=True)),
        )
    )
    .order_by(D.id)
    .with_for_update()
)
_BY_PROVIDER = select(D.id).where(D.provider_id.in_(bindparam("provider_ids", expanding=True)))
_MOVE = (
    update(deliveries)
    .where(D.id == bindparam("an_id"))
    .values(
        status=bindparam("status"),
        due_at=None,
        lease_until=None,
        provider=bindparam("provider"),
        provider_id=bindparam("provider_id"),
        error=bindparam("error"),
        reason=None,
        updated_at=bindparam("updated_at"),
    )
)


@dataclass(slots=True)
class Taken:
    """What came of a batch: the deliveries that moved, as they stand, and how many reports moved one, moved
    none, or named none of ours."""

    deliveries: list[Delivery] = field(default_factory=list)
    moved: int = 0
    idle: int = 0
    unknown: int = 0


class Callbacks:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def take(self, reports: Sequence[Report], *, now: datetime) -> Taken:
        """Write down what was said, in the order in which it happened."""
        taken = Taken()
        async with self._db.write() as conn:
            batch = _Batch(await _find(conn, reports), now)
            for report in sorted(reports, key=lambda one: (one.at, rank(one))):
                match batch.hear(report):
                    case None:
                        taken.unknown += 1
                    case False:
                        taken.idle += 1
                    case True:
                        taken.moved += 1
            if batch.moved:
                await conn.execute(_MOVE, [batch.move(id) for id in batch.moved])
            if batch.steps:
                new = self._db.insert(callbacks).on_conflict_do_nothing()
                await conn.execute(new, batch.steps)
            await conn.run_sync(partial(strike, struck=batch.struck, now=now))
        taken.deliveries = [delivery_of(batch.rows[id]) for id in batch.moved]
        return taken


class _Batch:
    """The rows of a batch while its reports are heard, one after the other."""

    def __init__(self, rows: Sequence[Any], now: datetime) -> None:
        self._now = now
        self.rows: dict[str, dict[str, Any]] = {row["id"]: dict(row) for row in rows}
        self._names: dict[tuple[str, str], str] = {}
        self._together: dict[str, list[str]] = {}
        for id, row in self.rows.items():
            if row["provider"] and row["provider_id"]:
                self._names[row["provider"], row["provider_id"]] = id
            if row["digest_of"]:
                self._together.setdefault(row["digest_of"], []).append(id)
        self.moved: dict[str, None] = {}  # in the order in which they first moved
        self.steps: list[dict[str, Any]] = []
        self.struck: list[Struck] = []

    def hear(self, report: Report) -> bool | None:
        """Whether it moved its delivery. None: it names none of ours."""
        id = report.delivery if report.delivery in self.rows else None
        if id is None and report.provider_id is not None:
            id = self._names.get((report.provider, report.provider_id))
        if id is None or self.rows[id]["channel"] != report.channel:
            return None
        row = self.rows[id]
        named = {row["provider_id"] or report.provider_id, report.provider_id or row["provider_id"]}
        same_call = row["provider"] == report.provider and len(named) == 1
        moved = self._move(row, report, same_call=same_call)
        for other in self._together.get(id, ()):
            self._move(self.rows[other], replace(report, suppress=None), same_call=same_call)
        return moved

    def _move(self, row: dict[str, Any], report: Report, *, same_call: bool) -> bool:
        after = forward(Status(row["status"]), report.status, same_call=same_call)
        step = report.suppress if after is None else after.value
        if step is None:
            return False
        said = (row["id"], row["attempts"], step)
        if any((one["delivery_id"], one["attempt"], one["step"]) == said for one in self.steps):
            return False
        self.steps.append(
            {
                "delivery_id": row["id"],
                "attempt": row["attempts"],
                "step": step,
                "at": min(report.at, self._now),
                "provider": report.provider,
                "detail": report.detail,
            }
        )
        if report.suppress is not None and row["address"]:
            self.struck.append(
                Struck(row["tenant"], row["channel"], row["address"], report.suppress, row["id"])
            )
        if after is not None:
            row |= {
                "status": after.value,
                "due_at": None,
                "provider": report.provider,
                "provider_id": report.provider_id or row["provider_id"],
                "error": report.detail if after is Status.DEAD else None,
                "reason": None,
                "updated_at": self._now,
            }
            self.moved[row["id"]] = None
        return after is not None

    def move(self, id: str) -> dict[str, Any]:
        names = ("status", "provider", "provider_id", "error", "updated_at")
        return {"an_id": id, **{name: self.rows[id][name] for name in names}}


async def _find(conn: AsyncConnection, reports: Sequence[Report]) -> Sequence[Any]:
    ids = {report.delivery for report in reports if report.delivery}
    names = {report.provider_id for report in reports if report.provider_id}
    by_provider: list[str] = []
    if names:
        by_provider = list((await conn.execute(_BY_PROVIDER, {"provider_ids": list(names)})).scalars())
    if not ids and not by_provider:
        return []
    return (await conn.execute(_MEANT, {"ids": [*ids, *by_provider]})).mappings().all()
