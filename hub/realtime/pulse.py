"""Heartbeats: when to ping whom, and who has not answered. One timer for all connections.

`Heartbeat` is the rule, without I/O and without a clock: interval and timeout are the same for everyone,
so both queues of deadlines stay sorted by construction. `Pulse` runs it on the event loop's monotonic clock.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Generic, Protocol, TypeVar


class Beating(Protocol):
    """What has a heartbeat. The three are kept by `Heartbeat`, 0, False and 0.0 at first."""

    beat: int  # serial number of its heartbeat's step; growing it takes it out of the queues
    awaiting_pong: bool
    deadline: float  # of the pong, in the seconds of the clock `now` comes from


B = TypeVar("B", bound=Beating)


class Heartbeat(Generic[B]):
    """All ping and pong deadlines, as two queues. Times are in seconds."""

    LATE = 0.05  # beyond this the timeout counts from the real sending time, or a stall would kill everyone

    def __init__(self, interval: float, timeout: float) -> None:
        self.interval = interval
        self.timeout = timeout
        self._pings: deque[tuple[float, B, int]] = deque()
        self._pongs: deque[tuple[float, B, int]] = deque()

    def start(self, who: B, now: float) -> None:
        who.beat += 1
        who.awaiting_pong = False
        self._pings.append((now + self.interval, who, who.beat))

    @staticmethod
    def stop(who: B) -> None:
        who.beat += 1

    def pong(self, who: B, now: float) -> None:
        """A pong that answers no ping is ignored, or it would postpone the next one for ever."""
        if who.awaiting_pong:
            self.start(who, now)

    @staticmethod
    def expired(who: B, now: float) -> bool:
        return who.awaiting_pong and now >= who.deadline

    def next_deadline(self) -> float | None:
        heads = []
        for queue in (self._pings, self._pongs):
            while queue and queue[0][1].beat != queue[0][2]:
                queue.popleft()  # overtaken by a pong or an end
            if queue:
                heads.append(queue[0][0])
        return min(heads, default=None)

    def due(self, now: float) -> tuple[list[B], list[B]]:
        """Those to ping now, and those whose pong is overdue."""
        to_ping, dead = [], []
        while self._pings and self._pings[0][0] <= now:
            when, who, beat = self._pings.popleft()
            if who.beat == beat:
                who.beat += 1
                who.awaiting_pong = True
                who.deadline = (when if now - when < self.LATE else now) + self.timeout
                self._pongs.append((who.deadline, who, who.beat))
                to_ping.append(who)
        while self._pongs and self._pongs[0][0] <= now:
            _, who, beat = self._pongs.popleft()
            if who.beat == beat:
                dead.append(who)
        return to_ping, dead


class Pulse(Generic[B]):
    """Calls `ping(who)` and `dead(who)` in time."""

    def __init__(
        self, interval: float, timeout: float, *, ping: Callable[[B], None], dead: Callable[[B], None]
    ) -> None:
        self.heartbeat: Heartbeat[B] = Heartbeat(interval, timeout)
        self._ping = ping
        self._dead = dead
        self._context = Context()  # not that of the request which happens to set the timer
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self, who: B) -> None:
        self.heartbeat.start(who, time.monotonic())
        self._arm()

    def pong(self, who: B) -> None:
        self.heartbeat.pong(who, time.monotonic())
        self._arm()

    def expired(self, who: B) -> bool:
        return self.heartbeat.expired(who, time.monotonic())

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        due = self.heartbeat.next_deadline()
        if self._timer is not None:
            if due is not None and due >= self._due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._due = due
            delay = max(due - time.monotonic(), 0.001)
            self._timer = asyncio.get_running_loop().call_later(delay, self._beat, context=self._context)

    def _beat(self) -> None:
        self._timer = None
        to_ping, dead = self.heartbeat.due(time.monotonic())
        for who in to_ping:
            self._ping(who)
        for who in dead:
            self._dead(who)
        self._arm()
