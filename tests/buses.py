"""Hub processes reduced to their bus: several in one test, over one log in memory that plays SQL.

`Log` commits like the store does (contiguous offsets per tenant, visible at once) and can break. `Node` is
a bus that remembers what it was told. `Party` opens nodes and closes them at the end of the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from hub.cluster.bus import Bus
from hub.cluster.link import Pace
from hub.cluster.record import Record
from hub.domain.errors import StoreUnavailable
from hub.domain.events import Position

TENANT = "acme"
PATIENT = 20.0  # seconds a test waits for what must come

NEVER = 3600.0

# For a Valkey that works: a busy machine is no fault.
CALM = Pace(connect=PATIENT, silence=NEVER, subscribe=PATIENT, publish=PATIENT, linger=0.05)
# For one that does not: production's rules, in a hurry.
QUICK = Pace(connect=0.5, ping=0.1, silence=0.4, backoff=0.02, backoff_max=0.1, rest=0.1, linger=0.05)


async def eventually(condition: Callable[[], Any]) -> None:
    """Returns when the condition holds, for what announces itself by no event."""
    async with asyncio.timeout(PATIENT):
        while not condition():
            await asyncio.sleep(0.005)


class Log:
    """The events of every tenant. `broken`: every read fails. `hidden`: offsets that `fill` does not find."""

    def __init__(self) -> None:
        self.epoch = "e1"
        self.broken = False
        self.hidden: set[int] = set()
        self.trimmed = 0
        self.fills: list[tuple[str, int, int]] = []
        self.asked: list[set[str]] = []
        self._events: dict[str, list[Record]] = {TENANT: []}

    def append(self, tenant: str = TENANT, *, body: bytes | None = None) -> Record:
        """Commits one event."""
        events = self._events.setdefault(tenant, [])
        offset = len(events) + 1
        record = Record(tenant, "event", offset, self.epoch, {}, body or b'{"n":%d}' % offset)
        events.append(record)
        return record

    def append_many(self, count: int, tenant: str = TENANT) -> list[Record]:
        return [self.append(tenant) for _ in range(count)]

    def restart(self, epoch: str) -> None:
        """A new log under a new epoch, as after a restore."""
        self.epoch = epoch
        self._events = {tenant: [] for tenant in self._events}

    def offset(self, tenant: str = TENANT) -> int:
        return len(self._events[tenant])

    async def positions(self, tenants: Collection[str]) -> dict[str, Position]:
        self.asked.append(set(tenants))
        await self._work()
        return {
            tenant: Position(self.epoch, len(events), self.trimmed)
            for tenant, events in self._events.items()
            if tenant in tenants
        }

    async def fill(self, tenant: str, after: int, upto: int) -> list[Record]:
        self.fills.append((tenant, after, upto))
        await self._work()
        return [
            record
            for record in self._events[tenant][after:upto]
            if record.offset not in self.hidden and record.offset > self.trimmed
        ]

    async def _work(self) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise StoreUnavailable("the disk is away")


class Node:
    """One hub process. `told` is what its bus delivered, in that order."""

    def __init__(
        self, url: str | None, log: Log, *, prefix: str = "test", name: str = "n", **options: Any
    ) -> None:
        self.told: list[Record] = []
        self.on_told: Callable[[Record], None] | None = None
        self._news = asyncio.Event()
        settings: dict[str, Any] = {
            "key": None,
            "hole_seconds": 0.02,
            "poll_seconds": 0.1,
            "pace": CALM,
            "fill": log.fill,
            "positions": log.positions,
        }
        self.bus = Bus(url, prefix=prefix, node=name, deliver=self._deliver, **(settings | options))

    def _deliver(self, record: Record) -> None:
        self.told.append(record)
        self._news.set()
        if self.on_told:
            self.on_told(record)

    def offsets(self, tenant: str = TENANT) -> list[int]:
        """The offsets of the durable events it was told, in order of arrival."""
        return [record.offset for record in self.told if record.tenant == tenant and record.offset]

    async def hears(self, condition: Callable[[], Any]) -> None:
        """Returns when the condition holds; looks again whenever a record was delivered."""
        async with asyncio.timeout(PATIENT):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def hears_offset(self, offset: int, tenant: str = TENANT) -> None:
        await self.hears(lambda: offset in self.offsets(tenant))


class Party:
    """The nodes of one test, over one log and one prefix."""

    def __init__(self, log: Log, prefix: str) -> None:
        self.log = log
        self._prefix = prefix
        self._nodes: list[Node] = []

    async def node(self, url: str | None, *, follow: bool = True, **options: Any) -> Node:
        """An open node with a name of its own that follows `TENANT`."""
        node = Node(url, self.log, prefix=self._prefix, name=f"n{len(self._nodes)}", **options)
        self._nodes.append(node)
        await node.bus.open()
        if follow:
            await node.bus.follow(TENANT)
        return node

    async def close(self) -> None:
        for node in self._nodes:
            await node.bus.close()
