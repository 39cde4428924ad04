"""Everything written during one turn of the event loop, joined into one write per connection.

`Tick` collects: frames for many (`publish`: a plan and a frame) and bytes for one (`push`). At the end of
the turn each connection gets one `transport.write`. Consecutive frames of the same plan are joined once
for all its receivers. Whatever is written to a connection goes through here, so nothing overtakes.
`Outflow` is the writing half of a connection: it bounds its buffer and cuts a reader that is too slow.
This file does not know rooms, protocols or what the bytes mean.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import structlog

from hub.realtime.frames import Frame, Profile

log = structlog.get_logger(__name__)

USER_TIMEOUT_MS = 20_000  # TCP gives up on a peer that acknowledges nothing for this long
# Buffered above this, a connection counts as crowded and is written to one by one until it has caught up.
HIGH_WATER = 128 << 10
LOW_WATER = 16 << 10
CROWDED = 64  # pieces waiting for the end of the turn


class Receiver(Protocol):
    """A connection that needs looking at for each frame (filtered, held, polling, slow)."""

    def send(self, frame: Frame) -> None: ...


class Plan:
    """Who gets a frame: connections that can be written to straight away, by profile, and the others."""

    __slots__ = ("epoch", "groups", "others")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.groups: dict[Profile, list[Outflow]] = {}
        self.others: list[Receiver] = []


class Gone:
    """Stands in for the transport of a connection that is over: swallows writes."""

    def write(self, data: bytes) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        pass

    abort = pause_reading = resume_reading = close


GONE = Gone()


class Tick:
    """One per event loop. `max_bytes` bounds what a connection may have unsent.

    Counted since the start: `frames` and `bytes` that were sent (a frame once for each receiver), and
    connections that were `cut` for being slow, by where it showed.
    """

    __slots__ = ("_dirty", "_runs", "_scheduled", "bytes", "cut", "epoch", "frames", "max_bytes")

    def __init__(self, *, max_bytes: int = 512 << 10) -> None:
        self.max_bytes = max_bytes
        self.epoch = 0  # grows whenever a plan made earlier may be wrong
        self.frames = self.bytes = 0
        self.cut = {"unsent": 0, "unpolled": 0, "replay": 0}
        self._runs: list[tuple[Plan, list[Frame]]] = []
        self._dirty: list[Outflow] = []
        self._scheduled = False

    def publish(self, plan: Plan, frame: Frame) -> None:
        """Send a frame to everyone in the plan at the end of this turn."""
        runs = self._runs
        if runs and runs[-1][0] is plan:
            runs[-1][1].append(frame)
        else:
            runs.append((plan, [frame]))
        if not self._scheduled:
            self._schedule()

    def push(self, link: Outflow, data: bytes) -> None:
        """Send bytes to one connection at the end of this turn, after what is already on its way."""
        if self._runs:
            self.settle()
        self.bytes += len(data)
        pending = link.pending
        if pending is not None:
            pending.append(data)
            return
        link.pending = [data]
        self._dirty.append(link)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        asyncio.get_running_loop().call_soon(self.flush)

    def settle(self) -> None:
        """Hand what was published so far to each receiver, so that something else may follow it."""
        runs, self._runs = self._runs, []
        dirty = self._dirty
        for plan, frames in runs:
            for profile, links in plan.groups.items():
                data = joined(frames, profile)
                if not data:
                    continue
                self._count(frames, links, data)
                for link in links:
                    pending = link.pending
                    if pending is None:
                        link.pending = [data]
                        dirty.append(link)
                    else:
                        pending.append(data)
            _send_each(plan.others, frames)

    def flush(self) -> None:
        """Write everything. Called by the loop; call it to write before something ends."""
        self._scheduled = False
        if len(self._runs) == 1 and not self._dirty:
            self._write_run()
        elif self._runs:
            self.settle()
        dirty, self._dirty = self._dirty, []
        for link in dirty:
            link.flush()

    def _write_run(self) -> None:
        """The common case, many receivers of the same frames and nothing else: no lists in between."""
        [(plan, frames)], self._runs = self._runs, []
        for profile, links in plan.groups.items():
            data = joined(frames, profile)
            if not data:
                continue
            self._count(frames, links, data)
            for link in links:
                try:
                    link.transport.write(data)
                except Exception:
                    link.failed()
        _send_each(plan.others, frames)

    def _count(self, frames: Sequence[Frame], links: Sequence[Outflow], data: bytes) -> None:
        self.frames += len(frames) * len(links)
        self.bytes += len(data) * len(links)


def joined(frames: Sequence[Frame], profile: Profile) -> bytes:
    if len(frames) == 1:
        return frames[0].bytes_for(profile)
    return b"".join([frame.bytes_for(profile) for frame in frames])


def _send_each(receivers: Iterable[Receiver], frames: Sequence[Frame]) -> None:
    for receiver in receivers:
        for frame in frames:
            receiver.send(frame)


class Outflow(asyncio.Protocol):
    """The writing half of a connection that is ours, taken over from HTTP."""

    __slots__ = ("_waiting", "paused", "pending", "tick", "transport")
    direct = True  # bytes of a frame may be written to the transport as they are

    def __init__(self, tick: Tick, transport: asyncio.Transport) -> None:
        self.tick = tick
        self.transport: Any = transport
        self.pending: list[bytes] | None = None  # of this turn
        self.paused = False  # more is buffered than the high-water mark
        self._waiting: list[Callable[[], None]] | None = None

    def adopt(self, head: bytes) -> None:
        """Answer the HTTP request; from here on the connection's bytes are ours."""
        transport = self.transport
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        transport.resume_reading()  # or the peer's end would not be noticed
        if self.direct:
            self.push(head)  # one write with what follows at once
        else:
            transport.write(head)

    # -- writing -------------------------------------------------------------------------------------
    def push(self, data: bytes) -> None:
        self.tick.push(self, data)

    def flush(self) -> None:
        """Write what this turn has brought. A reader that is too far behind is cut instead."""
        pending, self.pending = self.pending, None
        if pending is None:
            return
        if self.paused and self.transport.get_write_buffer_size() > self.tick.max_bytes:
            self.too_slow()
            return
        try:
            self.transport.write(self.shape(pending[0] if len(pending) == 1 else b"".join(pending)))
        except Exception:
            self.failed()

    def shape(self, data: bytes) -> bytes:
        """The bytes as they go over the wire (a stream may compress them)."""
        return data

    def too_slow(self) -> None:
        log.info("a slow reader was cut", action="connection.cut", kind=type(self).__name__)
        self.tick.cut["unsent"] += 1
        self.cut()

    def failed(self) -> None:
        """One broken transport must not keep the others from their frames."""
        log.exception("a transport refused to write", action="connection.fail", kind=type(self).__name__)
        self.cut()

    def cut(self) -> None:
        """End at once, throwing away what is buffered. `connection_lost` follows."""
        transport = self.transport
        self._let_go()
        transport.abort()

    def _let_go(self) -> None:
        self.transport = GONE
        self.pending = None
        self.tick.epoch += 1
        self._wake()

    # -- room to write -------------------------------------------------------------------------------
    @property
    def open(self) -> bool:
        return self.transport is not GONE

    @property
    def outflow(self) -> Outflow:
        return self

    @property
    def crowded(self) -> bool:
        """Whether a sender with a lot to say had better wait for `when_free`."""
        return self.paused or (self.pending is not None and len(self.pending) >= CROWDED)

    def when_free(self, call: Callable[[], None]) -> None:
        """Call once when the buffer is low again, or the connection is over."""
        if self.pending is not None:
            self.tick.flush()
        if not self.paused:
            call()
        elif self._waiting is None:
            self._waiting = [call]
        else:
            self._waiting.append(call)

    def _wake(self) -> None:
        self.paused = False
        waiting, self._waiting = self._waiting, None
        for call in waiting or ():
            call()

    # -- asyncio.Protocol ----------------------------------------------------------------------------
    def pause_writing(self) -> None:
        self.paused = True
        self.tick.epoch += 1

    def resume_writing(self) -> None:
        self.tick.epoch += 1
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()


def set_user_timeout(sock: Any) -> None:
    """Let the kernel notice a peer that has vanished (RFC 5482); a no-op where the platform cannot.

    What is set on a socket that listens holds for the connections it accepts.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is None or sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        sock.setsockopt(socket.IPPROTO_TCP, option, USER_TIMEOUT_MS)
    except OSError:
        pass  # already gone: the loop will say so
