"""Work that comes all at once, done a little in each turn of the event loop.

After a restart everybody comes back in the same moment. What is let in in one turn is carried through in the
next ones, so whoever is let in here sets the pace of all that follows, and between two turns those who are
in already are heard. Promises: who comes while there is time and nobody waits is not kept waiting; parties
go in rotation, and in each of them whoever came first; at least one in each turn. Does not know what for.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K")


class Turns(Generic[K]):
    """`do` is called once for each that was added and not discarded; `seconds` of it in each turn."""

    def __init__(self, do: Callable[[K], None], *, seconds: float) -> None:
        self._do = do
        self._seconds = seconds
        self._waiting: dict[K, str] = {}  # with their parties
        self._parties: OrderedDict[str, OrderedDict[K, None]] = OrderedDict()  # the next one first
        self._ends = 0.0  # monotonic; of this turn
        self._next: asyncio.Handle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[K]:
        return iter([*self._waiting])

    def __contains__(self, key: K) -> bool:
        return key in self._waiting

    def add(self, key: K, party: str) -> None:
        """Its turn is now, when there is time for it, or later."""
        if self._next is None:
            self._begin()
        elif self._waiting or time.monotonic() >= self._ends:
            self._waiting[key] = party
            self._parties.setdefault(party, OrderedDict())[key] = None
            return
        self._do(key)

    def discard(self, key: K) -> None:
        if (party := self._waiting.pop(key, None)) is not None:
            del self._parties[party][key]
            if not self._parties[party]:
                del self._parties[party]

    def close(self) -> None:
        """Nobody who waits gets a turn any more."""
        self._waiting.clear()
        self._parties.clear()
        if self._next is not None:
            self._next.cancel()

    def _begin(self) -> None:
        self._ends = time.monotonic() + self._seconds
        self._next = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._next = None
        if not self._waiting:
            return
        self._begin()
        while self._waiting:
            self._do(self._first())
            if time.monotonic() >= self._ends:
                return

    def _first(self) -> K:
        party, keys = self._parties.popitem(last=False)
        key, _ = keys.popitem(last=False)
        if keys:
            self._parties[party] = keys
        del self._waiting[key]
        return key
