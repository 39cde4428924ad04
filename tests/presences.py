"""Hub processes reduced to presence: a bus, what is here, what is elsewhere; several in one test.

`Process` keeps its connections in a plain dict beside the real thing, so that what others see can be
compared. `Crowd` opens them and ends them with the test.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Redis

from hub.cluster.elsewhere import Elsewhere
from hub.cluster.presence import Presence
from hub.cluster.record import Record
from hub.domain.access import Room
from hub.domain.roster import Entry
from tests.buses import PATIENT, TENANT, Node, Party

LEASE = 1.5


class Process:
    """`deaf`: no record reaches it. `news` is every change it was told of."""

    def __init__(self, node: Node, url: str | None, *, prefix: str, name: str, lease: float) -> None:
        self.node = node
        self.redis = Redis.from_url(url) if url else None
        self.deaf = False
        self.holds: dict[str, str] = {}
        self.news: list[tuple[str, str, bool]] = []
        self.here = Presence(
            self.redis,
            prefix=prefix,
            node=name,
            lease=lease,
            announce=node.bus.publish,
            changed=self._changed,
        )
        self.elsewhere = Elsewhere(
            self.redis,
            prefix=prefix,
            process=name,
            lease=lease,
            follow=node.bus.follow,
            unfollow=node.bus.unfollow,
            changed=self._changed,
        )
        node.on_told = self._told

    def _told(self, record: Record) -> None:
        if record.kind == "presence" and not self.deaf:
            self.elsewhere.hear(record)

    def _changed(self, tenant: str, entries: Iterable[Entry], came: bool) -> None:
        self.news += [(tenant, entry.user, came) for entry in entries]

    async def open(self) -> None:
        await self.here.open()
        await self.elsewhere.open()

    async def close(self) -> None:
        await self.here.leave()
        await self.elsewhere.close()
        if self.redis is not None:
            await self.redis.aclose()

    async def die(self) -> None:
        """As kill -9: nothing is said any more."""
        task = self.here._task
        assert task is not None
        self.here._left = True
        task.cancel()
        await asyncio.wait([task])
        await self.elsewhere.close()

    def put(self, conn: str, user: str, tenant: str = TENANT, **fields: Any) -> None:
        self.holds[conn] = user
        self.here.put(tenant, conn, Entry.of(user, f"s-{conn}", "socketio", **fields))

    def remove(self, conn: str, tenant: str = TENANT) -> None:
        self.holds.pop(conn, None)
        self.here.remove(tenant, conn)

    async def sees(self, tenant: str = TENANT) -> list[str] | None:
        """The users of all connections elsewhere; None: not known."""
        roster = await self.elsewhere.roster(tenant)
        if roster is None:
            return None
        return sorted(entry.user for entry in roster.members(Room.parse(tenant, f"tenant:{tenant}")))

    async def comes_to_see(self, *users: str, tenant: str = TENANT, within: float = PATIENT) -> float:
        """Waits until it sees exactly these. Returns the seconds that took."""
        started, seen = time.monotonic(), None
        try:
            async with asyncio.timeout(within):
                while (seen := await self.sees(tenant)) != sorted(users):
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"sees {seen}, not {sorted(users)}") from None
        return time.monotonic() - started


class Crowd:
    def __init__(self, party: Party, url: str | None, prefix: str) -> None:
        self._party = party
        self._url = url
        self._prefix = prefix
        self._processes: list[Process] = []

    async def process(self, *, lease: float = LEASE, **options: Any) -> Process:
        name = f"p{len(self._processes)}"
        node = await self._party.node(self._url, follow=False, **options)
        process = Process(node, self._url, prefix=self._prefix, name=name, lease=lease)
        self._processes.append(process)
        await process.open()
        return process

    async def close(self) -> None:
        for process in self._processes:
            await process.close()
