"""How late the event loop is: a timer that notes by how much it came too late.

One timer for the process. A loop that is late keeps every client waiting, so this is the first number to
look at. Knows nothing of what the loop does.
"""

from __future__ import annotations

import asyncio

from hub.domain.spread import Spread

EVERY = 0.25  # seconds
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopLag:
    def __init__(self) -> None:
        self.seconds = Spread(BOUNDS)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def open(self) -> None:
        """Begin, in the running loop."""
        self._wait(asyncio.get_running_loop())

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + EVERY
        self._timer = loop.call_at(self._due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seconds.add(max(0.0, loop.time() - self._due))
        self._wait(loop)
