"""Messages to one person each, over 1, 2 and 4 processes that share a Valkey; Node with Socket.IO's adapter.

The people are spread over the processes and all are of one tenant; what is published enters the first
process, so most of it goes through Valkey. All processes run on the servers' core: messages a second say
what a message costs in all of them together.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from statistics import median

from benchmarks.built import Missing
from benchmarks.fleets import Fleet
from benchmarks.generator import Figures, Generator
from benchmarks.rows import Goal, Row, alone, compared
from benchmarks.running import Run, shuffled

PEOPLE = 2000
WINDOW = 256  # messages under way
PROCESSES = (1, 2, 4)
ROOM = "user:u%c"


def messages(run: Run) -> Iterable[Row]:
    costs: dict[int, float] = {}
    for count in PROCESSES:
        found = _measured(run, count)
        what = f"messages to one of {PEOPLE}, {count} process{'es' if count > 1 else ''}"
        each = {name: median(one["server_us_each"] for one in figures) for name, figures in found.items()}
        costs[count] = each["hub"]
        speed = {name: [one["per_second"] for one in figures] for name, figures in found.items()}
        yield from compared(what, "/s", speed, {"Node": Goal(3)}, costs=each)
    most, fewest = max(PROCESSES), min(PROCESSES)
    growth = costs[most] / costs[fewest]
    limit = Goal(1.3, most=True, own=True)
    yield alone(f"CPU of such a message, {most} processes against {fewest}", "x", [growth], limit)


def _measured(run: Run, count: int) -> dict[str, list[Figures]]:
    found: dict[str, list[Figures]] = {}
    with ExitStack() as stack:
        generators = {}
        for name in ("hub", "Node"):
            try:
                fleet = stack.enter_context(Fleet(name, run.place(name), run.tokens, count))
            except Missing as why:
                if name == "hub":
                    raise
                run.missing[name] = str(why)
                continue
            options = fleet.options("socketio")
            options[options.index("--room") + 1] = ROOM
            generators[name] = stack.enter_context(
                Generator(fleet, "socketio", PEOPLE, "--targeted", options=options)
            )
            found[name] = []
        for number in range(run.extent.rounds):
            run.say(f"messages to one, {count} processes, round {number + 1} of {run.extent.rounds}")
            for name in shuffled(generators):
                figures = generators[name].flood(window=WINDOW, seconds=run.extent.slice)
                run.require_whole(name, f"messages to one, {count} processes", figures)
                found[name].append(figures)
    return found
