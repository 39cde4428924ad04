"""Fan-out: one event to everybody in a room, over Socket.IO (plain WebSocket for nchan) and over SSE.

All servers are up with all their connections; slices of one measurement after the other, in another order
each round. "In flight": so many publishes are under way; the next one goes when the oldest has reached
somebody. One in flight keeps a server busy but never lets it join, four do. Of bursts four are under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks.generator import Figures, Generator
from benchmarks.rows import Goal, Row, compared
from benchmarks.running import Run, protocol_of, shuffled

LOAD = 10_000  # deliveries a second of the paced measurement
LATENCY_SLICES = 4  # a 99th percentile worth the name takes longer than a slice


@dataclass(frozen=True, slots=True)
class Scenario:
    """`window` publishes, or bursts of them, under way; goals by peer. Window 0: at a steady LOAD."""

    name: str
    window: int
    burst: int
    goals: Mapping[str, Goal]
    many: Mapping[str, Goal] | None = None  # the goals with more than 1000 connections, when they differ

    def measure(self, generator: Generator, seconds: float, connections: int) -> Figures:
        if self.window:
            return generator.flood(window=self.window, burst=self.burst, seconds=seconds)
        return generator.pace(rate=LOAD / connections, seconds=LATENCY_SLICES * seconds)


ONE = {"Node": Goal(1.6), "nchan": Goal(1.0), "C": Goal(0.85)}
FOUR = {"Node": Goal(5), "nchan": Goal(3), "C": Goal(0.85)}
SOCKETS = (
    Scenario("one in flight", 1, 1, ONE, many=ONE | {"C": Goal(0.75)}),
    Scenario("four in flight", 4, 1, FOUR),
    Scenario("bursts of 10", 4, 10, {"Node": Goal(15), "nchan": Goal(8)}),
)
PACED = Scenario("paced", 0, 1, {"Node": Goal(0.7, most=True), "nchan": Goal(0.9, most=True)})
STREAMS = (
    Scenario("one in flight", 1, 1, {"nchan": Goal(1.0)}),
    Scenario("four in flight", 4, 1, {"nchan": Goal(3)}),
)


def sockets(run: Run) -> Iterable[Row]:
    """Socket.IO; with the fewest connections also the latencies."""
    for place, connections in enumerate(run.extent.crowds):
        names = ("hub", "Node", "nchan", "C")
        scenarios = SOCKETS if place else (*SOCKETS, PACED)
        yield from _crowd(run, "fan-out", names, scenarios, connections, sse=False)


def streams(run: Run) -> Iterable[Row]:
    """Server-Sent Events."""
    for connections in run.extent.crowds:
        yield from _crowd(run, "SSE fan-out", ("hub", "nchan", "C"), STREAMS, connections, sse=True)


def _crowd(
    run: Run, kind: str, names: Iterable[str], scenarios: Iterable[Scenario], connections: int, *, sse: bool
) -> Iterable[Row]:
    with run.servers(names, sse=sse) as servers, ExitStack() as stack:
        generators = {
            name: stack.enter_context(Generator(server, protocol_of(name, sse=sse), connections))
            for name, server in servers.items()
        }
        found: dict[str, dict[str, list[Figures]]] = {
            scenario.name: {name: [] for name in generators} for scenario in scenarios
        }
        for number in range(run.extent.rounds):
            run.say(f"{kind}, {connections} connections, round {number + 1} of {run.extent.rounds}")
            for scenario in scenarios:
                for name in shuffled(generators):
                    figures = scenario.measure(generators[name], run.extent.slice, connections)
                    run.require_whole(name, f"{kind}, {scenario.name}", figures)
                    found[scenario.name][name].append(figures)
    for scenario in scenarios:
        yield from _rows(
            f"{kind}, {connections}, {scenario.name}", scenario, found[scenario.name], connections
        )


def _rows(
    what: str, scenario: Scenario, by_server: Mapping[str, list[Figures]], connections: int
) -> Iterable[Row]:
    goals = scenario.goals if connections <= 1000 or scenario.many is None else scenario.many

    def each(name: str) -> dict[str, list[float]]:
        return {server: [figures[name] for figures in rounds] for server, rounds in by_server.items()}

    if scenario.window:
        costs = {server: median(values) for server, values in each("server_us_each").items()}
        yield from compared(what, "/s", each("per_second"), goals, costs=costs)
    else:
        for share in ("p50", "p99"):
            # Without the limit server: there is no goal beside it.
            figures = {
                name: values for name, values in each(f"{share}_ms").items() if name in ("hub", *goals)
            }
            yield from compared(f"{share} at {LOAD} deliveries/s", "ms", figures, goals)
