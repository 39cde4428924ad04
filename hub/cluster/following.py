"""One tenant that this process follows: its order, and reading from SQL what the bus did not bring.

A hole that stays open for a moment is read from SQL, page by page, by one task at a time. When SQL cannot
be read or does not have the missing events, nothing happens until the next poll (`note`) asks again; a
hole that SQL keeps answering without is given up after a while, so that a removed row cannot silence a
tenant. This file does not know Redis, or who counts the followers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from hub.cluster.order import Order
from hub.cluster.record import Record
from hub.domain.errors import Draining
from hub.domain.events import Position

PAGE = 500
Fill = Callable[[str, int, int], Awaitable[Sequence[Record]]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Repairs:
    """What was read from SQL since the start: `filled` events, `given_up` ones that were nowhere."""

    filled: int = 0
    given_up: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Where missing events are read: `fill` (tenant, after, upto), by as many at once as `gate` lets."""

    fill: Fill
    gate: asyncio.Semaphore
    hole_seconds: float
    patience: float
    repairs: Repairs


class Following:
    """`dispatch` gets the records whose turn has come, in order, each once. It must not raise."""

    def __init__(self, tenant: str, source: Source, dispatch: Callable[[Sequence[Record]], None]) -> None:
        self.tenant = tenant
        self.followers = 0
        self.opening: asyncio.Task[None] | None = None
        self.linger: asyncio.TimerHandle | None = None
        self._order = Order()
        self._trimmed = 0
        self._reach = 0  # the newest offset as SQL told it
        self._source = source
        self._dispatch = dispatch
        self._timer: asyncio.TimerHandle | None = None
        self._filling: asyncio.Task[Exception | None] | None = None
        self._goal = 0  # how far the present reading goes; younger holes get their moment first
        self._resting = False  # SQL could not help: not before the next note
        self._closed = False
        self._stuck: tuple[int, float] | None = None  # the offset before the hole, and since when

    @property
    def position(self) -> Position | None:
        """What was dispatched here; None before the place in the log is known."""
        order = self._order
        return None if order.epoch is None else Position(order.epoch, order.last, self._trimmed)

    def arrived(self, record: Record) -> bool:
        """An ordered record from the bus or from this process. False: it speaks of an epoch unknown here."""
        order = self._order
        if order.epoch is not None and record.epoch != order.epoch:
            return False
        if ready := order.arrive(record):
            self._dispatch(ready)
        if order.behind:
            self._watch()
        return True

    def note(self, position: Position) -> None:
        """Where SQL says the log stands. The first time, and in a new epoch, it goes on from there."""
        if self._closed:
            return
        order = self._order
        self._trimmed, self._reach = position.trimmed, position.offset
        self._resting = False
        if order.epoch != position.epoch:
            if order.epoch is not None:
                log.warning("a log has a new epoch", action="bus.epoch_changed", tenant=self.tenant)
            self._goal, self._stuck = 0, None
            ready = order.start(position.epoch, position.offset)
        else:
            order.note(position.offset)
            # What retention has removed is in no hole: nobody may be told of it any more.
            ready = order.skip(min(position.trimmed, position.offset))
        if ready:
            self._dispatch(ready)
        if order.behind:
            self._watch()

    async def fill(self) -> Exception | None:
        """Reads what is missing now, or waits for who does. Returns the error of SQL, if there was one."""
        filling = self.start_fill()
        if filling is None:
            return Draining() if self._closed else None
        await asyncio.wait([filling])
        return Draining() if self._closed else filling.result()

    def start_fill(self) -> asyncio.Task[Exception | None] | None:
        """Begins to read what is missing. None: nothing is."""
        self._resting = False
        self._goal = self._order.known
        if self._filling is None and self._order.behind and not self._closed:
            self._filling = asyncio.create_task(self._fill(), name=f"bus-fill-{self.tenant}")
        return self._filling

    def close(self) -> None:
        """Stops its timers and its reading; from now on nothing is dispatched."""
        self._closed = True
        for handle in (self._timer, self.linger, self._filling):
            if handle is not None:
                handle.cancel()
        self._filling = None

    def _watch(self) -> None:
        """Gives a straggler some time before SQL is asked."""
        if self._timer is None and self._filling is None and not self._resting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._source.hole_seconds, self._due, self._order.last)

    def _due(self, last: int) -> None:
        self._timer = None
        if not self._order.behind:
            return
        if self._order.last != last:
            # The hole has moved: this one is younger than it may get.
            self._watch()
        else:
            self.start_fill()

    async def _fill(self) -> Exception | None:
        try:
            while not self._resting and (hole := self._order.missing()) and hole[0] < self._goal:
                await self._fill_page(*hole)
        except Exception as error:
            # The poll tries again.
            self._resting = True
            self._source.repairs.failures += 1
            log.warning(
                "cannot read missed events", action="bus.fill_failed", tenant=self.tenant, error=repr(error)
            )
            return error
        finally:
            self._filling = None
        if self._order.behind:
            self._watch()
        return None

    async def _fill_page(self, after: int, upto: int) -> None:
        source, order = self._source, self._order
        upto = min(upto, after + PAGE)
        epoch = order.epoch
        async with source.gate:
            records = await source.fill(self.tenant, after, upto)
        if order.epoch != epoch:
            return  # another log now: the page says nothing about its holes
        ready = order.filled(records)
        source.repairs.filled += len(ready)
        self._dispatch(ready)
        if order.last > after:
            self._stuck = None
            return
        now = time.monotonic()
        if self._stuck is None or self._stuck[0] != after:
            self._stuck = (after, now)
        if self._reach <= after or now - self._stuck[1] < source.patience:
            self._resting = True
        else:
            self._give_up()

    def _give_up(self) -> None:
        """Goes on behind the first hole, but not past what SQL says to exist: a record may lie."""
        order = self._order
        _, upto = order.missing() or (0, order.last)
        upto = min(upto, self._reach)
        log.error(
            "events are missing from the log, going on without",
            action="bus.gave_up",
            tenant=self.tenant,
            first=order.last + 1,
            last=upto,
        )
        self._source.repairs.given_up += upto - order.last
        self._dispatch(order.skip(upto))
