"""Sending one delivery: claim it, render it, have it sent, write down what happened.

Promises: of two workers with the same delivery one sends it; a template that fails, an address that is
refused and a last attempt end a delivery at once with the reason, everything else is tried again later. What
was sent is written down as long as the lease lasts, also when the database is away for a while. Does not
know who hands out the ids, and never waits for a due time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from hub.domain.delivery import Claim, DeliveryUpdate, Member, Status, Step
from hub.domain.errors import StoreUnavailable
from hub.domain.message import Message
from hub.domain.routing import SUPPRESSED
from hub.services.calling import Calling, Patience, printable
from hub.services.gates import Gates, without
from hub.services.page import TemplateFailed
from hub.services.relay import Relay
from hub.services.render import Render
from hub.services.requests import on_behalf_of
from hub.store.deliveries import Deliveries
from hub.store.spending import Draw

# Claims that ended without a call: something in this delivery kills its workers.
MOST_LOST_CLAIMS = 10

log = structlog.get_logger(__name__)


class Deliver:
    """`chance` gives a number from 0 to 1, for the jitter between attempts."""

    def __init__(
        self,
        deliveries: Deliveries,
        relay: Relay,
        render: Render,
        announce: Callable[[Sequence[DeliveryUpdate]], None],
        *,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        patience: Patience,
        gates: Gates,
    ) -> None:
        self._deliveries = deliveries
        self._relay = relay
        self._render = render
        self._announce = announce
        self._clock = clock
        self._patience = patience
        self._gates = gates
        self._calling = Calling(deliveries, relay, clock=clock, chance=chance, patience=patience)

    async def send(self, id: str) -> Status | None:
        """Try one delivery once; the state it is in now. None: it was not ours to send.

        Raises `StoreUnavailable`; the delivery is then found again when its lease has ended.
        """
        now = self._clock()
        claim = await self._deliveries.claim(id, now=now, lease=self._patience.lease)
        if claim is None:
            return None
        with on_behalf_of(claim.request):
            return await self._send(claim, now)

    async def _send(self, claim: Claim, now: datetime) -> Status | None:
        lease_ends = now + timedelta(seconds=self._patience.lease)
        claim, stop = await self._pass_gates(claim, now, lease_ends)
        prepared = stop or self._prepare(claim, now)
        if isinstance(prepared, Step):
            return await self._advance(claim, prepared, lease_ends)
        step = await self._calling.send(claim, prepared, lease_ends, self._draw(claim, now))
        return await self._advance(claim, step, lease_ends) if step is not None else None

    # -- before the call -----------------------------------------------------------------------------
    async def _pass_gates(
        self, claim: Claim, now: datetime, lease_ends: datetime
    ) -> tuple[Claim, Step | None]:
        """The claim with those of its crew that may leave with it, and how it ends or waits itself, if so."""
        dropped = self._gates.drops(claim, now)
        for member, step in dropped:
            await self._advance(claim, step, lease_ends, member)
        claim = without(claim, dropped)
        stop = self._gates.stops(claim, now)
        if stop is not None and stop.status is not Status.PLANNED and claim.crew:
            for member in claim.crew:  # they go without it, the next one leads
                again = Step(status=Status.PLANNED, due_at=now)
                await self._advance(claim, again, lease_ends, member)
            claim = replace(claim, crew=())
        return claim, stop

    def _draw(self, claim: Claim, now: datetime) -> Draw | None:
        spends = self._gates.spends(claim, now)
        return Draw(claim.tenant, spends) if spends else None

    def _prepare(self, claim: Claim, now: datetime) -> Message | Step:
        """What to send of what has passed the gates, or how this ends without a call."""
        if claim.suppressed:
            return Step(status=Status.SKIPPED, reason=SUPPRESSED)
        if claim.tries >= self._patience.attempts:  # the worker died in the last one
            return Step(status=Status.DEAD, error=f"given up after {claim.tries} attempts")
        if claim.lost > MOST_LOST_CLAIMS:
            return Step(status=Status.DEAD, error=f"{MOST_LOST_CLAIMS} workers died with it before the call")
        try:
            locale = self._gates.wishes(claim).locale
            wanted = replace(claim, locale=locale) if locale else claim
            return self._render.message(wanted, claim.items, now)
        except TemplateFailed as fault:
            return Step(status=Status.DEAD, error=printable(f"template: {fault}"))

    # -- after the call ------------------------------------------------------------------------------
    async def _advance(
        self, claim: Claim, step: Step, lease_ends: datetime, member: Member | None = None
    ) -> Status | None:
        """Write the step down, and tell; insists until the lease ends, for a mail cannot be unsent.

        `member`: it is the step of this one of the claim's crew alone.
        """
        one = member or claim
        while True:
            try:
                moved = await self._deliveries.advance(one.id, one.fence, step, now=self._clock())
                break
            except StoreUnavailable as away:
                pause = away.retry_after or 1.0
                if self._clock() + timedelta(seconds=pause) >= lease_ends:
                    raise
                await asyncio.sleep(pause)
        if moved is None:
            log.warning("another worker has taken over", action="delivery.lost", delivery=one.id)
            return None
        say = log.warning if step.status == Status.DEAD else log.info
        say(
            "a delivery was worked on",  # never with the reason: providers like to quote the address
            action=f"delivery.{step.status}",
            delivery=one.id,
            channel=claim.channel,
            attempts=moved.attempts,
        )
        self._announce(moved.updates)
        return step.status
