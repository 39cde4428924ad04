"""Publishing to Redis: everything that waits goes out in one write, and nobody waits for it.

`put` only queues. One task takes the queue once per event-loop tick, writes it as one pipeline on its own
connection and reads the replies within a deadline. When that fails, a breaker opens: for a moment records
are dropped at once, then one batch is tried. Dropping is allowed here (the receivers find events that
never arrived in SQL) and counted. This file does not know what the bytes mean.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque

import hiredis
import structlog
from redis.asyncio.connection import AbstractConnection

from hub.cluster.link import Pace, connect, new_connection

QUEUE_RECORDS = 10_000
QUEUE_BYTES = 8 << 20
BATCH_RECORDS = 1000
BATCH_BYTES = 1 << 20

log = structlog.get_logger(__name__)


class Publisher:
    """`published` and `dropped` count records since the start."""

    def __init__(self, url: str, *, pace: Pace) -> None:
        self.published = 0
        self.dropped = 0
        self._pace = pace
        self._connection: AbstractConnection = new_connection(url, "hub-publisher", pace)
        self._queue: deque[bytes] = deque()  # packed PUBLISH commands
        self._bytes = 0
        self._waiting = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._resting_until = -math.inf  # while the breaker is open; monotonic seconds
        self._failing = False

    def open(self) -> None:
        self._task = asyncio.create_task(self._run(), name="bus-publisher")

    async def close(self) -> None:
        """Sends what waits, for one deadline at most, and ends."""
        self._closing = True
        if self._task is not None:
            self._waiting.set()
            await asyncio.wait([self._task], timeout=self._pace.publish)
            self._task.cancel()
            await asyncio.wait([self._task])
        self._drop_queue()
        await self._connection.disconnect(nowait=True)

    def put(self, channel: bytes, data: bytes) -> None:
        """Queues one record. Never blocks, never raises: what cannot be queued is dropped."""
        full = len(self._queue) >= QUEUE_RECORDS or self._bytes + len(data) > QUEUE_BYTES
        if full or self._closing or time.monotonic() < self._resting_until:
            self.dropped += 1
            return
        command: bytes = hiredis.pack_command((b"PUBLISH", channel, data))  # type: ignore[arg-type]
        self._queue.append(command)
        self._bytes += len(command)
        self._waiting.set()

    async def _run(self) -> None:
        while self._queue or not self._closing:
            await self._waiting.wait()
            self._waiting.clear()
            while self._queue:
                batch = self._take()
                try:
                    await self._send(batch)
                # Whatever went wrong, the next batch starts on a new connection.
                except Exception as error:
                    self.dropped += len(batch)
                    await self._rest(error)
                else:
                    self.published += len(batch)
                    self._recovered()

    async def _send(self, batch: list[bytes]) -> None:
        connection = self._connection
        # Something to read although nothing was asked: the server has closed the connection.
        if connection.is_connected and await connection.can_read():
            await connection.disconnect(nowait=True)
        if not connection.is_connected:
            await connect(connection, self._pace)
        async with asyncio.timeout(self._pace.publish):
            await connection.send_packed_command(b"".join(batch), check_health=False)
            for _ in batch:
                await connection.read_response(timeout=math.inf)

    async def _rest(self, error: Exception) -> None:
        """Opens the breaker: nothing is tried for a while, and what waits is dropped."""
        self._resting_until = time.monotonic() + self._pace.rest
        self._drop_queue()
        if not self._failing:
            self._failing = True
            reason = f"{type(error).__name__}: {error}"
            log.warning("cannot publish to Redis, dropping", action="bus.publish_failed", error=reason)
        await self._connection.disconnect(nowait=True)

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            log.info("publishing to Redis again", action="bus.publish_recovered", dropped=self.dropped)

    def _take(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._queue and len(batch) < BATCH_RECORDS and size < BATCH_BYTES:
            command = self._queue.popleft()
            batch.append(command)
            size += len(command)
        self._bytes -= size
        return batch

    def _drop_queue(self) -> None:
        self.dropped += len(self._queue)
        self._queue.clear()
        self._bytes = 0
