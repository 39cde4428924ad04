"""Publishing to Redis: everything that waits goes out in one write, and nobody waits for it.

`put` only queues. One task takes the queue once per event-loop tick, packs what is for the same channel
into one message, writes all as one pipeline on its own connection and waits for the replies, until a
deadline. When that fails, a breaker opens: for a moment records are dropped at once, then one batch is
tried. Dropping is allowed here (the receivers find events that never arrived in SQL) and counted. This
file does not know what the bytes mean.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence

import hiredis
import structlog
from redis.asyncio.connection import AbstractConnection

from hub.cluster.link import Line, Pace, connect, new_connection
from hub.cluster.parcel import Part

QUEUE_RECORDS = 10_000
QUEUE_BYTES = 8 << 20
BATCH_RECORDS = 1000
BATCH_BYTES = 1 << 20

log = structlog.get_logger(__name__)


class Batch:
    """What goes out in one write: records by channel, in the order in which they came."""

    __slots__ = ("count", "parcels", "size")

    def __init__(self) -> None:
        self.parcels: dict[bytes, list[Part]] = {}
        self.count = self.size = 0


class Publisher:
    """`published` and `dropped` count records since the start. `pack` makes one message of many."""

    def __init__(self, url: str, *, pace: Pace, pack: Callable[[bytes, Sequence[Part]], bytes]) -> None:
        self.published = 0
        self.dropped = 0
        self._pace = pace
        self._connection: AbstractConnection = new_connection(url, "hub-publisher", pace)
        self._line: Line | None = None
        self._owed = 0  # replies to what was written last
        self._replied: asyncio.Future[None] | None = None
        self._pack = pack
        self._queue: deque[Batch] = deque()
        self._records = self._bytes = 0  # in the queue
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
        await self._hang_up()

    def put(self, channel: bytes, part: Part) -> None:
        """Queues one record. Never blocks, never raises: what cannot be queued is dropped."""
        size = len(part[0]) + len(part[1])
        full = self._records >= QUEUE_RECORDS or self._bytes + size > QUEUE_BYTES
        if full or self._closing or time.monotonic() < self._resting_until:
            self.dropped += 1
            return
        queue = self._queue
        batch = queue[-1] if queue else None
        if batch is None or batch.count >= BATCH_RECORDS or batch.size >= BATCH_BYTES:
            batch = Batch()
            queue.append(batch)
            self._waiting.set()
        if (parcel := batch.parcels.get(channel)) is not None:
            parcel.append(part)
        else:
            batch.parcels[channel] = [part]
        batch.count += 1
        batch.size += size
        self._records += 1
        self._bytes += size

    async def _run(self) -> None:
        while self._queue or not self._closing:
            await self._waiting.wait()
            self._waiting.clear()
            while self._queue:
                batch = self._queue.popleft()
                self._records -= batch.count
                self._bytes -= batch.size
                try:
                    await self._send(self._commands(batch))
                # Whatever went wrong, the next batch starts on a new connection.
                except Exception as error:
                    self.dropped += batch.count
                    await self._rest(error)
                else:
                    self.published += batch.count
                    self._recovered()

    async def _send(self, commands: Sequence[bytes]) -> None:
        if self._line is None or not self._line.open:
            await self._hang_up()
            self._line = await connect(self._connection, self._pace, self._heard, self._lost)
        loop = asyncio.get_running_loop()
        self._owed, self._replied = len(commands), loop.create_future()
        late = TimeoutError(f"no answer in {self._pace.publish:g} s")
        deadline = loop.call_later(self._pace.publish, self._lost, late)
        try:
            self._line.write(b"".join(commands))
            await self._replied
        finally:
            deadline.cancel()

    def _heard(self, reply: object) -> None:
        self._owed -= 1
        if self._owed == 0 and self._replied is not None and not self._replied.done():
            self._replied.set_result(None)

    def _lost(self, error: Exception) -> None:
        if self._replied is not None and not self._replied.done():
            self._replied.set_exception(error)

    async def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
        await self._connection.disconnect(nowait=True)

    async def _rest(self, error: Exception) -> None:
        """Opens the breaker: nothing is tried for a while, and what waits is dropped."""
        self._resting_until = time.monotonic() + self._pace.rest
        self._drop_queue()
        if not self._failing:
            self._failing = True
            reason = f"{type(error).__name__}: {error}"
            log.warning("cannot publish to Redis, dropping", action="bus.publish_failed", error=reason)
        await self._hang_up()

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            log.info("publishing to Redis again", action="bus.publish_recovered", dropped=self.dropped)

    def _commands(self, batch: Batch) -> list[bytes]:
        """What publishes it, one command for each channel."""
        return [
            hiredis.pack_command((b"PUBLISH", channel, self._pack(channel, parts)))  # type: ignore[arg-type]
            for channel, parts in batch.parcels.items()
        ]

    def _drop_queue(self) -> None:
        self.dropped += self._records
        self._queue.clear()
        self._records = self._bytes = 0
