"""A tenant's day in a few lines, for its admins.

Promises: whatever number of workers asks, a tenant's admins get one report of a day, because its event's id
follows from both; it goes the way of every notification (inbox, mail, Discord, preferences, templates). A
tenant whose admins have no address gets none, and neither has one that nobody wrote to. Knows no clock that
rings: `run` is called now and then, and looks whether the hour has come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

import structlog
from ulid import ULID

from hub.domain.access import ADMIN
from hub.domain.delivery import Status
from hub.domain.drafts import Draft
from hub.domain.errors import Refusal, StoreUnavailable
from hub.services.wire import iso
from hub.store.events import EventLog
from hub.store.people import People
from hub.store.stats import Statistics, Stats
from hub.store.tenants import Tenants

TYPE = "report.daily"
PAGE = 100
TYPES = 10
ERRORS = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class When:
    """`hour` None: no report by itself. The day is that of `zone`."""

    hour: int | None
    zone: ZoneInfo


class Daily:
    """`release` sends a draft as the event of an id; doing it twice does it once."""

    def __init__(
        self,
        tenants: Tenants,
        statistics: Statistics,
        people: People,
        events: EventLog,
        *,
        release: Callable[[str, Draft], Awaitable[None]],
        clock: Callable[[], datetime],
        when: When,
    ) -> None:
        self._tenants = tenants
        self._statistics = statistics
        self._people = people
        self._events = events
        self._release = release
        self._clock = clock
        self._when = when

    async def run(self) -> int:
        """Report yesterday to every tenant's admins, if the hour has come; how many were sent."""
        local = self._clock().astimezone(self._when.zone)
        if self._when.hour is None or local.hour < self._when.hour:
            return 0
        sent, after = 0, ""
        while page := await self._tenants.page(limit=PAGE, after=after):
            after = page[-1].id
            for tenant in page:
                try:
                    sent += await self.send(tenant.id, local.date() - timedelta(days=1))
                except StoreUnavailable:
                    raise
                except Refusal as refusal:  # one tenant's trouble is not the others'
                    log.error("no report", action="report.failed", tenant=tenant.id, reason=refusal.code)
        return sent

    async def send(self, tenant: str, day: date, *, again: bool = False) -> bool:
        """Report that day to the tenant's admins; whether it was not done before, or is wanted `again`."""
        now = self._clock()
        id = str(ULID.from_datetime(now)) if again else report_id(tenant, day)
        if not again and await self._events.get(tenant, id) is not None:
            return False
        if not again and not await self._reaches_anybody(tenant):
            return False
        title, message, empty = await self._words(tenant, day)
        if empty and not again:
            return False
        await self._release(
            id, Draft(tenant=tenant, type=TYPE, to=(f"role:{ADMIN}",), title=title, message=message)
        )
        log.info("a day was reported", action="report.sent", tenant=tenant)
        return True

    async def text(self, tenant: str, day: date | None = None) -> str:
        """The report of a day, or of yesterday, as a person reads it."""
        title, message, _ = await self._words(tenant, day or self.yesterday())
        return f"{title}\n\n{message}"

    def yesterday(self) -> date:
        return self._clock().astimezone(self._when.zone).date() - timedelta(days=1)

    # -- parts ---------------------------------------------------------------------------------------
    async def _reaches_anybody(self, tenant: str) -> bool:
        after = ""
        while admins := await self._people.with_role(tenant, ADMIN, after=after, limit=PAGE):
            if any(person.email or person.discord_webhook for person in admins):
                return True
            after = admins[-1].id
        return False

    async def _words(self, tenant: str, day: date) -> tuple[str, str, bool]:
        """Title and message; and whether there is nothing to tell."""
        since = datetime.combine(day, time(), self._when.zone)
        until = datetime.combine(day + timedelta(days=1), time(), self._when.zone)
        utc = [moment.astimezone(self._clock().tzinfo) for moment in (since, until)]
        stats = await self._statistics.over(tenant, utc[0], utc[1], 86_400, self._clock())
        errors = await self._statistics.errors(tenant, utc[0], utc[1], most=ERRORS)
        empty = not stats.by_type and not stats.depth
        return f"Daily report of {tenant}, {day.isoformat()}", _lines(stats, errors), empty


def report_id(tenant: str, day: date) -> str:
    """The id of a tenant's report of a day: the same for everybody who makes one."""
    digest = sha256(f"{TYPE}\0{tenant}\0{day.isoformat()}".encode()).digest()
    moment = int((day - date(1970, 1, 1)).total_seconds() * 1000) + 86_400_000
    return str(ULID.from_bytes(moment.to_bytes(6, "big") + digest[:10]))


def _lines(stats: Stats, errors: list[tuple[str, int]]) -> str:
    total = sum(stats.by_type.values())
    dead = sum(states[Status.DEAD] for states in stats.by_channel.values())
    lines = [f"Notifications: {total}", *_listed(Counter(stats.by_type), TYPES)]
    lines += [f"Deliveries: {sum(map(Counter.total, stats.by_channel.values()))}"]
    for channel, states in sorted(stats.by_channel.items()):
        said = ", ".join(f"{count} {status}" for status, count in states.most_common())
        lines.append(f"- {channel}: {said}")
    lines.append(f"Dead letters: {dead}")
    if errors:
        lines += ["Most frequent errors:", *(f"- {count} x {error}" for error, count in errors)]
    if stats.oldest_due is not None:
        lines.append(f"Waiting now: {stats.depth}, the oldest since {iso(stats.oldest_due)}")
    if not stats.complete:
        lines.append("Only the newest events of the day were counted.")
    return "\n".join(lines)


def _listed(counts: Counter[str], most: int) -> list[str]:
    shown = counts.most_common(most)
    rest = counts.total() - sum(count for _, count in shown)
    return [f"- {name}: {count}" for name, count in shown] + ([f"- others: {rest}"] if rest else [])
