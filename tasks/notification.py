"""The tasks of the outside channels: "send delivery X now", and nothing more.

A task's message holds a delivery id. Whether that delivery is due, ours or long over is decided when it is
claimed, so a message may come late, twice or never.
"""

from __future__ import annotations

from celery import Celery

from tasks.posting import Posting
from tasks.queues import NOTIFICATION_QUEUES
from tasks.runtime import Runtime


def register(app: Celery, runtime: Runtime, *, most: int) -> Posting:
    """One task per channel, named as its queue; `most` deliveries are under way at once, over all of them."""
    posting = Posting(runtime, lambda hub, delivery: hub.deliver.send(delivery), most=most)

    def send(delivery: str) -> None:
        """What Celery does elsewhere, should anybody call the task itself."""
        runtime.run(lambda hub: hub.deliver.send(delivery))

    for name in NOTIFICATION_QUEUES:
        app.task(name=name, Strategy=posting)(send)
    return posting
