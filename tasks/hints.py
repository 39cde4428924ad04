"""Telling the queue that deliveries are due, without ever waiting for it.

`send` puts ids on a bounded list and returns; a thread publishes all that wait, to Redis in one command for
each queue. When the broker does not answer, or the list is full, hints are dropped and counted: SQL still
has the deliveries, and the sweeper hands them out again. Does not know what a delivery is.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from tasks.queues import queue_of

if TYPE_CHECKING:  # loaded when there is something to say: most of a hub's life there may be nothing
    from celery import Celery

    from tasks.messages import Messages

BOUND = 20_000
AT_ONCE = 200
# After the broker has failed, it is left alone for so long.
PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Hints:
    """`make` gives Celery's application, once it is needed; it is called in another thread than the caller's.
    `dropped` counts the hints that were not published. Usable from any thread.
    """

    def __init__(self, make: Callable[[], Celery], *, bound: int = BOUND) -> None:
        self.dropped = 0
        self._make = make
        self._making = threading.Lock()
        self._made: tuple[Celery, bool] | None = None
        self._bound = bound
        self._waiting: deque[tuple[str, str]] = deque()
        self._news = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._messages: dict[str, Messages] = {}  # by queue; the thread's own

    def send(self, deliveries: Sequence[tuple[str, str]]) -> None:
        """Hand out (delivery id, channel) pairs. Never blocks, never raises."""
        if deliveries and self._thread is None:
            self._start()
        room = max(0, self._bound - len(self._waiting))
        self.dropped += max(0, len(deliveries) - room)
        self._waiting.extend(deliveries[:room])
        self._news.set()

    async def waiting(self, channel: str) -> int | None:
        """How many hints of a channel wait in the broker; None: it does not answer."""
        return await asyncio.to_thread(self._depth, queue_of(channel))

    def close(self, *, timeout: float = 2.0) -> None:
        """Publish what is listed, for up to `timeout` seconds, and end the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)

    # -- the thread ----------------------------------------------------------------------------------
    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            items = self._take()
            if not items and self._stop.is_set():
                return
            try:
                self._publish(items)
            except Exception as error:  # the broker's, the network's or a driver's: the answer is the same
                self.dropped += len(items)
                log.warning(
                    "the queue was not told; the sweeper will",
                    action="hints.dropped",
                    hints=len(items),
                    error=type(error).__name__,
                )
                self._stop.wait(PAUSE_SECONDS)

    def _take(self) -> list[tuple[str, str]]:
        """What is listed, at most AT_ONCE; empty when nothing came for a while."""
        if self._news.wait(0.2):
            self._news.clear()  # before looking: what comes from now on sets it again
        items = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        if self._waiting:
            self._news.set()
        return items

    def _app(self) -> tuple[Celery, bool]:
        """Celery's application, and whether its broker is a Redis."""
        with self._making:
            if self._made is None:
                app = self._make()
                self._made = app, app.connection_for_write().transport.driver_type == "redis"
            return self._made

    def _publish(self, items: Sequence[tuple[str, str]]) -> None:
        if not items:
            return
        app, to_redis = self._app()
        if to_redis:
            self._push(app, items)
            return
        with app.producer_pool.acquire(block=True) as producer:
            _require_open(producer)
            with producer.batch(max_size=AT_ONCE):
                for id, channel in items:
                    name = queue_of(channel)
                    app.send_task(
                        name, (id,), queue=name, routing_key=name, producer=producer, ignore_result=True
                    )

    def _push(self, app: Celery, items: Sequence[tuple[str, str]]) -> None:
        from tasks.messages import Messages

        waiting: dict[str, list[str]] = {}
        for id, channel in items:
            name = queue_of(channel)
            messages = self._messages.get(name)
            if messages is None:
                messages = self._messages[name] = Messages(app, name)
            waiting.setdefault(name, []).append(messages.of(id))
        with app.producer_pool.acquire(block=True) as producer:
            for name, texts in waiting.items():
                producer.channel.client.lpush(name, *texts)

    def _depth(self, name: str) -> int | None:
        try:
            app, to_redis = self._app()
            if to_redis:
                with app.producer_pool.acquire(block=True) as producer:
                    return int(producer.channel.client.llen(name))
            with app.connection_for_read() as connection:
                queue = app.amqp.queues[name].bind(connection.default_channel)
                queue.declare()  # with its binding: what is published before a worker came is kept
                return int(queue.queue_declare().message_count)
        except Exception as error:
            log.debug("the queue cannot be asked", action="hints.blind", error=type(error).__name__)
            return None


def _require_open(producer: Any) -> None:
    """Connects again where the broker has closed the connection meanwhile: what is written to one that
    nobody reads is lost without a word."""
    connection = producer.connection
    if connection.connected:
        try:
            connection.drain_events(timeout=0)
        except TimeoutError:
            return  # it has nothing to say, so it is open
        except connection.connection_errors:
            pass
    connection.collect()
    producer.revive(connection.default_channel)
