"""An Engine.IO session: its states, its outbox, its upgrade, its end. Independent of its transport.

    OPENING ──> OPEN <──> UPGRADING
       │          │           │
       └──────────┴───────────┴──> CLOSING ──> CLOSED

CLOSING: a polling client was kicked and has yet to fetch the reason.

No I/O and no clock: output goes to a `Carrier` (whatever carries the session at the moment), and the end is
reported to an `Owner`.
"""

from __future__ import annotations

import enum
from asyncio import Task
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from hub.realtime.engineio.packets import Kind, Packet, Wire
from hub.realtime.errors import ProtocolError
from hub.realtime.outflow import Outflow
from hub.realtime.places import Place


class Reason(enum.StrEnum):
    """Why a session ended (the strings python-socketio hands to applications)."""

    SERVER = "server disconnect"
    CLIENT = "client disconnect"
    PING = "ping timeout"
    GONE = "transport close"
    ERROR = "transport error"


class State(enum.Enum):
    OPENING = enum.auto()  # the application has not accepted it yet
    OPEN = enum.auto()
    UPGRADING = enum.auto()  # polling, and a WebSocket has been probed
    CLOSING = enum.auto()  # over, but polls may still fetch what is left
    CLOSED = enum.auto()


class Carrier(Protocol):
    """What carries a session: a polling exchange or a WebSocket."""

    @property
    def name(self) -> str: ...

    @property
    def outflow(self) -> Outflow | None:
        """Where ready WebSocket frames may be written, if this is a WebSocket."""

    def settle(self) -> None:
        """Let everything that was published so far arrive in the session."""

    def write(self, wire: Wire, /) -> bool:
        """Send now; False asks the session to keep the packet in its outbox."""

    def wake(self) -> None:
        """The outbox has something, or the state has changed."""

    def finish(self, reason: Reason, /) -> bool:
        """End the carrier; True when somebody is there, or may come, to fetch what is left."""

    def pause(self, on: bool, /) -> None:
        """Stop (or go on) reading from the peer."""


class Owner(Protocol):
    max_outbox_bytes: int
    max_outbox_packets: int

    def session_closed(self, session: Session, reason: Reason, /) -> None: ...

    def session_overflowed(self) -> None: ...


