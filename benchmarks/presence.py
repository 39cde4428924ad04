"""What presence costs: `python benchmarks/presence.py [--sessions 10000]`.

Two hub processes in one, set as `hub serve` sets itself and without doors, over a real Valkey. Prints
the CPU that a join takes here (roster, encoding, writing, announcing) and there (mirroring), and how long an
answer about the tenant takes, with the CPU of it: the first time, while nothing changes, and after every
change. Goals: 100 us a join, 20 ms an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis

from hub.cluster.bus import Bus
from hub.cluster.elsewhere import Elsewhere
from hub.cluster.embedded import EmbeddedValkey
from hub.cluster.presence import Presence
from hub.cluster.record import Record
from hub.domain.access import Principal
from hub.domain.events import Position
from hub.domain.roster import Entry
from hub.interpreter import loop_factory, settle
from hub.realtime.fanout import Fanout
from hub.services.presence import PresenceRules, PresenceService

TENANT = "acme"
ROLES = (("CUSTOMER",), ("CUSTOMER", "GUEST"), ("PROFESSIONAL",))
CHANGES = 20


class Answered(NamedTuple):
    """`ms` as the clock goes, `cpu_ms` of this process."""

    ms: float
    cpu_ms: float


class Asker:
    """A connection that asks, and hears the news."""

    id = "asker"

    def send(self, frame: object) -> None:
        pass


class Process:
    """Presence as `hub.app` puts it together, without doors."""

    def __init__(self, url: str, name: str) -> None:
        self.redis = Redis.from_url(url)
        self.verbs = PresenceService(
            Fanout(),
            rules=PresenceRules(frozenset({"ADMIN"}), 5.0),
            wall=time.time,
            monotonic=time.monotonic,
        )
        self.bus = Bus(
            url,
            prefix="bench",
            node=name,
            key=None,
            deliver=self._deliver,
            fill=self._fill,
            positions=self._positions,
            hole_seconds=1.0,
            poll_seconds=60.0,
        )
        self.here = Presence(
            self.redis,
            prefix="bench",
            node=name,
            lease=10.0,
            announce=self.bus.publish,
            changed=self.verbs.changed,
        )
        self.elsewhere = Elsewhere(
            self.redis,
            prefix="bench",
            process=name,
            lease=10.0,
            follow=self.bus.follow,
            unfollow=self.bus.unfollow,
            changed=self.verbs.changed,
        )
        self.verbs.attach(self.here, self.elsewhere)

    def _deliver(self, record: Record) -> None:
        self.elsewhere.hear(record)

    async def _fill(self, tenant: str, after: int, upto: int) -> list[Record]:
        return []

    async def _positions(self, tenants: Any) -> dict[str, Position]:
        return {tenant: Position("e", 0) for tenant in tenants}

    async def open(self) -> None:
        await self.bus.open()
        await self.verbs.open()

    async def close(self) -> None:
        await self.verbs.close()
        await self.bus.close()
        await self.redis.aclose()

    def join(self, number: int) -> None:
        roles = ROLES[number % len(ROLES)]
        conn = f"{number:020}"
        self.here.put(TENANT, conn, Entry.of(f"user-{number}", f"session-{number}", "socketio", roles))

    async def online(self) -> int:
        return cast(int, (await self.verbs.overview(TENANT, None, limit=20, named=[]))["totalOnline"])

    async def ask(self, who: Any) -> Answered:
        """How long an answer takes."""
        started, used = time.perf_counter(), time.process_time()
        await self.verbs.ask(who, None)
        return Answered((time.perf_counter() - started) * 1000, (time.process_time() - used) * 1000)

    async def sees(self, count: int) -> None:
        while await self.online() != count:
            await asyncio.sleep(0.02)


def show(name: str, answers: Sequence[Answered]) -> None:
    took = [answer.ms for answer in answers]
    cpu = statistics.median([answer.cpu_ms for answer in answers])
    print(
        f"{name:<44} median {statistics.median(took):6.2f} ms   worst {max(took):6.2f} ms   CPU {cpu:6.2f} ms"
    )


async def run(url: str, sessions: int) -> None:
    here, there = Process(url, "here"), Process(url, "there")
    await here.open()
    await there.open()
    asker = SimpleNamespace(who=Principal(TENANT, "asker", ("ADMIN",)), conn=Asker(), alive=True)

    started = time.process_time()
    for number in range(sessions):
        here.join(number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    while here.here._dirty:
        await asyncio.sleep(0.01)
    print(f"{'CPU per join':<44} {(time.process_time() - started) / sessions * 1e6:6.1f} us")

    show("first answer, every session on this process", [await here.ask(asker)])
    show("first answer, every session elsewhere", [await there.ask(asker)])
    assert await here.online() == await there.online() == sessions
    for name, process in (("here", here), ("elsewhere", there)):
        show(f"answer, nothing changed, sessions {name}", [await process.ask(asker) for _ in range(100)])
    for name, process in (("here", here), ("elsewhere", there)):
        times = []
        for change in range(CHANGES):
            here.join(sessions + change if process is here else sessions + CHANGES + change)
            await process.sees(sessions + 1 + change + (0 if process is here else CHANGES))
            process.verbs._counts.clear()
            times.append(await process.ask(asker))
        show(f"answer, counted anew, sessions {name}", times)

    started = time.process_time()
    first = sessions + 2 * CHANGES
    for number in range(first, first + sessions):
        here.join(number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await there.sees(first + sessions)
    used = (time.process_time() - started) / sessions * 1e6
    print(f"{'CPU per join, mirrored and watched, both ends':<44} {used:6.1f} us")
    await here.close()
    await there.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000)
    sessions = parser.parse_args().sessions
    with tempfile.TemporaryDirectory(prefix="valkey-") as directory:
        server = EmbeddedValkey(directory)
        server.start()
        try:
            settle()
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(run(server.url, sessions))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
