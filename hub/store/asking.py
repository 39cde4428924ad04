"""Questions of many callers in one read.

What is asked in one turn of the loop, and what is asked while a read is under way, goes to the database
together: the busier it is, the less a question costs; alone, a caller waits for nobody. Promises: everybody
gets the answer to their own question, as of a moment after they asked it; a question that the database
refuses harms no other; a slow read does not hold up who comes later for long. Does not know what is asked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from hub.domain.errors import StoreUnavailable

Question = TypeVar("Question")
Answer = TypeVar("Answer")

LATE = 0.02  # seconds that a question waits for the read under way before it gets one of its own
AT_ONCE = 2  # reads


class Asking(Generic[Question, Answer]):
    """`read` answers all of the questions, in the same order; it is given at most `most` at once."""

    def __init__(
        self, read: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]], *, most: int = 64
    ) -> None:
        self._read = read
        self._most = most
        self._waiting: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._readers: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, question: Question) -> Answer:
        """Raises what `read` raised for it, and `StoreUnavailable`."""
        return await self.begin(question)

    def begin(self, question: Question) -> asyncio.Future[Answer]:
        """The same for who does not wait."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((question, future))
        if not self._readers:
            self._begin()
        elif self._timer is None and len(self._readers) < AT_ONCE:
            self._timer = loop.call_later(LATE, self._late)
        return future

    def _begin(self) -> None:
        # It runs after this turn of the loop, so what is asked in the same turn comes along.
        reader = asyncio.create_task(self._run(), name="store-asking")
        self._readers.add(reader)
        reader.add_done_callback(self._ended)

    def _late(self) -> None:
        self._timer = None
        if self._waiting and len(self._readers) < AT_ONCE:
            self._begin()

    def _ended(self, reader: asyncio.Task[None]) -> None:
        self._readers.discard(reader)
        if reader.cancelled():  # the loop is ending
            while self._waiting:
                self._waiting.popleft()[1].cancel()
        elif self._waiting and not self._readers:
            self._begin()

    async def _run(self) -> None:
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            if taken := [(question, future) for question, future in taken if not future.done()]:
                await self._answer(taken)

    async def _answer(self, taken: Sequence[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._read([question for question, _ in taken])
        except asyncio.CancelledError:
            for _, future in taken:
                future.cancel()
            raise
        except Exception as fault:
            if len(taken) > 1 and not isinstance(fault, StoreUnavailable):
                for one in taken:  # to find the one that is to blame
                    await self._answer([one])
                return
            for _, future in taken:
                if not future.done():
                    future.set_exception(fault)
        else:
            for (_, future), answer in zip(taken, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
