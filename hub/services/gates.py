"""Whether and when a claimed delivery may leave: the rules of its planning, asked again at the last moment.

What a person wants may have changed since it was planned, and a retry may have fallen into quiet hours. The
decisions are the domain's; here they get the claim's facts. Knows no provider, stores nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from hub.domain.budgets import Budgets, Spend, spends
from hub.domain.delivery import Claim, Member, Status, Step
from hub.domain.events import Event, EventType
from hub.domain.preferences import Wishes, zone_of
from hub.domain.routing import ALREADY_READ, EXPIRED, Reach, held_until, quiet_reason, why_not
from hub.domain.rules import Types

GONE = "the notification is no longer stored"


@dataclass(frozen=True, slots=True)
class Gates:
    types: Types
    reach: Reach
    budgets: Budgets

    def wishes(self, claim: Claim) -> Wishes:
        """What holds for the claim's person."""
        return Wishes.of(claim.wanted, claim.default)

    def stops(self, claim: Claim, now: datetime) -> Step | None:
        """How the delivery itself ends here, or until when it waits; None: it may leave."""
        if claim.event is not None and claim.seen:
            return Step(status=Status.SKIPPED, reason=ALREADY_READ)
        wishes = self.wishes(claim)
        if (step := self._stops(claim.event, claim, wishes, now)) is not None:
            return step
        assert claim.event is not None
        zone = zone_of(wishes.zone, claim.timezone)
        ends = held_until(claim.event.severity, wishes, zone, now)
        return None if ends is None else Step(status=Status.PLANNED, due_at=ends, reason=quiet_reason(ends))

    def drops(self, claim: Claim, now: datetime) -> list[tuple[Member, Step]]:
        """Those of the claim's crew that may not leave with it, and how they end."""
        if not claim.crew:
            return []
        wishes = self.wishes(claim)
        judged = ((one, self._stops(one.event, claim, wishes, now)) for one in claim.crew)
        return [(one, step) for one, step in judged if step is not None]

    def spends(self, claim: Claim, now: datetime) -> tuple[Spend, ...]:
        """The budgets that its first call draws on; a further one was counted then."""
        if claim.attempts or claim.event is None or not claim.address:
            return ()
        return spends(
            self.budgets,
            self._kind(claim.event),
            channel=claim.channel,
            address=claim.address,
            user=claim.user,
            alone=not claim.crew,
            now=now,
        )

    def _stops(self, event: Event | None, claim: Claim, wishes: Wishes, now: datetime) -> Step | None:
        if event is None:
            return Step(status=Status.DEAD, error=GONE)
        if event.expires_at is not None and event.expires_at <= now:
            return Step(status=Status.SKIPPED, reason=EXPIRED)
        reason = why_not(self._kind(event), claim.channel, claim.address, wishes, self.reach)
        return None if reason is None else Step(status=Status.SKIPPED, reason=reason)

    def _kind(self, event: Event) -> EventType:
        return self.types.kind(event.tenant, event.type)


def without(claim: Claim, dropped: list[tuple[Member, Step]]) -> Claim:
    """The claim with the rest of its crew."""
    ids = {one.id for one, _ in dropped}
    return replace(claim, crew=tuple(one for one in claim.crew if one.id not in ids)) if ids else claim
