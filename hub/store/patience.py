"""How an operation that takes too long is ended.

At the deadline its task is cancelled, which makes the drivers give up in their own way: psycopg asks the
server to cancel, SQLite's statement is interrupted. A driver that does not come to an end even then (a
frozen server answers no request to cancel, a thread whose disk hangs sees no interrupt) is cancelled once
more after a grace, and with that abandoned.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

GRACE = 0.4  # seconds


class Patience:
    """Cancels what the current task does inside the block, once `seconds` have passed.

    When the block was left by an exception, `ended` tells whether that was this object's doing rather than
    a cancellation from outside.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._cancels = 0

    def __enter__(self) -> Patience:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled_before = task.cancelling()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._seconds, self._cancel)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        for _ in range(self._cancels):
            self._task.uncancel()

    @property
    def ended(self) -> bool:
        return self._cancels > 0 and not self.cancelled

    @property
    def cancelled(self) -> bool:
        """Whether somebody else has cancelled the task since the block began."""
        return self._task.cancelling() > self._cancelled_before

    def _cancel(self) -> None:
        self._cancels += 1
        self._task.cancel()
        if self._cancels < 2:
            # Counted from the first, however late that was: an aiosqlite connection that is abandoned
            # before it began to close would never give its lock back.
            self._timer = self._loop.call_later(GRACE, self._cancel)
