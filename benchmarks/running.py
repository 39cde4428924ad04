"""One run of the benchmark: how long and how often, where its files are, and what could not be measured."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from benchmarks import tokens
from benchmarks.built import Missing
from benchmarks.generator import Figures
from benchmarks.servers import HubServer, LimitServer, NchanServer, NodeServer, PlainServer, Server

T = TypeVar("T")
IDLE = 10_000  # connections of the memory and connecting measurements


@dataclass(frozen=True, slots=True)
class Extent:
    """`slice`: seconds of one measurement. Every round measures every server once, in another order;
    `long_rounds` those that take long."""

    rounds: int
    long_rounds: int
    slice: float
    idle: int
    crowds: tuple[int, ...]  # connections of the fan-out measurements


FULL = Extent(rounds=5, long_rounds=3, slice=0.8, idle=IDLE, crowds=(1000, 5000))
QUICK = Extent(rounds=2, long_rounds=1, slice=0.4, idle=3000, crowds=(1000, 5000))


@dataclass
class Run:
    extent: Extent
    directory: Path
    say: Callable[[str], None]
    missing: dict[str, str] = field(default_factory=dict)  # why a peer is not there
    faults: list[str] = field(default_factory=list)  # what was lost or refused

    def __post_init__(self) -> None:
        self.tokens = tokens.write(self.directory / "tokens", self.extent.idle)
        self._made = 0

    def place(self, name: str) -> Path:
        """A directory of its own for a server of this name; it is not made yet."""
        self._made += 1
        return self.directory / f"{self._made}-{name}"

    def make(self, name: str, *, sse: bool = False, settings: Mapping[str, str] | None = None) -> Server:
        """A server that is not started yet, by the name it has in the table."""
        place = self.place(name)
        if name == "hub":
            return HubServer(place, self.tokens, settings or {})
        if name == "Node":
            return NodeServer(place, self.tokens)
        if name == "plain":
            return PlainServer(place)
        return NchanServer(place) if name == "nchan" else LimitServer(place, sse=sse)

    @contextmanager
    def servers(self, names: Iterable[str], *, sse: bool = False) -> Iterator[Mapping[str, Server]]:
        """All of them at once; a peer that cannot be had is left out and noted."""
        with ExitStack() as stack:
            started: dict[str, Server] = {}
            for name in names:
                try:
                    started[name] = stack.enter_context(self.make(name, sse=sse))
                except Missing as why:
                    if name == "hub":
                        raise
                    self.missing[name] = str(why)
            yield started

    def require_whole(self, name: str, what: str, figures: Figures) -> None:
        """Notes it as a fault when something was lost, came out of order or was refused."""
        bad = {word: figures[word] for word in ("lost", "gaps", "refused", "dead") if figures.get(word)}
        if bad:
            self.faults.append(f"{name}, {what}: {bad}")


def shuffled(items: Iterable[T]) -> list[T]:
    order = list(items)
    random.shuffle(order)
    return order


def protocol_of(name: str, *, sse: bool) -> str:
    """How a server is spoken to: nchan has no Socket.IO, its WebSockets are plain."""
    if sse:
        return "sse"
    return "websocket" if name == "nchan" else "socketio"
