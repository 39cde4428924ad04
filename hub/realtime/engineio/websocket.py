"""The WebSocket transport: carries a session, or probes to become its carrier."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hub.realtime.engineio.packets import Wire, decode
from hub.realtime.engineio.session import Reason, Session
from hub.realtime.errors import ProtocolError
from hub.realtime.websocket import GOING_AWAY, NORMAL, POLICY, WebSocket
from hub.realtime.wsframes import Op, frame

if TYPE_CHECKING:
    from hub.realtime.engineio.server import EngineServer


class SocketCarrier(WebSocket):
    """`session` is None once it is over, or when there was none to begin with."""

    __slots__ = ("probing", "server", "session")
    name = "websocket"

    def __init__(
        self, server: EngineServer, transport: asyncio.Transport, session: Session | None, *, probing: bool
    ) -> None:
        super().__init__(server.tick, transport, server.parsers, server.departures)
        self.server = server
        self.session = session
        self.probing = probing

    def begin(self, key: bytes) -> None:
        """Answer the handshake. A WebSocket for a session that cannot have it is closed at once."""
        self.accept(key)
        if self.session is None:
            self.end(POLICY)
        elif self.probing:
            self.set_timer(self.server.upgrade_timeout, self._abandon)

    # -- Carrier -------------------------------------------------------------------------------------
    def settle(self) -> None:
        self.tick.settle()

    def write(self, wire: Wire) -> bool:
        if self.open:
            self.push(frame(Op.TEXT, wire.encode()) if isinstance(wire, str) else frame(Op.BINARY, wire))
        return True

    def wake(self) -> None:
        """Nothing waits for the outbox: it has gone out already."""

    def finish(self, reason: Reason) -> bool:
        self.session = None
        self.end(GOING_AWAY if reason is Reason.GONE else NORMAL)
        return False

    # -- WebSocket -----------------------------------------------------------------------------------
    def on_message(self, payload: Wire) -> None:
        session = self.session
        if session is None:
            return
        if not self.probing:
            self.server.incoming(session, decode(payload))
        elif payload == "2probe":
            session.begin_upgrade()
            self.push(frame(Op.TEXT, b"3probe"))
        elif payload == "5":
            session.complete_upgrade(self)
            self.stop_timer()
            self.server.probes.discard(session.sid)
            self.probing = False
            self.tick.epoch += 1
            if session.carrier is not self:  # it ended at that moment
                self.session = None
                self.end(NORMAL)
        else:
            raise ProtocolError("unexpected packet while probing")

    def on_broken(self, error: ProtocolError) -> None:
        self.server.note(error)
        self._detach(Reason.ERROR)

    def on_gone(self) -> None:
        self._detach(Reason.GONE)

    def too_slow(self) -> None:
        super().too_slow()
        self._detach(Reason.ERROR)

    def _abandon(self) -> None:
        """The probe has come to nothing; the session goes on polling."""
        self.end(NORMAL)
        self._detach(Reason.GONE)

    def _detach(self, reason: Reason) -> None:
        session, self.session = self.session, None
        if session is None:
            return
        if not self.probing:
            session.close(reason)
            return
        self.server.probes.discard(session.sid)
        session.abandon_upgrade()
