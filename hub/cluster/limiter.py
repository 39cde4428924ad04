"""How often something may be done, counted for all processes together.

A token bucket in Redis, in one script, on Redis's clock. Limits fail limited: while Redis is away or slow,
a bucket of the same size in this process rules, and Redis is left alone for a moment so that nobody waits
for it twice. This file does not know what is limited, nor how a refusal is told.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from importlib.resources import files

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from hub.domain.limits import Allowance

TIMEOUT = 0.2  # seconds Redis has to answer
REST = 1.0  # seconds without asking it after it has not
LOCAL_BUCKETS = 10_000
SCRIPT = (files("hub.cluster") / "lua" / "bucket.lua").read_text()

log = structlog.get_logger(__name__)


class Limiter:
    """`redis` None: every process counts for itself."""

    def __init__(self, redis: Redis | None, *, prefix: str) -> None:
        self._prefix = prefix
        self._script = redis.register_script(SCRIPT) if redis is not None else None
        self._resting_until = -math.inf
        self._local: OrderedDict[tuple[str, int, float], Allowance] = OrderedDict()

    async def take(self, name: str, *, most: int, window: float, cost: int = 1) -> float:
        """Takes `cost` of the `most` that `name` has in `window` seconds.

        Returns 0 when it was taken, else the seconds until there is enough. A cost above `most` counts as
        `most`: it needs a full bucket. Never raises.
        """
        cost = min(cost, most)
        if self._script is None or time.monotonic() < self._resting_until:
            return self._take_here(name, most, window, cost)
        try:
            async with asyncio.timeout(TIMEOUT):
                wait = await self._script(
                    keys=[f"{self._prefix}:bucket:{name}"], args=[most, int(window * 1e6), cost]
                )
        except (RedisError, OSError, TimeoutError) as error:
            self._resting_until = time.monotonic() + REST
            reason = f"{type(error).__name__}: {error}"
            log.warning("limits are counted in this process", action="limiter.local", error=reason)
            return self._take_here(name, most, window, cost)
        return float(wait) / 1e6

    def _take_here(self, name: str, most: int, window: float, cost: int) -> float:
        now = time.monotonic()
        key = (name, most, window)
        bucket = self._local.pop(key, None) or Allowance(most, window, now)
        self._local[key] = bucket
        if len(self._local) > LOCAL_BUCKETS:
            self._local.popitem(last=False)
        return bucket.take(now, cost)