class Session:
    """One Engine.IO session. Containers exist only while used: an idle session owns none."""

    __slots__ = (
        *("_waiting", "awaiting_pong", "beat", "carrier", "deadline", "inbox", "outbox", "outbox_bytes"),
        *("owner", "place", "sid", "state", "user", "worker"),
    )

    def __init__(self, sid: str, owner: Owner, place: Place) -> None:
        self.sid = sid
        self.owner = owner
        self.place = place
        self.state = State.OPENING
        self.carrier: Carrier | None = None
        self.outbox: list[Wire] | None = None
        self.outbox_bytes = 0
        self._waiting: list[Callable[[], None]] | None = None
        # Kept by Heartbeat and Serial:
        self.beat = 0
        self.awaiting_pong = False
        self.deadline = 0.0
        self.inbox: deque[Any] | None = None
        self.worker: Task[None] | None = None
        self.user: dict[str, Any] | None = None  # what the application keeps with it

    @property
    def open(self) -> bool:
        return self.state not in (State.CLOSING, State.CLOSED)

    @property
    def kicked(self) -> bool:
        """Whether the client has yet to be told that it was kicked."""
        return self.state is State.CLOSING

    @property
    def outflow(self) -> Outflow | None:
        return self.carrier.outflow if self.carrier is not None else None

    def pause(self, on: bool) -> None:
        if self.carrier is not None:
            self.carrier.pause(on)

    # -- output --------------------------------------------------------------------------------------
    def send(self, wire: Wire) -> None:
        """A client that does not fetch what it is sent is cut at the owner's bounds."""
        if not self.open or (self.carrier is not None and self.carrier.write(wire)):
            return
        self._keep(wire)
        owner = self.owner
        if self.outbox_bytes > owner.max_outbox_bytes or len(self.outbox or ()) > owner.max_outbox_packets:
            self.drain()
            owner.session_overflowed()
            self.close(Reason.ERROR)
        else:
            self._wake()

    def start(self, carrier: Carrier) -> None:
        """Use this carrier, beginning with what is waiting."""
        self.carrier = carrier
        for wire in self.drain():
            carrier.write(wire)
        self._tell_free()

    def _wake(self) -> None:
        if self.carrier is not None:
            self.carrier.wake()

    def _keep(self, wire: Wire) -> None:
        if self.outbox is None:
            self.outbox = []
        self.outbox.append(wire)
        self.outbox_bytes += len(wire.encode()) if isinstance(wire, str) and not wire.isascii() else len(wire)

    def drain(self) -> list[Wire]:
        """Take everything out of the outbox."""
        wires, self.outbox, self.outbox_bytes = self.outbox or [], None, 0
        return wires

    def fetch(self, limit: int) -> list[Wire]:
        """What a poll is answered with: at most `limit` packets.

        After a kick the CLOSE packet comes alone, in a poll of its own: clients obey it before they have
        looked at what came with it.
        """
        wires = self.drain()
        if not wires and self.kicked:
            self.state = State.CLOSED
            return [Kind.CLOSE]
        for wire in wires[limit:]:
            self._keep(wire)
        if not self.outbox:
            self._tell_free()
        return wires[:limit]

    @property
    def crowded(self) -> bool:
        if (outflow := self.outflow) is not None:
            return outflow.crowded
        owner = self.owner
        return (
            self.outbox_bytes * 2 > owner.max_outbox_bytes
            or len(self.outbox or ()) * 2 > owner.max_outbox_packets
        )

    def when_free(self, call: Callable[[], None]) -> None:
        """Call once when the peer has fetched what was sent, or the session is over."""
        if (outflow := self.outflow) is not None:
            outflow.when_free(call)
        elif not self.outbox:
            call()
        elif self._waiting is None:
            self._waiting = [call]
        else:
            self._waiting.append(call)

    # -- input ---------------------------------------------------------------------------------------
    def receive(self, packet: Packet) -> Wire | None:
        """Obey one packet; the return value is for the application. Raises `ProtocolError`.

        PONG is left to the heartbeat, which owns the clock.
        """
        if packet.kind is Kind.MESSAGE:
            return packet.data
        if packet.kind is Kind.CLOSE:
            self.close(Reason.CLIENT)
        elif packet.kind not in (Kind.PONG, Kind.NOOP):
            raise ProtocolError(f"unexpected packet {packet.kind.name}")
        return None

    # -- upgrade -------------------------------------------------------------------------------------
    def begin_upgrade(self) -> None:
        """A WebSocket was probed: from now on polls are answered soon, even with nothing."""
        if self.state is not State.OPEN:
            raise ProtocolError("cannot upgrade now")
        self.state = State.UPGRADING
        self._wake()

    def abandon_upgrade(self) -> None:
        if self.state is State.UPGRADING:
            self.state = State.OPEN
            if self.outbox:
                self._wake()

    def complete_upgrade(self, carrier: Carrier) -> None:
        """Packets not yet fetched by a poll go out on the new carrier, in order."""
        if self.state is not State.UPGRADING:
            raise ProtocolError("upgrade without probe")
        carrier.settle()
        if self.state is not State.UPGRADING:
            return  # what was settled was too much for it
        self._wake()  # a waiting poll ends with a NOOP
        self.state = State.OPEN
        self.start(carrier)

    # -- end -----------------------------------------------------------------------------------------
    def close(self, reason: Reason) -> None:
        """End it, after what was sent so far. Doing it twice does it once."""
        if self.carrier is not None and self.open:
            self.carrier.settle()
        if not self.open:
            return
        carrier, self.carrier = self.carrier, None
        self.state = State.CLOSED
        self.beat += 1  # takes it out of the heartbeat
        if carrier is None or not carrier.finish(reason):
            self.drain()
        elif reason is Reason.SERVER:
            self.state = State.CLOSING
            carrier.wake()
        else:
            # CLOSE is final for some clients: those that asked for the end, or should come back after a
            # restart, only get their poll back.
            self._keep(Kind.CLOSE if reason in (Reason.PING, Reason.ERROR) else Kind.NOOP)
            carrier.wake()
        self._tell_free()
        self.owner.session_closed(self, reason)

    def _tell_free(self) -> None:
        waiting, self._waiting = self._waiting, None
        for call in waiting or ():
            call()
