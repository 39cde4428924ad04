"""What providers say later: believed when it is signed, written down, and told to whom it concerns.

Promises: nothing is believed of a provider whose key is not configured; what is forged, too old or names no
delivery changes nothing; every delivery that moves is announced, from whichever process heard of it. This
file does not know HTTP, nor any provider's words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from hub.domain.callback import Report
from hub.domain.delivery import DeliveryUpdate
from hub.domain.errors import NotConfigured, Refusal
from hub.providers.post import Post, Reader
from hub.services.calling import printable
from hub.store.callbacks import Callbacks

SLICE = 200  # reports in one transaction
# What has to be set for each.
NEEDS = {
    "twilio": "TWILIO_AUTH_TOKEN and HUB_PUBLIC_URL",
    "sendgrid": "HUB_SENDGRID_WEBHOOK_KEY",
    "resend": "HUB_RESEND_WEBHOOK_SECRET",
}

log = structlog.get_logger(__name__)


class CallbackService:
    """`counts` is by provider and by what came of a report: moved, idle, unknown; and of a post: refused."""

    def __init__(
        self,
        readers: Mapping[str, Reader],
        callbacks: Callbacks,
        announce: Callable[[Sequence[DeliveryUpdate]], None],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._readers = readers
        self._callbacks = callbacks
        self._announce = announce
        self._clock = clock
        self.counts: Counter[tuple[str, str]] = Counter()

    def require(self, provider: str) -> None:
        """Raises `NotConfigured`."""
        if provider not in self._readers:
            raise NotConfigured(f"callbacks of {provider} need {NEEDS[provider]}")

    async def take(self, provider: str, post: Post) -> None:
        """Believe what a provider says. Raises `NotConfigured`, `SignatureInvalid` or `Invalid`."""
        self.require(provider)
        now = self._clock()
        try:
            reports = self._readers[provider].read(post, now=now)
        except Refusal as refusal:
            self.counts[provider, "refused"] += 1
            log.warning(
                "a callback was refused", action="callback.refused", provider=provider, code=refusal.code
            )
            raise
        for start in range(0, len(reports), SLICE):
            await self._hear(provider, reports[start : start + SLICE], now)

    async def _hear(self, provider: str, reports: Sequence[Report], now: datetime) -> None:
        reports = [
            replace(report, detail=printable(report.detail) or None if report.detail else None)
            for report in reports
        ]
        taken = await self._callbacks.take(reports, now=now)
        for outcome in ("moved", "idle", "unknown"):
            self.counts[provider, outcome] += getattr(taken, outcome)
        log.info(
            "a callback was taken",
            action="callback.taken",
            provider=provider,
            moved=taken.moved,
            idle=taken.idle,
            unknown=taken.unknown,
        )
        self._announce([delivery.update for delivery in taken.deliveries])
