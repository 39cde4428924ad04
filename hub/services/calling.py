"""Calling the providers of a claimed delivery in turn, until one has taken it or none is left to ask.

Promises: that a provider is being called is committed before it is called, each call as an attempt of its
own; after a failure the next provider is asked, unless the message may have been taken; a call begins only
while the lease outlasts it. When nobody is well enough to be asked, the delivery waits without an attempt.
The answer is the step to write down. Does not know how a delivery is claimed or a message made.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from hub.domain.budgets import Over
from hub.domain.delivery import RESENT_WHEN_UNKNOWN, Call, Claim, Status, Step
from hub.domain.message import Message
from hub.domain.routing import THROTTLED
from hub.domain.timing import RETRY_AFTER_SPREAD, retry_in
from hub.providers.receipt import Outcome, Permanent, Receipt, Temporary
from hub.services.relay import Relay, Resting
from hub.store.deliveries import Deliveries
from hub.store.spending import Draw

RESTING = "the providers are resting"
MAX_ERROR = 500
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often to try; seconds. A lease must outlast a provider's `call`."""

    lease: float = 60.0
    call: float = 15.0
    attempts: int = 8
    backoff: float = 10.0
    backoff_max: float = 3600.0


class Calling:
    """`chance` gives a number from 0 to 1, for the jitter between attempts."""

    def __init__(
        self,
        deliveries: Deliveries,
        relay: Relay,
        *,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        patience: Patience,
    ) -> None:
        self._deliveries = deliveries
        self._relay = relay
        self._clock = clock
        self._chance = chance
        self._patience = patience

    async def send(
        self, claim: Claim, message: Message, lease_ends: datetime, draw: Draw | None = None
    ) -> Step | None:
        """How the delivery goes on. None: the claim ended before a call. Raises `StoreUnavailable`.

        `draw` is what the first call draws on: with a budget that is spent there is none.
        """
        last_begin = lease_ends - timedelta(seconds=self._patience.call)
        step: Step | None = None
        for turn in self._relay.turns(message):
            if isinstance(turn, Resting):
                wait = turn.seconds * (1 + RETRY_AFTER_SPREAD * self._chance())
                return Step(
                    status=Status.PLANNED, due_at=self._clock() + timedelta(seconds=wait), reason=RESTING
                )
            number = await self._deliveries.start_call(
                claim.id,
                claim.fence,
                provider=turn.name,
                now=self._clock(),
                ended=step.call if step is not None else None,
                draw=draw if step is None else None,
            )
            if isinstance(number, Over):
                return Step(status=Status.SKIPPED, reason=f"{THROTTLED}: {number.said}")
            if number is None:
                log.warning("the claim ended before the call", action="delivery.lost", delivery=claim.id)
                return None
            turn.begin()
            started = time.perf_counter()
            outcome = await turn.call()
            before, took = step, 1000 * (time.perf_counter() - started)
            step = self._judge(claim, outcome, number, took)
            if step.status is not Status.FAILED or step.maybe_duplicate:
                break
            if before is not None and before.due_at is not None and step.due_at is not None:
                step = replace(step, due_at=min(step.due_at, before.due_at))  # whoever is well first
            if self._clock() >= last_begin:
                break
        return step

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
                if unsure and claim.channel not in RESENT_WHEN_UNKNOWN:
                    return Step(status=Status.UNKNOWN, error=error, maybe_duplicate=True, call=call)
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


def printable(text: str) -> str:
    """What others have said, as every database stores it: one line of at most MAX_ERROR characters."""
    return _UNPRINTABLE.sub(" ", text).strip()[:MAX_ERROR]
