"""python-socketio's manager of clients, on Fanout's rooms.

What this process emits stays in it: the hub has its own bus, so nothing here waits for Redis. What other
programs publish with a stock, write-only `socketio.RedisManager` is delivered to the local connections of
the namespace they name. Their room `role:ADMIN` is that of the tenant `default`, `acme/role:ADMIN` that of
acme, `tenant:acme` acme's tenant room, and no room the tenant room of `default`. Rooms come from claims
that the server has checked: other programs cannot move clients between them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Any

import orjson
import socketio
import structlog
from socketio import packet as sio

from hub.realtime.connection import MAX_ACKS, Connection
from hub.realtime.emitters import Emitters
from hub.realtime.engineio.session import Session
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Frame
from hub.realtime.strict import StrictJson

log = structlog.get_logger(__name__)

DEFAULT_TENANT = "default"
Rooms = str | Collection[str] | None


def room_key(room: str | None) -> str:
    """The key of the room that a stock emitter's room means."""
    if not room:
        return f"{DEFAULT_TENANT}/tenant:{DEFAULT_TENANT}"
    if "/" in room:
        return room
    tenant = room.removeprefix("tenant:") if room.startswith("tenant:") else DEFAULT_TENANT
    return f"{tenant}/{room}"


class RoomManager(socketio.AsyncRedisManager):  # type: ignore[misc]  # socketio has no types
    """`url` None: no other program is listened to. `stock_emitters` False: they are heard and refused."""

    def __init__(
        self,
        fanout: Fanout,
        url: str | None = None,
        *,
        channel: str = "socketio",
        stock_emitters: bool = True,
    ) -> None:
        super().__init__(url or "redis://", channel=channel, logger=log)
        self.fanout = fanout
        self.clients: dict[str, Connection] = {}  # by sid
        self.refused = 0  # messages of other programs that were not delivered
        self._carried: dict[str, tuple[Connection, ...]] = {}  # by Engine.IO sid
        self._stock_emitters = stock_emitters
        self._emitters = Emitters(url, channel, self._receive) if url else None

    def initialize(self) -> None:
        """Listen to other programs. Called when the doors open, and by the server before its first client."""
        if self._emitters is not None:
            self._emitters.open()

    async def close(self) -> None:
        if self._emitters is not None:
            await self._emitters.close()

    async def listening(self) -> None:
        """Wait until other programs are heard (for ever, when there are none)."""
        if self._emitters is not None:
            await self._emitters.subscribed.wait()

    # -- clients -------------------------------------------------------------------------------------
    def admit(self, conn: Connection, eio_sid: str) -> None:
        """Register a connection under its id, carried by an Engine.IO session."""
        self.clients[conn.id] = conn
        self._carried[eio_sid] = (*self._carried.get(eio_sid, ()), conn)

    def find(self, sid: str, namespace: str) -> Connection | None:
        conn = self.clients.get(sid)
        return conn if conn is not None and conn.profile.namespace == namespace else None

    def carried(self, eio_sid: str) -> tuple[Connection, ...]:
        """The connections on one Engine.IO session, one per namespace."""
        return self._carried.get(eio_sid, ())

    def get_namespaces(self) -> Collection[str]:
        return {conn.profile.namespace for conn in self.clients.values()}

    def is_connected(self, sid: str, namespace: str) -> bool:
        conn = self.find(sid, namespace)
        return conn is not None and not conn.leaving

    def is_pre_connected(self, sid: str, namespace: str) -> bool:
        return False  # `SocketServer` admits a client wholly or not at all

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        return next((c.id for c in self.carried(eio_sid) if c.profile.namespace == namespace), None)

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        conn = self.find(sid, namespace)
        return _session(conn).sid if conn is not None else None

    def pre_disconnect(self, sid: str, namespace: str) -> str | None:
        """Nothing more is sent to it; its rooms stay until its disconnect handler has run."""
        conn = self.find(sid, namespace)
        if conn is None:
            return None
        conn.leaving = True
        conn.let_go()
        return _session(conn).sid

    def basic_disconnect(self, sid: str, namespace: str, **_options: Any) -> None:
        conn = self.find(sid, namespace)
        if conn is None:
            return
        del self.clients[sid]
        conn.let_go()
        self.fanout.drop(conn)
        eio_sid = _session(conn).sid
        left = tuple(other for other in self.carried(eio_sid) if other is not conn)
        if left:
            self._carried[eio_sid] = left
        else:
            self._carried.pop(eio_sid, None)

    async def can_disconnect(self, sid: str, namespace: str) -> bool:
        return self.is_connected(sid, namespace)

    async def disconnect(self, sid: str, namespace: str, **_options: Any) -> None:
        self.basic_disconnect(sid, namespace)

    # -- rooms ---------------------------------------------------------------------------------------
    async def enter_room(self, sid: str, namespace: str, room: str, eio_sid: str | None = None) -> None:
        """Raises ValueError when there is no such client here."""
        self.fanout.join(self._require(sid, namespace), room_key(room))

    async def leave_room(self, sid: str, namespace: str, room: str) -> None:
        if (conn := self.find(sid, namespace)) is not None:
            self.fanout.leave(conn, room_key(room))

    async def close_room(self, room: str, namespace: str | None = None) -> None:
        key = room_key(room)
        for conn in tuple(self.fanout.members(key)):
            if conn.profile.namespace == (namespace or "/"):
                self.fanout.leave(conn, key)

    def get_rooms(self, sid: str, namespace: str) -> list[str]:
        conn = self.find(sid, namespace)
        return list(conn.rooms) if conn is not None else []

    def get_participants(self, namespace: str, room: Rooms) -> Iterator[tuple[str, str]]:
        """The clients of a room, as (sid, Engine.IO sid)."""
        for conn in self._audience(namespace, room):
            yield conn.id, _session(conn).sid

    def _require(self, sid: str, namespace: str) -> Connection:
        conn = self.find(sid, namespace)
        if conn is None:
            raise ValueError(f"no client {sid!r} in namespace {namespace!r}")
        return conn

    def _audience(self, namespace: str, room: Rooms) -> dict[Connection, None]:
        """Who is meant by a room, a connection's id or several of those, each once."""
        names = [room] if room is None or isinstance(room, str) else room
        found: dict[Connection, None] = {}
        for name in names:
            conn = self.clients.get(name) if name else None
            if conn is not None:
                found[conn] = None
            else:
                found.update(dict.fromkeys(self.fanout.members(room_key(name))))
        return {
            conn: None
            for conn in found
            if conn.profile.transport == "socketio" and conn.profile.namespace == namespace
        }

    # -- emitting ------------------------------------------------------------------------------------
    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str | None = None,
        room: Rooms = None,
        skip_sid: Rooms = None,
        callback: Callable[..., Any] | None = None,
        to: Rooms = None,
        **_options: Any,
    ) -> None:
        """Send to the clients of this process. Raises TypeError for what is not JSON."""
        skipped = (skip_sid,) if skip_sid is None or isinstance(skip_sid, str) else skip_sid
        audience = self._audience(namespace or "/", to or room)
        audience = {conn: None for conn in audience if conn.id not in skipped}
        if not audience:
            return
        args = list(data) if isinstance(data, tuple) else [] if data is None else [data]
        if callback is None and not sio.Packet.data_is_binary(args):
            encoded = [StrictJson.dumps(arg).encode() for arg in args]
            self.fanout.send(Frame.signal(event, encoded), audience)
            return
        for conn in audience:
            await self._send_packet(conn, event, args, callback)

    async def _send_packet(
        self, conn: Connection, event: str, args: list[Any], callback: Callable[..., Any] | None
    ) -> None:
        """A packet of its own, with attachments or an ack's number. It does not wait for `release`."""
        id = self._expect_ack(conn, callback) if callback is not None else None
        if conn.profile.recovery and (not args or isinstance(args[-1], str)):
            args = [*args, None]  # or its client would take the last text for a cursor
        packet = self.server.packet_class(
            sio.EVENT, namespace=conn.profile.namespace, data=[event, *args], id=id
        )
        await self.server._send_packet(_session(conn).sid, packet)

    @staticmethod
    def _expect_ack(conn: Connection, callback: Callable[..., Any]) -> int:
        if conn.acks is None:
            conn.acks = {}
        elif len(conn.acks) >= MAX_ACKS:
            del conn.acks[next(iter(conn.acks))]
        id = conn.next_ack
        conn.next_ack += 1
        conn.acks[id] = callback
        return id

    async def trigger_callback(self, sid: str, id: int, data: list[Any]) -> None:
        """A client has acknowledged; an unknown number is its own affair."""
        conn = self.clients.get(sid)
        callback = conn.acks.pop(id, None) if conn is not None and conn.acks else None
        if callback is not None:
            result = callback(*data)
            if inspect.isawaitable(result):
                await result

    # -- other programs ------------------------------------------------------------------------------
    async def _receive(self, message: bytes) -> None:
        """One message of a stock manager; only what it says in JSON is read, never a pickle."""
        try:
            order = orjson.loads(message)
        except ValueError:
            order = None
        if not isinstance(order, dict):
            self._refuse("not JSON")
        elif not self._stock_emitters:
            self._refuse("unsigned emitters are not allowed here")
        elif order.get("method") == "emit":
            await self._emit_for(order)
        elif order.get("method") == "disconnect":
            await self.server.disconnect(str(order.get("sid")), namespace=order.get("namespace"))
        else:
            self._refuse(f"method {str(order.get('method'))[:40]!r}")

    async def _emit_for(self, order: dict[str, Any]) -> None:
        data = order.get("data")
        args = data if isinstance(data, list) else [data]
        room = order.get("room")
        if not isinstance(order.get("event"), str) or order.get("binary"):
            self._refuse("no event, or binary data")
            return
        if not (room is None or isinstance(room, str) or _is_texts(room)):
            self._refuse("not a room")
            return
        skip = order.get("skip_sid")
        await self.emit(
            order["event"],
            None if args == [None] else tuple(args),
            namespace=order.get("namespace"),
            room=room,
            skip_sid=skip if isinstance(skip, str) or _is_texts(skip) else None,
        )

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        if self.refused == 1:
            log.warning("a Socket.IO emitter was refused", action="emitters.refuse", reason=reason)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _session(conn: Connection) -> Session:
    """What carries a Socket.IO connection."""
    assert isinstance(conn.link, Session)
    return conn.link
