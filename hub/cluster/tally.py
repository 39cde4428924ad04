"""Counters that all processes share, in one hash in Redis: what workers did is read where metrics are.

A count is kept here and written every second; what Redis does not take stays here until it does, up to
`MOST` names. A Redis that comes back empty begins at nought, as counters may. Does not know what is counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from redis.asyncio import Redis
from redis.exceptions import RedisError

TIMEOUT = 0.5  # seconds Redis has to answer
MOST = 1000


class Tally:
    """`redis` None: only this process counts."""

    def __init__(self, redis: Redis | None, *, prefix: str) -> None:
        self._redis = redis
        self._key = f"{prefix}:tally"
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        if name in self._counts or len(self._counts) < MOST:
            self._counts[name] += 1

    async def flush(self) -> None:
        """Write what was counted since the last time. Never raises for Redis."""
        if self._redis is None or not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        try:
            async with asyncio.timeout(TIMEOUT), self._redis.pipeline(transaction=True) as pipe:
                for name, count in counts.items():
                    pipe.hincrby(self._key, name, count)
                await pipe.execute()
        except (RedisError, OSError, TimeoutError):
            self._counts.update(counts)

    async def read(self) -> dict[str, int] | None:
        """Every count, with what this process has not written yet; None: Redis does not answer."""
        counts = Counter(self._counts)
        if self._redis is not None:
            try:
                async with asyncio.timeout(TIMEOUT):
                    stored = await self._redis.hgetall(self._key)
            except (RedisError, OSError, TimeoutError):
                return None
            counts.update({_text(name): int(count) for name, count in stored.items()})
        return dict(counts)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
