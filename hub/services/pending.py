"""Taking back what has not been sent: scheduled drafts, and deliveries that no provider has seen.

What is in the inbox already stays there. This file does not know how sending works.
"""

from __future__ import annotations

from datetime import datetime

from hub.domain.errors import NotificationUnknown
from hub.services.publish import Publish
from hub.store.deliveries import Deliveries
from hub.store.events import EventLog
from hub.store.scheduled import Scheduled


class Pending:
    def __init__(self, log: EventLog, scheduled: Scheduled, deliveries: Deliveries, publish: Publish) -> None:
        self._log = log
        self._scheduled = scheduled
        self._deliveries = deliveries
        self._publish = publish

    async def cancel_pending(self, tenant: str, event_id: str, now: datetime) -> int:
        """How many things were cancelled. Raises `NotificationUnknown`."""
        if await self._scheduled.remove(event_id, tenant=tenant):
            return 1
        if await self._log.get(tenant, event_id) is None:
            raise NotificationUnknown("no such notification")
        cancelled = await self._deliveries.cancel_pending(tenant, event_id, now=now)
        self._publish.announce([delivery.update for delivery in cancelled])
        return len(cancelled)
