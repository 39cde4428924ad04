"""One event loop per worker process, with an open hub in it, to which other threads hand work.

Promises: the hub is opened once per process, in the process that uses it (a pool that forks gets one per
child). A thread that runs work waits until it is done; one that spawns it goes on at once. Does not know
what the work is, or how a hub is made.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from hub.services.daily import Daily
from hub.services.deliver import Deliver
from hub.services.timers import Timers

T = TypeVar("T")


class Worked(Protocol):
    """What tasks use of a hub."""

    @property
    def deliver(self) -> Deliver: ...
    @property
    def timers(self) -> Timers: ...
    @property
    def daily(self) -> Daily: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...


class Runtime:
    """`build` makes a hub that is not open yet, `new_loop` the loop that it lives in."""

    def __init__(
        self,
        build: Callable[[], Awaitable[Worked]],
        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    ) -> None:
        self._build = build
        self._new_loop = new_loop
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._hub: Worked | None = None
        self._spawned: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Open the hub in a loop of its own, if this process has none yet. Raises what opening raises."""
        with self._lock:
            if self._pid == os.getpid():
                return
            loop = self._new_loop()
            thread = threading.Thread(target=loop.run_forever, name="hub", daemon=True)
            thread.start()
            try:
                self._hub = asyncio.run_coroutine_threadsafe(self._open(), loop).result()
            except BaseException:
                _end(loop, thread)
                raise
            self._loop, self._thread, self._pid = loop, thread, os.getpid()

    def run(self, work: Callable[[Worked], Coroutine[Any, Any, T]]) -> T:
        """What `work` of the hub returns or raises. Blocks the calling thread, not the loop."""
        self.start()
        assert self._loop is not None
        assert self._hub is not None
        return asyncio.run_coroutine_threadsafe(work(self._hub), self._loop).result()

    def spawn(self, work: Callable[[Worked], Coroutine[Any, Any, None]]) -> None:
        """Begin `work` of the hub, which must not raise. Blocks nobody."""
        self.start()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._begin, work)

    def join(self) -> None:
        """Returns when everything that was spawned is done."""
        if self._pid == os.getpid():
            self.run(lambda _: self._join())

    def stop(self) -> None:
        """Close the hub and end the loop, if this process has them. No work is under way."""
        with self._lock:
            if self._pid != os.getpid() or self._loop is None or self._thread is None or self._hub is None:
                return
            self._pid = None
            try:
                asyncio.run_coroutine_threadsafe(self._hub.close(), self._loop).result()
            finally:
                _end(self._loop, self._thread)

    def _begin(self, work: Callable[[Worked], Coroutine[Any, Any, None]]) -> None:
        assert self._hub is not None
        task = asyncio.get_running_loop().create_task(work(self._hub))
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)

    async def _join(self) -> None:
        while self._spawned:
            await asyncio.wait(self._spawned)

    async def _open(self) -> Worked:
        hub = await self._build()
        await hub.open()
        return hub


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
