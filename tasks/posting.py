"""How a worker takes deliveries from the queue: straight into its event loop, without a thread for each.

Celery's own way runs a task in a thread of the pool, which here would only wait for the loop. `Posting` is
the strategy (Celery's word for what a consumer does with a task's message) of the outside channels instead:
it reads the delivery's id, hands it to the loop, and acknowledges the message when that is done. Promises: at
most `most` deliveries are under way at once, however many were fetched ahead; a message is acknowledged
after its work, by the thread that holds the connection; one that is no delivery's is refused and harms no
other. A worker that dies acknowledges nothing, so the broker gives its messages to another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from celery.exceptions import InvalidTaskError
from celery.utils.log import get_logger

from hub.domain.errors import Unavailable
from tasks.runtime import Runtime, Worked

# So long acknowledgements are gathered, since each time that the consumer's thread is woken costs.
ACK_SECONDS = 0.02

log = structlog.get_logger(__name__)
celery_log = get_logger(__name__)  # what Celery complains to of a message it cannot acknowledge


class Posting:
    """`work` is what is to be done with a delivery's id. A task is given it as its `Strategy`."""

    def __init__(self, runtime: Runtime, work: Callable[[Worked, str], Awaitable[Any]], *, most: int) -> None:
        self._runtime = runtime
        self._work = work
        self._places = asyncio.Semaphore(most)
        self._ending = False
        self._acks: list[Callable[[], Any]] = []

    def __call__(self, _task: Any, _app: Any, consumer: Any) -> Callable[..., None]:
        errors = consumer.connection_errors

        def take(message: Any, _body: Any, ack: Callable[..., Any], *_: Any) -> None:
            """In the consumer's thread, which refuses the message when this raises."""
            delivery = _delivery_of(_body_of(message))
            self._runtime.spawn(lambda hub: self._do(hub, delivery, lambda: ack(celery_log, errors)))

        return take

    def end(self) -> None:
        """Begin nothing more, and return when what was begun is done. The queue keeps what was not begun."""
        self._ending = True
        self._runtime.join()
        self._acknowledge()

    async def _do(self, hub: Worked, delivery: str, ack: Callable[[], Any]) -> None:
        async with self._places:
            if self._ending:
                return
            try:
                await self._work(hub, delivery)
            except Unavailable as away:  # the sweeper hands it out again
                log.warning("a delivery was put off", action="delivery.put_off", reason=away.code)
            except Exception:
                log.exception("a delivery failed", action="delivery.failed", delivery=delivery)
        self._acks.append(ack)
        if len(self._acks) == 1:
            asyncio.get_running_loop().call_later(ACK_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        acks, self._acks = self._acks, []
        for ack in acks:
            ack()


def _body_of(message: Any) -> Any:
    """Raises what Celery refuses a message for."""
    if message.content_type != "application/json":
        return message.decode()
    try:
        return orjson.loads(message.body)
    except ValueError as fault:
        raise InvalidTaskError("the message is no JSON") from fault


def _delivery_of(body: Any) -> str:
    """The only argument of a task's message. Raises `InvalidTaskError`."""
    match body:
        case [[str(delivery)], *_]:
            return delivery
    raise InvalidTaskError("the message holds no delivery")
