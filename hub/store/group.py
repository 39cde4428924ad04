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
from typing import NamedTuple

import structlog

from hub.domain.errors import Draining, StoreUnavailable
from hub.domain.events import Event
from hub.store.appending import Append, Appended, Appender, Entry
from hub.store.engine import Database
from hub.store.faults import refusal_of

Outcome = Appended | Exception
OnCommit = Callable[[Sequence[tuple[Event, Append]]], None]
# An attempt gets at least this many seconds, however long its oldest caller has waited for the one before.
SHORTEST = 0.1

log = structlog.get_logger(__name__)


class Submission(NamedTuple):
    entries: Sequence[Entry]
    arrived: float  # on the loop's clock
    answer: asyncio.Future[list[Outcome]]


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
        if self._closing or self._writer is None:
            raise Draining
        loop = asyncio.get_running_loop()
        submission = Submission(entries, loop.time(), loop.create_future())
        self._waiting.append(submission)
        self._wake.set()
        return await submission.answer

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
        """One transaction for all that waits. It is taken only when the database has begun the transaction,
        so whoever comes during a wait for the lock still gets in, and a failed wait stored nothing."""
        now = asyncio.get_running_loop().time()
        deadline = max(self._waiting[0].arrived + self._db.timeout, now + SHORTEST)
        taken: list[Submission] = []
        entries: list[Entry] = []
        try:
            async with self._db.write(timeout=deadline - now) as conn:
                taken = self._take()
                entries = [entry for submission in taken for entry in submission.entries]
                await self._appender.store(conn, entries)
        except StoreUnavailable as refusal:
            # It is as true for those who wait: the next attempt could only make them wait longer.
            taken = [*taken, *self._waiting]
            self._waiting.clear()
            for submission in taken:
                _give(submission.entries, refusal)
        except Exception as error:
            if not taken:
                taken = self._take()
                _give([entry for submission in taken for entry in submission.entries], error)
            else:
                await self._apart(entries, error, deadline)
        self._announce(taken)
        for submission in taken:
            if not submission.answer.done():
                submission.answer.set_result([_settled(entry) for entry in submission.entries])

    def _announce(self, submissions: Sequence[Submission]) -> None:
        stored = [
            (entry.outcome.event, entry.item)
            for submission in submissions
            for entry in submission.entries
            if isinstance(entry.outcome, Appended) and entry.outcome.event is not None
        ]
        self._appender.committed(event.tenant for event, _ in stored)
        if stored and self._on_commit is not None:
            try:
                self._on_commit(stored)
            except Exception:  # what was committed stays committed, and its senders are told so
                log.exception("a listener of the log failed", action="on_commit_failed")

    def _take(self) -> list[Submission]:
        """Whole submissions, oldest first; those whose caller has gone are dropped."""
        taken, size = [], 0
        while self._waiting and size < self._max_group:
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
                async with self._db.write(timeout=max(deadline - now, SHORTEST)) as conn:
                    await self._appender.store(conn, half)
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
