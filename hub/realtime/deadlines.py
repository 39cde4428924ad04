"""A deadline of the same length for many, with one timer: transports that have yet to say who they are.

All deadlines are equally long, so they fall due in the order they were set. Does not know what for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context


class Deadlines:
    """Calls `overdue(key)` once for each key that was not discarded in `seconds`."""

    def __init__(self, seconds: float, overdue: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._overdue = overdue
        self._due: dict[str, float] = {}  # oldest first
        self._timer: asyncio.TimerHandle | None = None
        self._context = Context()  # not that of the request which happens to set the timer

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: str) -> bool:
        return key in self._due

    def add(self, key: str) -> None:
        """Begin to count, unless that was done."""
        if key not in self._due:
            self._due[key] = time.monotonic() + self._seconds
            if self._timer is None:
                self._arm(self._seconds)

    def discard(self, key: str) -> None:
        self._due.pop(key, None)

    def close(self) -> None:
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, delay: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay, self._look, context=self._context)

    def _look(self) -> None:
        now = time.monotonic()
        self._timer = None
        late = []
        for key, due in self._due.items():
            if due > now:
                self._arm(max(due - now, 0.001))
                break
            late.append(key)
        for key in late:
            del self._due[key]
            self._overdue(key)
