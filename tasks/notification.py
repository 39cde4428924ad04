"""The tasks of the outside channels: "send delivery X now", and nothing more.

A task's message holds a delivery id. Whether that delivery is due, ours or long over is decided when it is
claimed, so a message may come late, twice or never.
"""

from __future__ import annotations

import structlog
from celery import Celery

from hub.domain.errors import Unavailable
from tasks.queues import NOTIFICATION_QUEUES
from tasks.runtime import Runtime

log = structlog.get_logger(__name__)


def register(app: Celery, runtime: Runtime) -> None:
    """One task per channel, named as its queue."""

    def send(delivery_id: str) -> None:
        try:
            runtime.run(lambda hub: hub.deliver.send(delivery_id))
        except Unavailable as away:  # the sweeper hands it out again
            log.warning("a delivery was put off", action="delivery.put_off", reason=away.code)

    for name in NOTIFICATION_QUEUES:
        app.task(name=name)(send)
