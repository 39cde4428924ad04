"""A connection: what frames are sent to, whatever carries it.

It belongs to rooms (`Fanout` keeps those), filters by event type, and can be held, so that live frames wait
while a replay is written first. It writes to a link: a namespace on an Engine.IO session, whose transport
may change under way, or a stream. What waits in it is bounded. It does not know users or what events mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import structlog

from hub.realtime.frames import Frame, Profile
from hub.realtime.outflow import Outflow, Tick

log = structlog.get_logger(__name__)

MAX_HELD = 1000  # frames that may wait behind a replay
MAX_ACKS = 1000  # acknowledgements a client may owe


class Link(Protocol):
    """What carries a connection."""

    @property
    def open(self) -> bool: ...

    @property
    def outflow(self) -> Outflow | None:
        """Where bytes of a frame may go now; None: only packets, by `send` (polling)."""

    def send(self, packet: str, /) -> None: ...

    @property
    def crowded(self) -> bool:
        """Whether a sender with a lot to say had better wait."""

    def when_free(self, call: Callable[[], None], /) -> None:
        """Call once when there is room again, or the link is over."""


Ending = Callable[["Connection", str, str, bool], None]  # connection, code, reason, reconnect

_profiles: dict[Profile, Profile] = {}


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Connection:
    """`id` is unique; `context` belongs to whoever made the connection."""

    __slots__ = (
        *(
            "_closed",
            "_end",
            "_held",
            "_hides",
            "_holds",
            "_profile",
            "_types",
            "acks",
            "context",
            "id",
            "leaving",
        ),
        *("link", "next_ack", "rooms", "tick"),
    )

    def __init__(
        self,
        id: str,
        link: Link,
        profile: Profile,
        tick: Tick,
        end: Ending,
        *,
        types: tuple[str, ...] | None = None,
        context: Any = None,
    ) -> None:
        self.id = id
        self.link = link
        self.tick = tick
        self.context = context
        self.rooms: tuple[str, ...] = ()  # kept by Fanout
        self.acks: dict[int, Callable[..., Any]] | None = None  # what the client has yet to acknowledge
        self.next_ack = 1
        self.leaving = False  # its disconnect handler has been called
        self._profile = _profiles.setdefault(profile, profile)
        self._types = types
        self._hides: Callable[[str], bool] | None = None
        self._held: list[Frame] | None = None
        self._holds: Callable[[Frame], bool] | None = None
        self._end = end
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed or not self.link.open

    @property
    def profile(self) -> Profile:
        return self._profile

    @profile.setter
    def profile(self, profile: Profile) -> None:
        self._changed()
        self._profile = _profiles.setdefault(profile, profile)

    @property
    def types(self) -> tuple[str, ...] | None:
        """Globs of the event types it wants; None: all."""
        return self._types

    @types.setter
    def types(self, types: tuple[str, ...] | None) -> None:
        self._changed()
        self._types = types

    @property
    def hides(self) -> Callable[[str], bool] | None:
        """Which types of what stands in an inbox are kept from it; None: none. It must be quick."""
        return self._hides

    @hides.setter
    def hides(self, hides: Callable[[str], bool] | None) -> None:
        self._changed()
        self._hides = hides

    def _changed(self) -> None:
        """What was published before the change must be written as it was before the change."""
        self.tick.settle()
        self.tick.epoch += 1

    # -- sending -------------------------------------------------------------------------------------
    @property
    def direct(self) -> Outflow | None:
        """Where a frame's bytes may be written without a look at the frame; None: use `send`."""
        if self._closed or self._held is not None or self._types is not None or self._hides is not None:
            return None
        outflow = self.link.outflow
        return outflow if outflow is not None and outflow.direct and not outflow.paused else None

    def send(self, frame: Frame) -> None:
        """Live: only if its type is wanted and not hidden, and not before `release` when held."""
        if self._types is not None and not frame.wanted(self._types):
            return
        if self._held is None and self._hides is None:
            self.send_now(frame)
            return
        if self._held is None or (self._holds is not None and not self._holds(frame)):
            if not self._kept_back(frame):
                self.send_now(frame)
            return
        self._held.append(frame)
        if len(self._held) > MAX_HELD:
            log.info("too much came before it could go live", action="connection.cut", kind="held")
            self.tick.cut["replay"] += 1
            self.close("slow_consumer", "it took too long to go live", reconnect=True)

    def send_now(self, frame: Frame) -> None:
        """Past the filter and the hold."""
        if self._closed:
            return
        outflow = self.link.outflow
        if outflow is not None:
            data = frame.bytes_for(self._profile)
            if data:
                self.tick.frames += 1
                self.tick.push(outflow, data)
            return
        self.tick.frames += 1
        for packet in frame.packets_for(self._profile):
            self.link.send(packet)

    def hold(self, *, only: Callable[[Frame], bool] | None = None) -> None:
        """From now on what is sent waits for `release`; with `only`, what it says so of, and of what has
        waited so far the rest is written."""
        self._changed()
        held, self._held, self._holds = self._held or (), [], only
        for frame in held:
            self.send(frame)

    def release(self) -> None:
        """Write what has waited and go live."""
        if self._held is None:
            return
        self._changed()
        held, self._held, self._holds = self._held, None, None
        for frame in held:
            if not self._kept_back(frame):  # what is hidden may have become known only now
                self.send_now(frame)

    def _kept_back(self, frame: Frame) -> bool:
        return self._hides is not None and frame.inbox and frame.type is not None and self._hides(frame.type)

    # -- pace ----------------------------------------------------------------------------------------
    @property
    def crowded(self) -> bool:
        """Whether a sender with a lot to say had better await `drained` first."""
        return self.link.crowded

    async def drained(self) -> bool:
        """Wait until the peer has taken most of what was sent. False: the connection is over."""
        if not self.closed:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.link.when_free(partial(_wake, waiter))
            await waiter
            await asyncio.sleep(0)  # others want to be served as well
        return not self.closed

    # -- the end -------------------------------------------------------------------------------------
    def close(self, code: str, reason: str, *, reconnect: bool) -> None:
        """End it after what was sent. `reconnect`: in a way that makes clients come back by themselves."""
        if self._closed:
            return
        self._changed()
        self._closed = True
        self._held = None
        self._end(self, code, reason, reconnect)

    def let_go(self) -> None:
        """It is over: nothing is sent any more. Whoever carries it calls this."""
        self._changed()
        self._closed = True
        self._held = None
