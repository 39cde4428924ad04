"""Sending one delivery: claim it, render it, have it sent, write down what happened.

Promises: of two workers with the same delivery one sends it; a template that fails, an address that is
refused and a last attempt end a delivery at once with the reason, everything else is tried again later. What
was sent is written down as long as the lease lasts, also when the database is away for a while. Does not
know who hands out the ids, and never waits for a due time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from hub.domain.delivery import Claim, DeliveryUpdate, Status, Step
from hub.domain.errors import StoreUnavailable
from hub.domain.message import Message
from hub.domain.routing import NO_ADDRESS, NOT_CONFIGURED, SUPPRESSED
from hub.services.calling import Calling, Patience, printable
from hub.services.page import TemplateFailed
from hub.services.relay import Relay
from hub.services.render import Render
from hub.store.deliveries import Deliveries

EXPIRED = "expired"
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
    ) -> None:
        self._deliveries = deliveries
        self._relay = relay
        self._render = render
        self._announce = announce
        self._clock = clock
        self._patience = patience
        self._calling = Calling(deliveries, relay, clock=clock, chance=chance, patience=patience)

    async def send(self, id: str) -> Status | None:
        """Try one delivery once; the state it is in now. None: it was not ours to send.

        Raises `StoreUnavailable`; the delivery is then found again when its lease has ended.
        """
        now = self._clock()
        claim = await self._deliveries.claim(id, now=now, lease=self._patience.lease)
        if claim is None:
            return None
        lease_ends = now + timedelta(seconds=self._patience.lease)
        prepared = self._prepare(claim, now)
        if isinstance(prepared, Step):
            return await self._advance(claim, prepared, lease_ends)
        step = await self._calling.send(claim, prepared, lease_ends)
        return await self._advance(claim, step, lease_ends) if step is not None else None

    # -- before the call -----------------------------------------------------------------------------
    def _prepare(self, claim: Claim, now: datetime) -> Message | Step:
        """What to send, or how this ends without a call."""
        event = claim.event
        if event is None:
            return Step(status=Status.DEAD, error="the notification is no longer stored")
        if event.expires_at is not None and event.expires_at <= now:
            return Step(status=Status.SKIPPED, reason=EXPIRED)
        if claim.channel not in self._relay:
            return Step(status=Status.SKIPPED, reason=NOT_CONFIGURED)
        if not claim.address:
            return Step(status=Status.SKIPPED, reason=NO_ADDRESS)
        if claim.suppressed:
            return Step(status=Status.SKIPPED, reason=SUPPRESSED)
        if claim.tries >= self._patience.attempts:  # the worker died in the last one
            return Step(status=Status.DEAD, error=f"given up after {claim.tries} attempts")
        if claim.lost > MOST_LOST_CLAIMS:
            return Step(status=Status.DEAD, error=f"{MOST_LOST_CLAIMS} workers died with it before the call")
        try:
            return self._render.message(claim, [event], now)
        except TemplateFailed as fault:
            return Step(status=Status.DEAD, error=printable(f"template: {fault}"))

    # -- after the call ------------------------------------------------------------------------------
    async def _advance(self, claim: Claim, step: Step, lease_ends: datetime) -> Status | None:
        """Write the step down, and tell; insists until the lease ends, for a mail cannot be unsent."""
        while True:
            try:
                moved = await self._deliveries.advance(claim.id, claim.fence, step, now=self._clock())
                break
            except StoreUnavailable as away:
                pause = away.retry_after or 1.0
                if self._clock() + timedelta(seconds=pause) >= lease_ends:
                    raise
                await asyncio.sleep(pause)
        if moved is None:
            log.warning("another worker has taken over", action="delivery.lost", delivery=claim.id)
            return None
        say = log.warning if step.status == Status.DEAD else log.info
        say(
            "a delivery was worked on",  # never with the reason: providers like to quote the address
            action=f"delivery.{step.status}",
            delivery=claim.id,
            channel=claim.channel,
            attempts=moved.attempts,
        )
        self._announce([moved.update])
        return step.status
