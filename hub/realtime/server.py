"""python-socketio on the hub's Engine.IO layer, with the Socket.IO v5 protocol held to the letter.

A client is admitted wholly or not at all: `authenticate` runs before it exists anywhere, its CONNECT is
answered, then its connect handler runs. Handlers of one client run one at a time and in order, its
disconnect handler last and exactly once. A client that is in no namespace is dropped after a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import socketio
import structlog
from socketio import packet as sio

from hub.realtime.connection import Connection
from hub.realtime.deadlines import Deadlines
from hub.realtime.engineio.server import EngineServer
from hub.realtime.engineio.session import Reason, Session
from hub.realtime.errors import ProtocolError
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Profile
from hub.realtime.manager import RoomManager
from hub.realtime.strict import StrictPacket

log = structlog.get_logger(__name__)
ConnectRefused = socketio.exceptions.ConnectionRefusedError


@dataclass(frozen=True, slots=True)
class Admission:
    """What `authenticate` may answer.

    `reply` is added to the CONNECT answer `{"sid"}` (`{"pid": ...}`); None: the connect handler answers, by
    `welcome`. `sid` asks for an id (a new one is made when it is taken); `context` becomes the connection's.
    """

    profile: Profile | None = None
    types: tuple[str, ...] | None = None
    context: Any = None
    reply: Mapping[str, Any] | None = field(default_factory=dict)
    sid: str | None = None


Authenticator = Callable[[str, Mapping[str, str], Any], Awaitable[Admission | None]]


class SocketServer(socketio.AsyncServer):  # type: ignore[misc]  # socketio has no types
    """`authenticate(namespace, environ, auth)` may raise `ConnectRefused(message, data)`.

    `connect_timeout`: seconds a transport may be in no namespace. `max_attachments`: of a binary event; with
    0 whoever sends one is closed. Other keywords go to `EngineServer`.
    """

    def __init__(
        self,
        fanout: Fanout,
        *,
        manager: RoomManager | None = None,
        authenticate: Authenticator | None = None,
        namespaces: Sequence[str] = ("/",),
        connect_timeout: float = 5.0,
        max_attachments: int = 0,
        **engine: Any,
    ) -> None:
        quiet = logging.getLogger("hub.realtime.socketio")
        quiet.setLevel(logging.ERROR)  # below that it has a line for whatever a client sends
        super().__init__(
            client_manager=manager or RoomManager(fanout),
            serializer=type("Packet", (StrictPacket,), {"max_attachments": max_attachments}),
            async_handlers=False,  # keeps a client's events in order
            namespaces=list(namespaces),
            logger=quiet,
            tick=fanout.tick,
            **engine,
        )
        self.fanout = fanout
        self._authenticate = authenticate
        # Of transports without a namespace.
        self._unconnected: Deadlines[str] = Deadlines(connect_timeout, self._give_up)
        self._ending: set[asyncio.Task[Any]] = set()
        self._end = self._end_connection  # one bound method for all connections

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    def connection(self, sid: str, namespace: str | None = None) -> Connection | None:
        """The connection of a client, from its connect handler until after its disconnect handler."""
        found: Connection | None = self.manager.find(sid, namespace or "/")
        return found

    async def shutdown(self) -> None:
        """End every session so that its client comes back; returns when their handlers have run."""
        self._unconnected.close()
        await super().shutdown()
        await self.manager.close()

    # -- transports without a namespace --------------------------------------------------------------
    def _watch(self, eio_sid: str) -> None:
        if eio_sid in self.environ and not self.manager.carried(eio_sid):
            self._unconnected.add(eio_sid)

    def _give_up(self, eio_sid: str) -> None:
        self._later(self.eio.disconnect(eio_sid))

    def _later(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    # -- Engine.IO's events --------------------------------------------------------------------------
    def _handle_eio_connect(self, eio_sid: str, environ: Mapping[str, str]) -> None:
        self.manager.initialize()  # does it once
        self.environ[eio_sid] = environ
        self._unconnected.add(eio_sid)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        if reason == self.reason.CLIENT_DISCONNECT:
            reason = self.reason.TRANSPORT_CLOSE  # the transport has ended, the client has left no namespace
        for conn in self.manager.carried(eio_sid):
            await self._leave(conn, reason)
        self.environ.pop(eio_sid, None)
        self._unconnected.discard(eio_sid)
        self._binary_packet.pop(eio_sid, None)

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        """Raises `ProtocolError`, whereupon the session is closed."""
        packet = self._binary_packet.get(eio_sid)
        if packet is not None:
            if not packet.add_attachment(data):
                return
            del self._binary_packet[eio_sid]
        else:
            packet = self.packet_class(encoded_packet=data or "?")
            if packet.attachment_count:
                if self.manager.sid_from_eio_sid(eio_sid, packet.namespace or "/") is None:
                    raise ProtocolError("binary packet before CONNECT")
                self._binary_packet[eio_sid] = packet
                return
        kind, namespace = packet.packet_type, packet.namespace
        if kind == sio.CONNECT:
            await self._handle_connect(eio_sid, namespace, packet.data)
        elif kind == sio.DISCONNECT:
            await self._handle_disconnect(eio_sid, namespace, self.reason.CLIENT_DISCONNECT)
        elif kind in (sio.EVENT, sio.BINARY_EVENT):
            await self._handle_event(eio_sid, namespace, packet.id, packet.data)
        else:
            await self._handle_ack(eio_sid, namespace, packet.id, packet.data)

    # -- into a namespace ----------------------------------------------------------------------------
    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        name = namespace or "/"
        if name not in self.handlers and name not in self.namespace_handlers and name not in self.namespaces:
            await self._refuse(eio_sid, name, {"message": "Invalid namespace"})
            return
        if self.manager.sid_from_eio_sid(eio_sid, name) is not None:
            raise ProtocolError("second CONNECT")
        admission = await self._ask(eio_sid, name, data)
        session = self.eio.sessions.get(eio_sid)
        if admission is None or session is None or not session.open:
            return
        conn = self._admit(session, name, admission)
        if admission.reply is not None:
            await self.welcome(conn, admission.reply)
        try:
            await self._trigger_event("connect", name, conn.id, self.environ[eio_sid], data)
        except ConnectRefused:
            await self._refuse_late(eio_sid, name)
        except Exception:
            log.exception("a connect handler failed", action="connection.open")
            await self._refuse_late(eio_sid, name)
        self._watch(eio_sid)  # it may have been refused after all

    async def welcome(self, conn: Connection, reply: Mapping[str, Any]) -> None:
        """Answer its CONNECT, with `reply` beside the id."""
        packet = self.packet_class(
            sio.CONNECT, data={"sid": conn.id, **reply}, namespace=conn.profile.namespace
        )
        await self._send_packet(_carrier(conn).sid, packet)

    def renew(self, conn: Connection) -> Connection:
        """A connection with an id of its own in place of one whose CONNECT was not answered."""
        self.manager.basic_disconnect(conn.id, conn.profile.namespace)
        admission = Admission(profile=conn.profile, types=conn.types, context=conn.context)
        return self._admit(_carrier(conn), conn.profile.namespace, admission)

    async def _refuse_late(self, eio_sid: str, namespace: str) -> None:
        for conn in self.manager.carried(eio_sid):
            if conn.profile.namespace == namespace:
                await self.disconnect(conn.id, namespace=namespace)

    async def _ask(self, eio_sid: str, namespace: str, auth: Any) -> Admission | None:
        """None: refused, and told so."""
        if self._authenticate is None:
            return Admission()
        try:
            return await self._authenticate(namespace, self.environ[eio_sid], auth) or Admission()
        except ConnectRefused as refused:
            await self._refuse(eio_sid, namespace, refused.error_args)
        except Exception:
            log.exception("authentication failed", action="connection.authenticate")
            await self._refuse(eio_sid, namespace, {"message": "Something went wrong here"})
        return None

    def _admit(self, session: Session, namespace: str, admission: Admission) -> Connection:
        self._unconnected.discard(session.sid)
        session.place.settle()
        sid = admission.sid
        conn = Connection(
            sid if sid is not None and sid not in self.manager.clients else self.eio.generate_id(),
            session,
            (admission.profile or Profile("socketio"))._replace(transport="socketio", namespace=namespace),
            self.fanout.tick,
            self._end,
            types=admission.types,
            context=admission.context,
        )
        self.manager.admit(conn, session.sid)
        return conn

    async def _refuse(self, eio_sid: str, namespace: str, error: Mapping[str, Any]) -> None:
        await self._send_packet(
            eio_sid, self.packet_class(sio.CONNECT_ERROR, data=dict(error), namespace=namespace)
        )

    # -- out of a namespace --------------------------------------------------------------------------
    async def _handle_disconnect(
        self, eio_sid: str, namespace: str | None, reason: str | None = None
    ) -> None:
        for conn in self.manager.carried(eio_sid):
            if conn.profile.namespace == (namespace or "/"):
                await self._leave(conn, reason or self.reason.CLIENT_DISCONNECT)
        self._watch(eio_sid)

    async def _leave(self, conn: Connection, reason: str) -> None:
        """Run the disconnect handler, once, and forget the client, whatever the handler does."""
        namespace = conn.profile.namespace
        if conn.leaving:
            return
        self.manager.pre_disconnect(conn.id, namespace)
        try:
            await self._trigger_event("disconnect", namespace, conn.id, reason)
        except Exception:
            log.exception("a disconnect handler failed", action="connection.close")
        finally:
            self.manager.basic_disconnect(conn.id, namespace)

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """Kick: the client is told not to come back, and the transport ends with its last namespace."""
        if (conn := self.connection(sid, namespace)) is not None:
            await self._kick(conn)

    async def _kick(self, conn: Connection) -> None:
        if conn.leaving:
            return
        eio_sid = _carrier(conn).sid
        await self._send_packet(eio_sid, self.packet_class(sio.DISCONNECT, namespace=conn.profile.namespace))
        await self._leave(conn, self.reason.SERVER_DISCONNECT)
        if not self.manager.carried(eio_sid):
            await self.eio.disconnect(eio_sid)

    def _end_connection(self, conn: Connection, code: str, reason: str, reconnect: bool) -> None:
        """`Connection.close`: a client whose transport just ends comes back, one that is kicked does not."""
        if reconnect:
            _carrier(conn).close(Reason.GONE)
        else:
            self._later(self._kick(conn))  # this one: its id may be another's by then


def _carrier(conn: Connection) -> Session:
    """What carries a Socket.IO connection."""
    assert isinstance(conn.link, Session)
    return conn.link
