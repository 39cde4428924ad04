"""Work that goes on after a handler has returned, kept from being forgotten and ended in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

AGAIN_SECONDS = 0.2


class Background:
    """The tasks of one door. A failure is reported by the loop, as for any task nobody awaits."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
