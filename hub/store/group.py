"""Group commit: many requests share one transaction.

Callers put their entries on a list and await a future; one task takes all that waits, stores it in one
transaction, tells `on_commit` and resolves the futures, both in the order of the offsets. Promises: a caller
is answered within the database's timeout, counted from the moment it began to wait; what a caller gets back
is committed; one entry that the database refuses harms no other; a caller that went away harms nobody, and
what it gave is told to `on_commit` all the same if it was stored. It does not know what is stored: that is
`hub.store.appending`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

import structlog

from hub.domain.errors import Draining, StoreUnavailable
from hub.domain.events import Event
from hub.domain.spread import Spread
from hub.store.appending import Append, Appended, Appender, Entry
from hub.store.collapse import Replaced
from hub.store.engine import Database
from hub.store.faults import refusal_of
from hub.store.trips import Trips

Outcome = Appended | Exception
OnCommit = Callable[[Sequence[tuple[Event, Append]], Sequence[Replaced]], None]
# An attempt gets at least this many seconds, however long its oldest caller has waited for the one before.
SHORTEST = 0.1
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

log = structlog.get_logger(__name__)


class Answer(Protocol):
    """Who waits for outcomes: a future, or what is as much of one as is needed here."""

    def done(self) -> bool: ...
    def set_result(self, outcomes: list[Outcome], /) -> None: ...
    def cancel(self) -> Any: ...


class Submission(NamedTuple):
    entries: Sequence[Entry]
    arrived: float  # on the loop's clock
    answer: Answer


class GroupCommit:
    """The list and its one writer. `max_group`: entries after which a transaction takes no more callers."""

    def __init__(
        self, db: Database, appender: Appender, *, max_group: int, on_commit: OnCommit | None
    ) -> None:
        self._db = db
        self._appender = appender
        self._max_group = max_group
        self._on_commit = on_commit
        self._waiting: deque[Submission] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None
        self.sizes = Spread(SIZES)  # events that were committed together

    async def open(self) -> None:
        self._writer = asyncio.create_task(self._run(), name="store-group-commit")

    async def close(self) -> None:
        """Store what waits, take nothing new, and stop."""
        self._closing = True
        self._wake.set()
        if self._writer:
            with suppress(asyncio.CancelledError):
                await self._writer

    async def submit(self, entries: Sequence[Entry]) -> list[Outcome]:
        """The outcome of each entry, in order; entries submitted together get neighbouring offsets."""
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self.enter(entries, future)
        return await future

    def enter(self, entries: Sequence[Entry], answer: Answer) -> None:
        """The same for who does not wait: `answer` is told, soon after the commit."""
        if self._closing or self._writer is None:
            raise Draining
        self._waiting.append(Submission(entries, asyncio.get_running_loop().time(), answer))
        self._wake.set()

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._commit()
                if self._closing:
                    return
        finally:
            self._closing = True
            for submission in self._waiting:
                submission.answer.cancel()

    async def _commit(self) -> None:
        """One transaction for all that waits. Whoever comes while another process holds the lock gets in at
        the next try, and a failed wait stored nothing."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        deadline = max(self._waiting[0].arrived + self._db.timeout, now + SHORTEST)
        taken: list[Submission] = []
        entries: list[Entry] = []

        def begin() -> Trips:
            nonlocal taken, entries
            taken += self._take(self._max_group - len(entries))
            entries = [entry for submission in taken for entry in submission.entries]
            return self._appender.store(entries)

        try:
            await self._db.transact(begin, timeout=deadline - now)
        except StoreUnavailable as refusal:
            # It is as true for those who wait: the next attempt could only make them wait longer.
            taken = [*taken, *self._waiting]
            self._waiting.clear()
            for submission in taken:
                _give(submission.entries, refusal)
        except Exception as error:
            if not taken:
                taken = self._take(self._max_group)
                _give([entry for submission in taken for entry in submission.entries], error)
            else:
                await self._apart(entries, error, deadline)
        # Soon, not now: the next transaction is on its way to the database before this one is told.
        loop.call_soon(self._settle, taken)

    def _settle(self, taken: Sequence[Submission]) -> None:
        self._announce(taken)
        for submission in taken:
            if submission.answer.done():
                continue
            try:
                submission.answer.set_result([_settled(entry) for entry in submission.entries])
            except Exception:  # the others are told all the same
                log.exception("somebody could not be told what was stored", action="answer_failed")

    def _announce(self, submissions: Sequence[Submission]) -> None:
        stored = [
            (entry.outcome.event, entry.item)
            for submission in submissions
            for entry in submission.entries
            if isinstance(entry.outcome, Appended) and entry.outcome.event is not None
        ]
        replaced = [
            older
            for submission in submissions
            for entry in submission.entries
            if entry.item.collapse_key is not None and isinstance(entry.outcome, Appended)
            for older in entry.outcome.replaced
        ]
        self._appender.committed(event.tenant for event, _ in stored)
        if stored:
            self.sizes.add(len(stored))
        if stored and self._on_commit is not None:
            try:
                self._on_commit(stored, replaced)
            except Exception:  # what was committed stays committed, and its senders are told so
                log.exception("a listener of the log failed", action="on_commit_failed")

    def _take(self, most: int) -> list[Submission]:
        """Whole submissions, oldest first, until there are `most` entries; gone callers' are dropped."""
        taken: list[Submission] = []
        size = 0
        while self._waiting and size < most:
            submission = self._waiting.popleft()
            if not submission.answer.done():
                taken.append(submission)
                size += len(submission.entries)
        return taken

    async def _apart(self, entries: Sequence[Entry], error: Exception, deadline: float) -> None:
        """The group was refused: store each half on its own, down to the one entry that is to blame."""
        if len(entries) == 1:
            _give(entries, refusal_of(error))
            return
        middle = len(entries) // 2
        for half in (entries[:middle], entries[middle:]):
            now = asyncio.get_running_loop().time()
            try:
                begin = partial(self._appender.store, half)
                await self._db.transact(begin, timeout=max(deadline - now, SHORTEST))
            except StoreUnavailable as refusal:
                _give(half, refusal)
            except Exception as fault:
                await self._apart(half, fault, deadline)


def _give(entries: Sequence[Entry], outcome: Exception) -> None:
    for entry in entries:
        entry.outcome = outcome


def _settled(entry: Entry) -> Outcome:
    assert entry.outcome is not None
    return entry.outcome
