"""A deadline of the same length for many, with one timer: transports that have yet to say who they are.

All deadlines are equally long, so they fall due in the order they were set. Time in which the event loop
was too busy to look does not count, within bounds: what a client has sent in that time waits to be read, and
after a restart, when all come at once, nobody may be sent away for it. Does not know what for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import Generic, TypeVar

K = TypeVar("K")

LOOK = 0.25  # seconds between looks, at the most
LATE = 0.25  # seconds that a look may come late and still count in full


class Deadlines(Generic[K]):
    """Calls `overdue(key)` once for each key that was not discarded in `seconds`."""

    def __init__(self, seconds: float, overdue: Callable[[K], None]) -> None:
        self._seconds = seconds
        self._overdue = overdue
        self._due: dict[K, float] = {}  # oldest first, by our own clock
        self._clock = 0.0  # seconds that have counted
        self._looked = 0.0  # monotonic
        self._delay = 0.0  # from then until the next look
        self._timer: asyncio.TimerHandle | None = None
        self._context = Context()  # not that of the request which happens to set the timer

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: K) -> bool:
        return key in self._due

    def add(self, key: K) -> None:
        """Begin to count, unless that was done."""
        if key not in self._due:
            if self._timer is None:
                self._looked = time.monotonic()
                self._arm(self._seconds)
            self._due[key] = self._clock + self._counted() + self._seconds

    def discard(self, key: K) -> None:
        self._due.pop(key, None)

    def hurry(self) -> None:
        """The oldest is overdue at once."""
        oldest = next(iter(self._due), None)
        if oldest is not None:
            del self._due[oldest]
            self._overdue(oldest)

    def close(self) -> None:
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _counted(self) -> float:
        """What counts of the time since the last look."""
        return min(time.monotonic() - self._looked, self._delay + LATE)

    def _arm(self, delay: float) -> None:
        self._delay = min(max(delay, 0.001), LOOK)
        self._timer = asyncio.get_running_loop().call_later(self._delay, self._look, context=self._context)

    def _look(self) -> None:
        self._clock += self._counted()
        self._looked = time.monotonic()
        self._timer = None
        late = []
        for key, due in self._due.items():
            if due > self._clock:
                self._arm(due - self._clock)
                break
            late.append(key)
        for key in late:
            if self._due.pop(key, None) is not None:  # not if the one before took it along
                self._overdue(key)
