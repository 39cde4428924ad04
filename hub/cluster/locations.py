"""Where users are, in Redis, for a short time: geo sets for each tenant, and when each location ends.

Promises: a location is found until it ends or is forgotten and not after, by the clock of Redis; nobody of
another tenant is ever found; no process keeps a copy, and nothing is logged. Redis is a cache: when it comes
back empty, nobody is anywhere until clients say so again. While it does not answer it is left alone for a
moment, so that a batch does not wait for it once per entry. It does not know who may ask.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from hub.domain.errors import Unavailable
from hub.domain.geo import MAX_LAT, MAX_LON, Near

TIMEOUT = 0.5  # seconds Redis has to answer
REST = 1.0  # seconds without asking it after it has not
_LUA = files("hub.cluster") / "lua"
_WRITE, _NEAR = ((_LUA / f"location_{name}.lua").read_text() for name in ("write", "near"))


class Locations:
    """`redis` None: there is no Redis, and nobody is anywhere. `seconds`: how long a location lives."""

    def __init__(self, redis: Redis | None, *, prefix: str, seconds: float) -> None:
        self._prefix = prefix
        self._life = max(1, round(seconds * 1000))
        self._write = redis.register_script(_WRITE) if redis is not None else None
        self._near = redis.register_script(_NEAR) if redis is not None else None
        self._resting_until = -math.inf

    def require(self) -> None:
        """Raises `Unavailable` when there never will be locations here."""
        if self._write is None:
            raise Unavailable("locations need Redis, and none is configured")

    async def put(self, tenant: str, user: str, roles: Sequence[str], lat: float, lon: float) -> float:
        """The user is here now; the Unix seconds at which that ends. Raises `Unavailable`."""
        said = [user, self._life, *_point(lat, lon), " ".join(roles)]
        ends: int = await self._ask(self._write, self._keys(tenant), said)
        return ends / 1000

    async def remove(self, tenant: str, user: str) -> None:
        """Nothing is known of where the user is. Raises `Unavailable`."""
        if self._write is not None:
            await self._ask(self._write, self._keys(tenant), [user, 0, 0, 0, ""])

    async def find(self, tenant: str, near: Near, *, limit: int) -> list[str]:
        """Who is near, nearest first, at most `limit`. Raises `Unavailable`."""
        until, _, places = self._keys(tenant)
        keys = [until, places if near.role is None else f"{places}:{near.role}"]
        args = [*_point(near.lat, near.lon), near.radius, limit]
        found = await self._ask(self._near, keys, args)
        return [user if isinstance(user, str) else user.decode() for user in found]

    def _keys(self, tenant: str) -> list[str]:
        return [f"{self._prefix}:location:{tenant}:{name}" for name in ("until", "roles", "places")]

    async def _ask(self, script: AsyncScript | None, keys: list[str], args: list[Any]) -> Any:
        if script is None:
            raise Unavailable("locations need Redis, and none is configured")
        if time.monotonic() >= self._resting_until:
            try:
                async with asyncio.timeout(TIMEOUT):
                    return await script(keys=keys, args=args)
            except (RedisError, OSError, TimeoutError):
                self._resting_until = time.monotonic() + REST
        # Outside of the handler: the command that failed, with what it was given, is no part of this.
        raise Unavailable("locations are not available at the moment", retry_after=1)


def _point(lat: float, lon: float) -> tuple[float, float]:
    """Longitude and latitude for Redis, which takes its own upper bounds and then puts them elsewhere.

    So the date line is given its western name, and the highest latitude a millimetre less.
    """
    east = round(lon, 9)
    return (-MAX_LON if east >= MAX_LON else east), min(lat, MAX_LAT - 1e-8)
