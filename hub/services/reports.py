"""What admins read: the log of notifications, deliveries, numbers, and what other admins did.

Rows of the log keep the snake_case names that programs read them by; everything else is camelCase like the
rest. Pages are lists with the place where the next one begins. This file does not know HTTP.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hub.domain.delivery import Delivery, Status, shown
from hub.domain.errors import NotificationUnknown
from hub.services.timeline import timeline
from hub.services.wire import iso, moment
from hub.store.audit import Audit, Note
from hub.store.reports import IN_APP, LogRow, Place, Reports, Wanted
from hub.store.stats import Slot, Statistics
from hub.store.trail import Trail

EXPORT_PAGE = 500
LOG_FIELDS = (
    *("id", "user_id", "event", "payload", "delivered", "delivered_at", "error", "created_at"),
    *("channel", "attempts"),
)


class Rows(NamedTuple):
    """A page, and where the next one begins; None: there is none."""

    items: list[dict[str, Any]]
    next: str | None


class ReportsService:
    def __init__(
        self,
        reports: Reports,
        statistics: Statistics,
        audit: Audit,
        trail: Trail,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._reports = reports
        self._statistics = statistics
        self._audit = audit
        self._trail = trail
        self._clock = clock

    async def logs(self, tenant: str, wanted: Wanted, *, limit: int, after: Place | None) -> Rows:
        """The log of a tenant, newest first."""
        rows = await self._reports.logs(tenant, wanted, limit=limit, after=after)
        return Rows([log_shape(row) for row in rows], _next([row.place for row in rows], limit))

    async def export(
        self, tenant: str, wanted: Wanted, *, after: Place | None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """The whole log, page by page."""
        while True:
            rows = await self._reports.logs(tenant, wanted, limit=EXPORT_PAGE, after=after)
            if rows:
                yield [log_shape(row) for row in rows]
            if len(rows) < EXPORT_PAGE:
                return
            after = rows[-1].place

    async def deliveries(self, tenant: str, wanted: Wanted, *, limit: int, after: Place | None) -> Rows:
        """Deliveries as they stand, newest first."""
        found = await self._reports.deliveries(tenant, wanted, limit=limit, after=after)
        return Rows([delivery_shape(item) for _, item in found], _next([place for place, _ in found], limit))

    async def timeline(self, tenant: str, user: str, id: str) -> list[dict[str, Any]]:
        """Every step of a user's deliveries of one notification. Raises `NotificationUnknown` for none."""
        stories = await self._trail.of(tenant, user, id)
        if not stories:
            raise NotificationUnknown("this user has no deliveries of such a notification")
        return [moment(step) for step in timeline(stories)]

    async def audit(
        self, tenant: str | None, *, action: str | None, actor: str | None, limit: int, after: str | None
    ) -> Rows:
        """What admins did in a tenant (None: to the platform), newest first."""
        notes = await self._audit.page(tenant, action=action, actor=actor, limit=limit, after=after)
        return Rows([note_shape(note) for note in notes], notes[-1].id if len(notes) == limit else None)

    async def stats(self, tenant: str, *, since: datetime, until: datetime, bucket: int) -> dict[str, Any]:
        """Counts, delays and the queue. `bucket` in seconds."""
        now = self._clock()
        stats = await self._statistics.over(tenant, since, until, bucket, now)
        by_status: Counter[str] = Counter()
        for counts in stats.by_channel.values():
            by_status.update(counts)
        delays = sorted(stats.delays)
        oldest = stats.oldest_due
        total = sum(slot.notifications for slot in stats.over_time.values())
        return {
            "from": iso(since),
            "to": iso(until),
            "bucketSeconds": bucket,
            "complete": stats.complete,
            "notifications": total,
            "byType": stats.by_type,
            "byChannel": {
                IN_APP: {Status.DELIVERED.value: total},
                **{channel: _words(counts) for channel, counts in sorted(stats.by_channel.items())},
            },
            "byStatus": _words(by_status),
            "overTime": [_slot_shape(at, slot) for at, slot in sorted(stats.over_time.items())],
            "latencyMs": {
                "count": len(delays),
                "p50": _percentile(delays, 0.50),
                "p99": _percentile(delays, 0.99),
            },
            "queue": {
                "depth": stats.depth,
                "oldestDueAt": iso(oldest),
                "ageSeconds": round(max(0.0, (now - oldest).total_seconds()), 3) if oldest else 0,
            },
        }


def log_shape(row: LogRow) -> dict[str, Any]:
    """A row of the log, with the names of `LOG_FIELDS`."""
    return {
        "id": row.place.id,
        "user_id": row.user,
        "event": row.type,
        "payload": row.data,
        "delivered": row.delivered_at is not None,
        "delivered_at": iso(row.delivered_at),
        "error": row.error,
        "created_at": iso(row.created_at),
        "channel": row.channel,
        "attempts": row.attempts,
    }


def delivery_shape(delivery: Delivery) -> dict[str, Any]:
    """A delivery as REST shows it."""
    return {
        "id": delivery.id,
        "notificationId": delivery.event_id,
        "userId": delivery.user,
        "channel": delivery.channel,
        "status": shown(delivery.status),
        "attempts": delivery.attempts,
        "dueAt": iso(delivery.due_at),
        "reason": delivery.reason,
        "error": delivery.error,
        "provider": delivery.provider,
        "maybeDuplicate": delivery.maybe_duplicate,
        "at": iso(delivery.updated_at),
    }


def note_shape(note: Note) -> dict[str, Any]:
    return {
        "id": note.id,
        "actor": note.actor,
        "action": note.action,
        "target": note.target,
        "details": dict(note.details),
        "requestId": note.request_id,
        "at": iso(note.at),
    }


def _slot_shape(at: int, slot: Slot) -> dict[str, Any]:
    return {
        "at": iso(datetime.fromtimestamp(at, UTC)),
        "notifications": slot.notifications,
        "deliveries": _words(slot.deliveries),
    }


def _words(counts: Counter[str]) -> dict[str, int]:
    """By the words that people read."""
    return {shown(status): count for status, count in sorted(counts.items())}


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """Nearest rank, in milliseconds; None of nothing."""
    return round(1000 * ordered[math.ceil(share * len(ordered)) - 1], 1) if ordered else None


def _next(places: Sequence[Place], limit: int) -> str | None:
    return f"{places[-1].offset}.{places[-1].id}" if len(places) == limit else None
