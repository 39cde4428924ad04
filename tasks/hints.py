"""Telling the queue that deliveries are due, without ever waiting for it.

`send` puts ids on a bounded list and returns; a thread publishes them. When the broker does not answer, or
the list is full, hints are dropped and counted: SQL still has the deliveries, and the sweeper hands them
out again. Does not know what a delivery is.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress

import structlog
from celery import Celery

from tasks.queues import queue_of

BOUND = 20_000
AT_ONCE = 200
# After the broker has failed, it is left alone for so long.
PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Hints:
    """`dropped` counts the hints that were not published. Usable from any thread."""

    def __init__(self, app: Celery, *, bound: int = BOUND) -> None:
        self.dropped = 0
        self._app = app
        self._waiting: queue.Queue[tuple[str, str]] = queue.Queue(bound)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def send(self, deliveries: Sequence[tuple[str, str]]) -> None:
        """Hand out (delivery id, channel) pairs. Never blocks, never raises."""
        if deliveries and self._thread is None:
            self._start()
        for item in deliveries:
            try:
                self._waiting.put_nowait(item)
            except queue.Full:
                self.dropped += 1

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
        items: list[tuple[str, str]] = []
        with suppress(queue.Empty):
            items.append(self._waiting.get(timeout=0.2))
            while len(items) < AT_ONCE:
                items.append(self._waiting.get_nowait())
        return items

    def _publish(self, items: Sequence[tuple[str, str]]) -> None:
        if not items:
            return
        with self._app.producer_pool.acquire(block=True) as producer, producer.batch(max_size=AT_ONCE):
            for id, channel in items:
                name = queue_of(channel)
                self._app.send_task(
                    name, (id,), queue=name, routing_key=name, producer=producer, ignore_result=True
                )

    def _depth(self, name: str) -> int | None:
        try:
            with self._app.connection_for_read() as connection:
                declared = connection.default_channel.queue_declare(
                    queue=name, durable=True, auto_delete=False
                )
                return int(declared.message_count)
        except Exception as error:
            log.debug("the queue cannot be asked", action="hints.blind", error=type(error).__name__)
            return None
