"""Work of many callers in one transaction.

While a transaction is under way, whoever comes waits; then all that wait share the next one. The busier it
is, the fewer transactions a caller costs; alone, a caller waits for nobody. Promises: what a caller gets
back is committed; a caller whose work the database refuses harms no other; a caller that went away may or
may not have had its work done. Does not know what the work is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection

from hub.domain.errors import StoreUnavailable
from hub.store.engine import Database

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """`work` does all of `items` in the transaction of the connection; the results, in the same order.

    It is called where `Database.work` calls it.
    """

    def __init__(
        self,
        db: Database,
        work: Callable[[Connection, Sequence[Item]], Sequence[Result]],
        *,
        most: int = 100,
    ) -> None:
        self._db = db
        self._work = work
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    async def do(self, item: Item) -> Result:
        """What `work` made of `item`, committed. Raises what it raised for it, and `StoreUnavailable`."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._runner is None:
            self._runner = asyncio.create_task(self._run(), name="store-together")
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                if waited_for := [(item, future) for item, future in taken if not future.done()]:
                    await self._do(waited_for)
        finally:
            self._runner = None
            for _, future in self._waiting:  # the loop is ending
                future.cancel()

    async def _do(self, taken: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            items = [item for item, _ in taken]
            results = await self._db.work(lambda connection: self._work(connection, items))
        except StoreUnavailable as away:
            _fail(taken, away)
        except Exception as fault:
            if len(taken) == 1:
                _fail(taken, fault)
                return
            for one in taken:  # to find the one that is to blame
                await self._do([one])
        else:
            for (_, future), result in zip(taken, results, strict=True):
                if not future.done():
                    future.set_result(result)


def _fail(taken: Sequence[tuple[Item, asyncio.Future[Result]]], fault: Exception) -> None:
    for _, future in taken:
        if not future.done():
            future.set_exception(fault)
