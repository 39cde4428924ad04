"""Numbers over a span of time: how much was sent, how it went, how long it took, and what waits.

Everything is counted by SQL, over one tenant's events between two places in its log and at most `MOST` of
them, the newest; whoever asks for more is told that something is missing. Delays are read from the newest
`SAMPLE` messages that were sent. Makes no JSON.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.delivery import Status
from hub.store.engine import Database
from hub.store.places import span
from hub.store.tables import WAITING, attempts, deliveries, events

MOST = 500_000  # events
SAMPLE = 10_000  # calls of providers
TYPES = 200
SAID = 120  # characters of an error
D, E, A = deliveries.c, events.c, attempts.c


@dataclass(slots=True, kw_only=True)
class Slot:
    """What was created in one stretch of time."""

    notifications: int = 0
    deliveries: Counter[str] = field(default_factory=Counter)  # by status


@dataclass(slots=True, kw_only=True)
class Stats:
    """`complete` False: only the newest events of the span are counted. Delays are seconds, unsorted."""

    complete: bool
    by_type: dict[str, int]
    by_channel: dict[str, Counter[str]]  # status -> how many
    over_time: dict[int, Slot]  # by the Unix second a slot begins at
    delays: list[float]
    depth: int
    oldest_due: datetime | None


class Statistics:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._sqlite = db.dialect == "sqlite"

    async def over(self, tenant: str, since: datetime, until: datetime, bucket: int, now: datetime) -> Stats:
        """The tenant's numbers from `since` to `until`, in slots of `bucket` seconds, and its queue `now`."""
        async with self._db.read() as conn:
            low, high = await span(conn, tenant, since, until)
            first = max(low, high - MOST)
            sent = [E.tenant == tenant, E.offset > first, E.offset <= high, E.inbox]
            sent += [E.created_at >= since, E.created_at < until]
            out = [D.tenant == tenant, D.offset > first, D.offset <= high]
            out += [D.created_at >= since, D.created_at < until]
            slots: defaultdict[int, Slot] = defaultdict(Slot)
            for slot, count in await conn.execute(_counted(self._slot(E.created_at, bucket)).where(*sent)):
                slots[slot].notifications = count
            by_channel: defaultdict[str, Counter[str]] = defaultdict(Counter)
            grouped = _counted(self._slot(D.created_at, bucket), D.channel, D.status).where(*out)
            for slot, channel, status, count in await conn.execute(grouped):
                slots[slot].deliveries[status] += count
                by_channel[channel][status] += count
            types = _counted(E.type).where(*sent).order_by(func.count().desc(), E.type).limit(TYPES)
            by_type = {row[0]: row[1] for row in await conn.execute(types)}
            delays = await _delays(conn, out)
            depth, oldest = await _queue(conn, tenant, now)
        return Stats(
            complete=first == low,
            by_type=by_type,
            by_channel=dict(by_channel),
            over_time=dict(slots),
            delays=delays,
            depth=depth,
            oldest_due=oldest,
        )

    async def errors(
        self, tenant: str, since: datetime, until: datetime, *, most: int
    ) -> list[tuple[str, int]]:
        """What failed or given up deliveries of that time say, the most frequent first, at most SAID long."""
        async with self._db.read() as conn:
            low, high = await span(conn, tenant, since, until)
            said = func.substr(D.error, 1, SAID).label("said")
            asked = (
                select(said, func.count())
                .where(D.tenant == tenant, D.offset > max(low, high - MOST), D.offset <= high)
                .where(D.status.in_((Status.DEAD, Status.FAILED)), D.error.is_not(None))
                .group_by(said)
                .order_by(func.count().desc(), said)
                .limit(most)
            )
            return [(error, count) for error, count in await conn.execute(asked)]

    def _slot(self, moment: Any, bucket: int) -> Any:
        """The Unix second at which the slot of a time begins."""
        if self._sqlite:
            second = cast(func.strftime("%s", moment), BigInteger)
            return second - second % bucket
        return cast(func.floor(func.extract("epoch", moment) / bucket), BigInteger) * bucket


def _counted(*columns: Any) -> Select[Any]:
    named = [column.label(f"a{place}") for place, column in enumerate(columns)]
    return select(*named, func.count()).group_by(*[column.name for column in named])


async def _delays(conn: AsyncConnection, conditions: Any) -> list[float]:
    """From being stored to being taken by the provider, of messages that were sent."""
    sent = (
        select(D.created_at, A.started_at, A.duration_ms)
        .join_from(deliveries, attempts, A.delivery_id == D.id)
        .where(*conditions, A.outcome == "sent")
        .order_by(D.offset.desc())
        .limit(SAMPLE)
    )
    return [
        (started - created).total_seconds() + (took or 0) / 1000
        for created, started, took in await conn.execute(sent)
    ]


async def _queue(conn: AsyncConnection, tenant: str, now: datetime) -> tuple[int, datetime | None]:
    """How many deliveries are due or being sent, and since when the oldest of them is."""
    # Glued to '', the tenant is no bound of a range: all its deliveries would be walked, also what is over.
    mine = D.tenant.concat("") == tenant
    due = select(func.count(), func.min(D.due_at)).where(WAITING, mine, D.due_at <= now)
    depth, oldest = (await conn.execute(due)).one()
    return depth, oldest
