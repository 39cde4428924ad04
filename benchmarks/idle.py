"""Connections as such: the memory of an idle one, and how many a second come in with their tokens checked.

Each server is started anew. The first wave of connections tells the memory; then all of them leave, and the
second wave, on a warm server, tells the speed. Every connection has a token of its own and, where there are
rooms, is in four of them; it counts when it has been greeted, so when it is in its rooms.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.built import Missing
from benchmarks.generator import Generator
from benchmarks.rows import Goal, Row, alone, compared
from benchmarks.running import IDLE, Run, protocol_of, shuffled

SETTLE_SECONDS = 2.0
EMPTY_SECONDS = 30.0
SPARE_FILES = 100  # of connections to databases, opened meanwhile
WEBSOCKETS, STREAMS = "WebSocket", "SSE"
MEASURED = (
    ("hub", WEBSOCKETS),
    ("Node", WEBSOCKETS),
    ("nchan", WEBSOCKETS),
    ("hub", STREAMS),
    ("nchan", STREAMS),
)


class Waves(NamedTuple):
    """Each connection's memory, those a second that come in, and the server's CPU for one of them."""

    kilobytes: float
    per_second: float
    microseconds: float


def connections(run: Run) -> Iterable[Row]:
    waves: dict[tuple[str, str], list[Waves]] = {one: [] for one in MEASURED}
    for number in range(run.extent.long_rounds):
        run.say(f"{run.extent.idle} idle connections, round {number + 1} of {run.extent.long_rounds}")
        for name, kind in shuffled(MEASURED):
            try:
                waves[name, kind].append(_two_waves(run, name, sse=kind == STREAMS))
            except Missing as why:
                if name == "hub":
                    raise
                run.missing[name] = str(why)
    # The goal is for many: what a server allocates once is shared out among them.
    goal = Goal(5, most=True, own=True) if run.extent.idle >= IDLE else None
    for kind in (WEBSOCKETS, STREAMS):
        what = f"RSS of an idle {kind} connection, {run.extent.idle}"
        memory = {name: [one.kilobytes for one in waves[name, kind]] for name in _present(waves, kind)}
        yield alone(what, "KB", memory["hub"], goal)
        yield from compared(what, "KB", memory, {})
    beside = [name for name in _present(waves, WEBSOCKETS) if name != "nchan"]  # which checks no token
    speed = {name: [one.per_second for one in waves[name, WEBSOCKETS]] for name in beside}
    costs = {name: median(one.microseconds for one in waves[name, WEBSOCKETS]) for name in beside}
    yield from compared("connects, JWT and 4 rooms", "/s", speed, {"Node": Goal(1.3)}, costs=costs)
    streams = waves["hub", STREAMS]
    cost = f"{median(one.microseconds for one in streams):.1f}"
    yield alone("connects, SSE, JWT and 4 rooms", "/s", [one.per_second for one in streams], cost=cost)


def _present(waves: Mapping[tuple[str, str], Sequence[Waves]], kind: str) -> list[str]:
    return [name for (name, of), rounds in waves.items() if of == kind and rounds]


def _two_waves(run: Run, name: str, *, sse: bool) -> Waves:
    with run.make(name, sse=sse) as server:
        empty = _open_files(server.pid)
        with Generator(server, protocol_of(name, sse=sse), run.extent.idle) as generator:
            kilobytes = generator.ask("idle", SETTLE_SECONDS)["rss_kb_each"]
            generator.ask("close")
            _wait_for_files(server.pid, empty + SPARE_FILES)
            second = generator.ask("connect")
            run.require_whole(name, "second wave of connections", second)
            return Waves(kilobytes, second["per_second"], second["server_us_each"])


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _wait_for_files(pid: int, most: int) -> None:
    """Until the server has noticed that its connections have gone."""
    deadline = time.monotonic() + EMPTY_SECONDS
    while _open_files(pid) > most and time.monotonic() < deadline:
        time.sleep(0.1)
