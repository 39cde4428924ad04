"""A hint as a Redis broker keeps it, without asking Celery for each.

Celery makes one message for every queue; from then on only what differs is filled in: the delivery, the
task's id and the tag under which a worker acknowledges it. That is a twentieth of the price, and a message
that any worker reads. Does not know the broker: `Hints` pushes what it gets from here.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from celery import Celery
from kombu.connection import Connection
from kombu.messaging import Producer
from kombu.utils.json import dumps

from hub.services.ids import Ids

_DELIVERY, _TASK, _TAG, _BODY = "@delivery@", "@task@", "@tag@", "@body@"


class Messages:
    """The messages of one queue, whose task has its name. Not for several threads at once."""

    def __init__(self, app: Celery, queue: str) -> None:
        self._id = Ids()
        payload = _example(app, queue)
        self._body = b64decode(payload["body"]).decode()
        payload["body"] = _BODY
        payload["properties"]["delivery_tag"] = _TAG
        self._text: str = dumps(payload)  # type: ignore[no-untyped-call]

    def of(self, delivery: str) -> str:
        """The message that carries this delivery's id."""
        id = self._id()
        body = b64encode(self._body.replace(_DELIVERY, delivery).encode()).decode()
        text = self._text.replace(_DELIVERY, delivery).replace(_TASK, id).replace(_TAG, id)
        return text.replace(_BODY, body)


def _example(app: Celery, queue: str) -> dict[str, Any]:
    """What Celery puts into a queue that is kept as Redis's are, but in memory."""
    connection: Any = Connection("memory://")  # type: ignore[no-untyped-call]
    with connection, connection.channel() as channel:
        producer = Producer(channel)  # type: ignore[no-untyped-call]
        options = {"queue": queue, "routing_key": queue, "ignore_result": True, "task_id": _TASK}
        app.send_task(queue, (_DELIVERY,), producer=producer, **options)
        example: dict[str, Any] = channel._get(queue)
        return example
