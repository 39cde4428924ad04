"""What other programs publish with python-socketio's write-only managers, as it comes from Redis.

One subscription that pings its own connection and is renewed whenever it breaks or falls silent, for as
long as it takes. What is published while it is away is lost, as with any stock emitter. This file does
not know what the messages mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

import redis.asyncio as aioredis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

PING_EVERY = 5.0  # seconds of silence after which Redis is asked whether it is still there
RETRY_EVERY = 1.0  # seconds between attempts to reach it


class Emitters:
    """Calls `receive(message)` for every message on `channel`, one after the other."""

    def __init__(self, url: str, channel: str, receive: Callable[[bytes], Awaitable[None]]) -> None:
        self._channel = channel
        self._receive = receive
        # A quiet subscription is no error: no socket timeout, and no retries behind our back.
        self._redis = aioredis.Redis.from_url(
            url, socket_timeout=None, socket_connect_timeout=PING_EVERY, retry=Retry(NoBackoff(), 0)
        )
        self._task: asyncio.Task[None] | None = None
        self.subscribed = asyncio.Event()

    def open(self) -> None:
        """Begin to listen; a second time does nothing."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._redis.aclose()

    async def _run(self) -> None:
        told = False
        while True:
            try:
                await self._listen()
            except (RedisError, OSError, TimeoutError) as error:
                if self.subscribed.is_set() or not told:
                    told = True
                    log.warning("not listening to emitters", action="emitters.lost", reason=repr(error))
            self.subscribed.clear()
            await asyncio.sleep(RETRY_EVERY)

    async def _listen(self) -> None:
        """Until the connection breaks. Raises what redis raises, or ConnectionError on silence."""
        async with self._redis.pubsub() as pubsub:
            async with asyncio.timeout(PING_EVERY):
                await pubsub.subscribe(self._channel)
            pinged = False
            while True:
                message = await pubsub.get_message(timeout=PING_EVERY)
                if message is not None:
                    pinged = False
                    await self._take(message["type"], message["data"])
                elif pinged:
                    raise ConnectionError("Redis is silent")
                else:
                    pinged = True
                    async with asyncio.timeout(PING_EVERY):
                        await pubsub.ping()

    async def _take(self, kind: str, data: bytes) -> None:
        if kind == "subscribe":
            self.subscribed.set()
        elif kind == "message":
            try:
                await self._receive(data)
            except Exception:
                log.exception("an emitter's message was dropped", action="emitters.receive")
