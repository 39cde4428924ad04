"""What must happen without anyone asking: due deliveries, scheduled drafts, audiences, and cleaning up.

`sweep` is called every few seconds and `clean` now and then, by as many processes as like to: what one of
them takes, no other takes. Promises that whatever is due is handed to the queue again until it is done,
whatever the queue has lost, that a long queue is not made longer by it, and that a part which fails does
not keep the others from their turn. Does not know the queue itself, nor how often it is called.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from hub.domain.delivery import DeliveryUpdate
from hub.domain.drafts import Draft
from hub.domain.errors import Refusal, StoreUnavailable, Unavailable
from hub.services.expand import Expand
from hub.store.audit import Audit
from hub.store.backlog import Backlog
from hub.store.outbox import Outbox
from hub.store.retention import Retention
from hub.store.revocations import RevocationRows
from hub.store.scheduled import Scheduled
from hub.store.spending import Spending

# How many hints of a channel the sweeper lets wait in the queue.
FULL = 2000
# Whoever accepts a notification tells the queue; for so many seconds the sweeper leaves it to that.
SETTLE_SECONDS = 2.0
# A delivery that was handed to the queue and not begun for so long was lost there.
TRUST_SECONDS = 20.0
CHUNKS = 20
DRAFTS = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long things are kept; `events` where a tenant has no days of its own."""

    events: timedelta
    keys: timedelta
    audit: timedelta
    outbox: timedelta = timedelta(days=7)


class Timers:
    """`channels` have a provider. `hand_out` tells the queue of (delivery id, channel) and never blocks;
    `waiting` says how many hints of a channel wait there (None: the queue cannot be asked, so telling it
    would be in vain). `release` sends a scheduled draft, given as it was stored too, as the event of that id,
    if it still waits like that, and removes it.
    """

    def __init__(
        self,
        *,
        backlog: Backlog,
        scheduled: Scheduled,
        expand: Expand,
        retention: Retention,
        revocations: RevocationRows,
        audit: Audit,
        spending: Spending,
        outbox: Outbox,
        channels: Collection[str],
        hand_out: Callable[[Sequence[tuple[str, str]]], None],
        waiting: Callable[[str], Awaitable[int | None]],
        release: Callable[[str, Draft, str], Awaitable[None]],
        announce: Callable[[Sequence[DeliveryUpdate]], None],
        clock: Callable[[], datetime],
        keep: Keep,
    ) -> None:
        self._backlog = backlog
        self._scheduled = scheduled
        self._expand = expand
        self._retention = retention
        self._revocations = revocations
        self._audit = audit
        self._spending = spending
        self._outbox = outbox
        self._channels = channels
        self._hand_out = hand_out
        self._waiting = waiting
        self._release = release
        self._announce = announce
        self._clock = clock
        self._keep = keep

    async def sweep(self) -> None:
        """One look at everything that may be due."""
        await _each(self._recover, self._release_drafts, self._expand_audiences, self._hand_out_due)

    async def clean(self) -> None:
        """Remove what is older than it has to be."""
        await _each(
            self._trim_log,
            self._expire,
            self._forget_keys,
            self._trim_outbox,
            self._forget_revocations,
            self._trim_audit,
            self._forget_spent,
        )

    # -- a sweep -------------------------------------------------------------------------------------
    async def _recover(self) -> None:
        lost = await self._backlog.recover(now=self._clock())
        for delivery in lost:
            log.warning(
                "a worker died with a delivery",
                action="delivery.recovered",
                delivery=delivery.id,
                status=delivery.status,
            )
        self._announce([delivery.update for delivery in lost])

    async def _release_drafts(self) -> None:
        for waiting in await self._scheduled.take_due(self._clock(), limit=DRAFTS):
            try:
                await self._release(waiting.id, waiting.draft, waiting.text)
            except Unavailable as refusal:
                if waiting.draft.near is None or isinstance(refusal, StoreUnavailable):
                    raise
                # Who is near cannot be said now; the others need not wait for it.
                log.warning("a scheduled notification waits", action="scheduled.waits", id=waiting.id)
                continue
            except Refusal as refusal:  # it was fine when it was accepted, and no longer is
                log.error(
                    "a scheduled notification was dropped",
                    action="scheduled.dropped",
                    id=waiting.id,
                    reason=refusal.code,
                )
                await self._scheduled.remove(waiting.id, tenant=waiting.draft.tenant)

    async def _expand_audiences(self) -> None:
        planned = await self._expand.run(chunks=CHUNKS)
        self._hand_out([(item.id, item.channel) for item in planned])

    async def _hand_out_due(self) -> None:
        for channel in self._channels:
            waiting = await self._waiting(channel)
            if waiting is None or waiting >= FULL:
                continue
            due = await self._backlog.due(
                channel,
                now=self._clock(),
                limit=FULL - waiting,
                settle=SETTLE_SECONDS,
                trust=TRUST_SECONDS,
            )
            self._hand_out(due)

    # -- cleaning up ---------------------------------------------------------------------------------
    async def _trim_log(self) -> None:
        await self._retention.trim(self._clock(), keep=self._keep.events)

    async def _expire(self) -> None:
        await self._retention.expire(self._clock())

    async def _forget_keys(self) -> None:
        await self._retention.forget_keys(self._clock() - self._keep.keys)

    async def _trim_outbox(self) -> None:
        await self._outbox.trim(before=self._clock() - self._keep.outbox)

    async def _forget_revocations(self) -> None:
        await self._revocations.forget(self._clock())

    async def _forget_spent(self) -> None:
        await self._spending.forget(self._clock())

    async def _trim_audit(self) -> None:
        await self._audit.forget(self._clock() - self._keep.audit)


async def _each(*parts: Callable[[], Awaitable[None]]) -> None:
    """All of them, in order; then raises the first failure, if any. Without a database none can work."""
    failures: list[Exception] = []
    for part in parts:
        try:
            await part()
        except StoreUnavailable:
            raise
        except Exception as failure:
            failures.append(failure)
    for further in failures[1:]:
        log.error("and another part failed", action="timers.failed", error=repr(further))
    if failures:
        raise failures[0]
