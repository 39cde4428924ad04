"""How often something may be done, counted for all processes together.

A token bucket in Redis, in one script, on Redis's clock. While a bucket is more than half full, a process
takes a small share of it ahead, so that it need not ask for each; together they never take more than the
bucket had. Towards the end each take is asked for alone. Limits fail limited: while Redis is away or slow,
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
AT_ONCE = 50  # questions to it; the client has 100 connections for everything
REST = 1.0  # seconds without asking it after it has not
LOCAL_BUCKETS = 10_000
SHARE = 200  # a process takes this part of a bucket ahead: half a percent; of smaller buckets nothing
SHARE_SECONDS = 1.0  # what it has not used by then is lost, and the bucket fills up again
SCRIPT = (files("hub.cluster") / "lua" / "bucket.lua").read_text()

log = structlog.get_logger(__name__)


class Share:
    """What was taken ahead from one bucket."""

    __slots__ = ("asking", "left", "until")

    def __init__(self) -> None:
        self.left = 0
        self.until = -math.inf
        self.asking: asyncio.Future[None] | None = None  # done when more has come, or has not


class Limiter:
    """`redis` None: every process counts for itself."""

    def __init__(self, redis: Redis | None, *, prefix: str) -> None:
        self._prefix = prefix
        self._script = redis.register_script(SCRIPT) if redis is not None else None
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._resting_until = -math.inf
        self._local: OrderedDict[tuple[str, int, float], Allowance] = OrderedDict()
        self._shares: OrderedDict[tuple[str, int, float], Share] = OrderedDict()

    async def take(self, name: str, *, most: int, window: float, cost: int = 1) -> float:
        """Takes `cost` of the `most` that `name` has in `window` seconds.

        Returns 0 when it was taken, else the seconds until there is enough. A cost above `most` counts as
        `most`: it needs a full bucket. Never raises.
        """
        cost = min(cost, most)
        share = self._share(name, most, window) if most >= SHARE else None
        while share is not None:
            if share.left >= cost and time.monotonic() < share.until:
                share.left -= cost
                return 0.0
            if share.asking is None or self._script is None:
                break
            await asyncio.wait([share.asking])  # what it brings may do for this one too
            if not share.left:
                break
        now = time.monotonic()
        if self._script is None or now < self._resting_until:
            return self._take_here(name, most, window, cost)
        if share is None or share.asking is not None:
            return (await self._ask(name, most, window, cost, 0))[0]
        share.asking = asyncio.get_running_loop().create_future()
        try:
            wait, share.left = await self._ask(name, most, window, cost, most // SHARE)
            share.until = now + SHARE_SECONDS
        finally:
            share.asking.set_result(None)
            share.asking = None
        return wait

    def take_ahead(self, name: str, *, most: int, window: float) -> bool:
        """Takes one, when what this process has taken ahead is enough for it. False: `take` has to ask."""
        share = self._shares.get((name, most, window))
        if share is None or share.left < 1 or time.monotonic() >= share.until:
            return False
        share.left -= 1
        return True

    async def _ask(self, name: str, most: int, window: float, cost: int, ahead: int) -> tuple[float, int]:
        """The seconds to wait, and what of `ahead` was given."""
        assert self._script is not None
        keys, args = [f"{self._prefix}:bucket:{name}"], [most, int(window * 1e6), cost, ahead]
        try:
            async with self._gate:
                if time.monotonic() < self._resting_until:
                    return self._take_here(name, most, window, cost), 0
                async with asyncio.timeout(TIMEOUT):
                    wait, given = await self._script(keys=keys, args=args)
        except (RedisError, OSError, TimeoutError) as error:
            self._resting_until = time.monotonic() + REST
            reason = f"{type(error).__name__}: {error}"
            log.warning("limits are counted in this process", action="limiter.local", error=reason)
            return self._take_here(name, most, window, cost), 0
        return float(wait) / 1e6, int(given)

    def _share(self, name: str, most: int, window: float) -> Share:
        key = (name, most, window)
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = Share()
            if len(self._shares) > LOCAL_BUCKETS:
                self._shares.popitem(last=False)
        return share

    def _take_here(self, name: str, most: int, window: float, cost: int) -> float:
        now = time.monotonic()
        key = (name, most, window)
        bucket = self._local.pop(key, None) or Allowance(most, window, now)
        self._local[key] = bucket
        if len(self._local) > LOCAL_BUCKETS:
            self._local.popitem(last=False)
        return bucket.take(now, cost)
