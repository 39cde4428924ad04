"""Work that goes on by itself, kept from being forgotten and ended in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

import structlog

AGAIN_SECONDS = 0.2

log = structlog.get_logger(__name__)


class Background:
    """The tasks of one owner. A failure is reported by the loop, as for any task nobody awaits."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def every(self, seconds: float, work: Callable[[], Awaitable[None] | None]) -> None:
        """Do `work` every so many seconds; a failure is logged, and the next time comes all the same."""

        async def run() -> None:
            while True:
                await asyncio.sleep(seconds)
                try:
                    if (rest := work()) is not None:
                        await rest
                except Exception:
                    log.exception("a timer failed", action="timer.fail", work=work.__qualname__)

        self.spawn(run())

    async def close(self) -> None:
        """Cancel what still runs, and wait for it."""
        await end(self._tasks)


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: on Python 3.11 `asyncio.wait_for`, which drivers use, can swallow a cancellation
    that comes as its answer arrives.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
