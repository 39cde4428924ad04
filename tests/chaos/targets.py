"""One real hub process for a scenario, and what one asks of it from outside."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from hub.settings import DEVELOPMENT_KEY
from tests.chaos.scale import files, rss
from tests.hubs import HubCluster, token_for

TENANT = "acme"
BATCH = 20  # notifications in one request
LOOK_SECONDS = 0.05


class Target:
    """A hub in a process of its own, with a Valkey and a database."""

    def __init__(self, cluster: HubCluster, http: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self.http = http
        self.posted = 0  # the last offset
        self._users = itertools.count(1)

    @property
    def port(self) -> int:
        return self.cluster.nodes[0].port

    @property
    def url(self) -> str:
        return self.cluster.nodes[0].url

    @property
    def pid(self) -> int:
        process = self.cluster.nodes[0].process
        assert process is not None
        return process.pid

    def token(self, user: str | None = None, *roles: str, seconds: int = 3600) -> str:
        """For a new user, unless one is named."""
        return token_for(TENANT, user or f"u{next(self._users)}", *roles, seconds=seconds)

    async def post(self, count: int = 1, *, size: int = 0) -> int:
        """Notify everyone `count` times; the last offset."""
        for start in range(0, count, BATCH):
            data = {"at": time.monotonic()} | ({"text": "x" * size} if size else {})
            one = {"type": "system", "to": f"tenant:{TENANT}", "channels": ["inApp"], "data": data}
            body = {"tenantId": TENANT, "notifications": [one] * min(BATCH, count - start)}
            async with self.http.post(f"{self.url}/notifications/batch", json=body) as answer:
                assert answer.status == 200, await answer.text()
                shape = await answer.json()
            for item in shape["results"]:
                self.posted = max(self.posted, int(item["cursor"].partition(":")[2]))
        return self.posted

    async def online(self) -> int:
        """How many connections the hub says there are."""
        async with self.http.get(f"{self.url}/admin/presence", headers={"X-Tenant-Id": TENANT}) as answer:
            shape = await answer.json()
            assert answer.status == 200, shape
            return int(shape["connections"])

    async def until_online(self, count: int, seconds: float) -> float:
        """Wait until exactly so many are there. Returns the seconds that took; AssertionError in the end."""
        return await self._until(self.online, lambda found: found == count, seconds, f"{count} online")

    async def until_files(self, most: int, seconds: float) -> float:
        """Wait until the process has at most so many open files."""

        async def look() -> int:
            return files(self.pid)

        return await self._until(look, lambda found: found <= most, seconds, f"{most} files")

    @staticmethod
    async def _until(look: Any, good: Callable[[int], bool], seconds: float, what: str) -> float:
        started, found = time.monotonic(), None
        while time.monotonic() - started < seconds:
            found = await look()
            if good(found):
                return time.monotonic() - started
            await asyncio.sleep(LOOK_SECONDS)
        raise AssertionError(f"not {what} after {seconds:g} s, but {found}")

    @property
    def rss(self) -> int:
        return rss(self.pid)

    @property
    def files(self) -> int:
        return files(self.pid)

    def require_clean_log(self) -> None:
        """I8: no traceback by a client's doing."""
        logs = self.cluster.logs()
        assert "Traceback" not in logs, logs[max(0, logs.index("Traceback") - 500) :][:3000]

    async def lateness(self) -> dict[float, int]:
        """How late the hub's event loop was so far: how often by at most so many seconds."""
        async with self.http.get(f"{self.url}/metrics") as answer:
            return {
                float(limit): int(float(count))
                for limit, count in re.findall(
                    r'loop_lag_seconds_bucket{le="(.+?)"} (\S+)', await answer.text()
                )
            }


@asynccontextmanager
async def under_fire(directory: Path, **env: str) -> AsyncIterator[Target]:
    """A hub with these settings; nobody is rate limited unless they say so."""
    env = {"RATE_LIMIT_MAX_REQUESTS": "100000", "HUB_PRESENCE_GRACE": "0", **env}
    headers = {"Authorization": f"Bearer {DEVELOPMENT_KEY}"}
    async with (
        HubCluster(directory, env=env) as cluster,
        aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        yield Target(cluster, http)
