"""What presence costs: `python -m benchmarks presence`, or once `python benchmarks/presence.py`.

Two hub processes in one, set as `hub serve` sets itself and without doors, over a real Valkey: the CPU
that a join takes here (roster, encoding, writing, announcing) and there (mirroring), and how long an answer
about the tenant takes, with the CPU of it: the first time, while nothing changes, and after every change.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis

from benchmarks.rows import Goal, Row, alone
from benchmarks.running import IDLE, Run
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
GOALS = {"us CPU": 100.0, "ms": 20.0}  # for 10 000


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


class Measured(NamedTuple):
    """`cpu_ms`: what each took of the processor, where that is not the figure itself."""

    what: str
    unit: str
    values: list[float]
    cpu_ms: float | None = None


def answers(what: str, found: Sequence[Answered]) -> Measured:
    cpu = statistics.median([answer.cpu_ms for answer in found])
    return Measured(what, "ms", [answer.ms for answer in found], cpu)


async def run(url: str, sessions: int) -> list[Measured]:
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
    found = [Measured("a join", "us CPU", [(time.process_time() - started) / sessions * 1e6])]

    found.append(answers("first answer, every session here", [await here.ask(asker)]))
    found.append(answers("first answer, every session elsewhere", [await there.ask(asker)]))
    assert await here.online() == await there.online() == sessions
    for name, process in (("here", here), ("elsewhere", there)):
        same = [await process.ask(asker) for _ in range(100)]
        found.append(answers(f"answer, nothing changed, sessions {name}", same))
    for name, process in (("here", here), ("elsewhere", there)):
        times = []
        for change in range(CHANGES):
            here.join(sessions + change if process is here else sessions + CHANGES + change)
            await process.sees(sessions + 1 + change + (0 if process is here else CHANGES))
            process.verbs._counts.clear()
            times.append(await process.ask(asker))
        found.append(answers(f"answer, counted anew, sessions {name}", times))

    started = time.process_time()
    first = sessions + 2 * CHANGES
    for number in range(first, first + sessions):
        here.join(number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await there.sees(first + sessions)
    used = (time.process_time() - started) / sessions * 1e6
    found.append(Measured("a join, mirrored and watched, both ends", "us CPU", [used]))
    await here.close()
    await there.close()
    return found


def counted(run: Run) -> Iterable[Row]:
    """In processes of its own: how a process is set holds for all of it."""
    sessions = run.extent.idle
    figures: dict[tuple[str, str], list[float]] = {}
    cpu: dict[tuple[str, str], list[float]] = {}
    for number in range(run.extent.long_rounds):
        run.say(f"presence of {sessions}, round {number + 1} of {run.extent.long_rounds}")
        command = [sys.executable, str(Path(__file__)), "--sessions", str(sessions), "--json"]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        for one in [Measured(*line) for line in json.loads(said.splitlines()[-1])]:
            figures.setdefault((one.what, one.unit), []).append(statistics.median(one.values))
            if one.cpu_ms is not None:
                cpu.setdefault((one.what, one.unit), []).append(one.cpu_ms * 1000)
    for key, values in figures.items():
        what, unit = key
        goal = Goal(GOALS[unit], most=True, own=True) if sessions >= IDLE else None
        cost = f"{statistics.median(cpu[key]):.0f}" if key in cpu else ""
        yield alone(f"presence of {sessions}: {what}", unit, values, goal, cost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=IDLE)
    parser.add_argument("--json", action="store_true", help="one line, for a program")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="valkey-") as directory:
        server = EmbeddedValkey(directory)
        server.start()
        try:
            settle()
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                found = runner.run(run(server.url, asked.sessions))
        finally:
            server.stop()
    if asked.json:
        print(json.dumps(found))
        return
    for one in found:
        cpu = "" if one.cpu_ms is None else f"   CPU {one.cpu_ms:6.2f} ms"
        median, worst = statistics.median(one.values), max(one.values)
        print(f"{one.what:<44} median {median:6.2f} {one.unit}   worst {worst:6.2f} {one.unit}{cpu}")


if __name__ == "__main__":
    main()
