"""Sending one delivery: claim it, render it, call the provider, write down what happened.

Promises: of two workers with the same delivery one sends it; that the provider is being called is
committed before it is called; a template that fails, an address that is refused and a last attempt end a
delivery at once with the reason, everything else is tried again later. What was sent is written down as
long as the lease lasts, also when the database is away for a while. Does not know who hands out the ids,
and never waits for a due time.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from hub.domain.delivery import Call, Claim, DeliveryUpdate, Status, Step
from hub.domain.errors import StoreUnavailable
from hub.domain.message import Message
from hub.domain.routing import NO_ADDRESS, NOT_CONFIGURED, SUPPRESSED
from hub.domain.timing import retry_in
from hub.providers.receipt import Outcome, Permanent, Provider, Receipt, Temporary
from hub.services.page import TemplateFailed
from hub.services.render import Render
from hub.store.deliveries import Deliveries

EXPIRED = "expired"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
# Claims that ended without a call: something in this delivery kills its workers.
MOST_LOST_CLAIMS = 10
MAX_ERROR = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often to try; seconds. A lease must outlast a provider's timeout."""

    lease: float = 60.0
    attempts: int = 8
    backoff: float = 10.0
    backoff_max: float = 3600.0


class Deliver:
    """`chance` gives a number from 0 to 1, for the jitter between attempts."""

    def __init__(
        self,
        deliveries: Deliveries,
        providers: Mapping[str, Provider],
        render: Render,
        announce: Callable[[Sequence[DeliveryUpdate]], None],
        *,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        patience: Patience,
    ) -> None:
        self._deliveries = deliveries
        self._providers = providers
        self._render = render
        self._announce = announce
        self._clock = clock
        self._chance = chance
        self._patience = patience

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
        provider = self._providers[claim.channel]
        number = await self._deliveries.start_call(
            claim.id, claim.fence, provider=provider.name, now=self._clock()
        )
        if number is None:
            log.warning("the claim ended before the call", action="delivery.lost", delivery=claim.id)
            return None
        started = time.perf_counter()
        outcome = await _call(provider, prepared)
        took = 1000 * (time.perf_counter() - started)
        return await self._advance(claim, self._judge(claim, outcome, number, took), lease_ends)

    # -- before the call -----------------------------------------------------------------------------
    def _prepare(self, claim: Claim, now: datetime) -> Message | Step:
        """What to send, or how this ends without a call."""
        event = claim.event
        if event is None:
            return Step(status=Status.DEAD, error="the notification is no longer stored")
        if event.expires_at is not None and event.expires_at <= now:
            return Step(status=Status.SKIPPED, reason=EXPIRED)
        if claim.channel not in self._providers:
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
    def _judge(self, claim: Claim, outcome: Outcome, number: int, took: float) -> Step:
        match outcome:
            case Receipt(provider_id):
                call = Call(number=number, outcome="sent", duration_ms=took)
                return Step(status=Status.SENT, provider_id=printable(provider_id or ""), call=call)
            case Permanent(reason, gone):
                error = printable(reason)
                call = Call(number=number, outcome="permanent", duration_ms=took, detail=error)
                return Step(status=Status.DEAD, error=error, gone=gone, call=call)
            case Temporary(reason, retry_after, unsure):
                error = printable(reason)
                call = Call(number=number, outcome="temporary", duration_ms=took, detail=error)
                tries = number - claim.past_attempts
                if tries >= self._patience.attempts:
                    error = printable(f"given up after {tries} attempts: {reason}")
                    return Step(status=Status.DEAD, error=error, maybe_duplicate=unsure, call=call)
                wait = retry_in(
                    tries,
                    retry_after=retry_after,
                    first=self._patience.backoff,
                    longest=self._patience.backoff_max,
                    chance=self._chance(),
                )
                return Step(
                    status=Status.FAILED,
                    due_at=self._clock() + timedelta(seconds=wait),
                    error=error,
                    maybe_duplicate=unsure,
                    call=call,
                )

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


def printable(text: str) -> str:
    """What others have said, as every database stores it: one line of at most MAX_ERROR characters."""
    return _UNPRINTABLE.sub(" ", text).strip()[:MAX_ERROR]


async def _call(provider: Provider, message: Message) -> Outcome:
    """The provider's answer. One that raises is broken in a way nobody foresaw: tried again, told loudly."""
    try:
        return await provider.send(message)
    except Exception as fault:
        log.exception("a provider failed", action="provider.failed", provider=provider.name)
        return Temporary(f"the {provider.name} provider failed: {type(fault).__name__}", unsure=True)
