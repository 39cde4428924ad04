"""Blocking SDKs in threads of their own, so many at most, each call within its time.

A call that is late is given up by its caller; its thread ends with the SDK's own timeout. What had not
begun by then will not begin. Knows no provider.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from hub.providers.receipt import Outcome, Temporary


class Threads:
    """`timeout` is in seconds, for one call in all, the wait for a thread included."""

    def __init__(self, name: str, *, most: int, timeout: float) -> None:
        self._name = name
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix=name)

    async def run(self, call: Callable[[], Outcome]) -> Outcome:
        begun = False

        def begin() -> Outcome:
            nonlocal begun
            begun = True
            return call()

        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.get_running_loop().run_in_executor(self._pool, begin)
        except TimeoutError:
            return Temporary(f"no answer from {self._name} within {self._timeout:g} s", unsure=begun)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
