"""The Socket.IO door: who may connect, what a connection asks for, and its events.

The same handlers serve the namespaces `/` and `/ws/notifications`. A client is authenticated before it is
in any room; its events are carried out one at a time. What an event does stands in `hub.web.events`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from hub.domain.access import Principal, Room
from hub.domain.errors import Refusal
from hub.realtime.connection import Connection
from hub.realtime.engineio.session import Reason
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Frame
from hub.realtime.manager import RoomManager
from hub.realtime.server import Admission, ConnectRefused, SocketServer
from hub.services.recovery import Back
from hub.services.replay import Verdict
from hub.services.session import Session
from hub.services.wire import dumps
from hub.web import handshake
from hub.web.context import Services
from hub.web.credentials import principal_of
from hub.web.entrance import enter
from hub.web.events import Conversation, Pace, Reply, refused
from hub.web.origins import ORIGINS

PATH = "/socket.io/"
NAMESPACES = ("/", "/ws/notifications")
FOR_GOOD = frozenset({Reason.CLIENT, Reason.SERVER})  # ends that are no drop


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketOptions:
    """Limits of connections; seconds, bytes and packets."""

    connect_timeout: float = 5.0
    ping_interval: float = 20.0
    ping_timeout: float = 15.0
    max_message_bytes: int = 64 << 10
    outbox_frames: int = 1000
    body_timeout: float = 15.0


@dataclass(slots=True)
class Guest:
    """A connection's context until it is in: what it asked for. Then its session, or what it says on it.

    `recovery`: it wants to be recoverable. `back`: what it has come back to, `offset` where it was then.
    `lost`: why it cannot be what it was.
    """

    who: Principal
    cursor: str | None
    extra: list[Room]
    recovery: bool = False
    back: Back | None = None
    offset: str = ""
    lost: str = ""


class Lost(Exception):
    """The state is there, and what was missed is not. `str()` is the reason."""


class Sockets:
    """One Socket.IO server for one process."""

    def __init__(
        self,
        services: Services,
        fanout: Fanout,
        manager: RoomManager,
        options: SocketOptions,
        pace: Pace,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._pace = pace
        self._monotonic = monotonic
        self.server = SocketServer(
            fanout,
            manager=manager,
            authenticate=self._authenticate,
            namespaces=NAMESPACES,
            connect_timeout=options.connect_timeout,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_timeout,
            max_payload=options.max_message_bytes,
            max_outbox_packets=options.outbox_frames,
            body_timeout=options.body_timeout,
            origin_allowed=lambda origin, request: request.app[ORIGINS].allows(request),
            enter=enter,
            turned_away=lambda refusal: services.traffic.turned_away("socketio", refusal),
        )
        for namespace in NAMESPACES:
            self._serve(namespace)

    def attach(self, app: web.Application) -> None:
        """Serve `/socket.io/`, and hear other programs' emitters from the start."""
        self.server.attach(app, PATH)
        app.on_startup.append(self._listen)

    async def _listen(self, app: web.Application) -> None:
        self.server.manager.initialize()

    def _serve(self, namespace: str) -> None:
        def find(sid: str) -> Connection | None:
            return self.server.connection(sid, namespace)

        async def connected(sid: str, environ: Any, auth: Any) -> None:
            if (conn := find(sid)) is not None:
                await self._open(conn)

        async def left(sid: str, reason: str) -> None:
            self._services.sessions.close(sid)
            self._services.recovery.let_go(sid, for_good=reason in FOR_GOOD)

        async def said(event: str, sid: str, *args: Any) -> Any:
            if (conn := find(sid)) is not None:
                return await self._event(conn, event, args[0] if args else None)
            return None

        self.server.on("connect", connected, namespace=namespace)
        self.server.on("disconnect", left, namespace=namespace)
        self.server.on("*", said, namespace=namespace)

    # -- in ------------------------------------------------------------------------------------------
    async def _authenticate(self, namespace: str, environ: Mapping[str, str], auth: Any) -> Admission:
        """Raises `ConnectRefused`: a client reads `connect_error` with `message` and `data.code`."""
        try:
            asked = auth if isinstance(auth, dict) else {}
            given = handshake.presented(environ)
            who = await principal_of(self._services, given, handshake=handshake.token(asked))
            profile, types = handshake.profile(asked), self._services.registry.wanted(handshake.types(asked))
            extra = self._services.sessions.topics(who, handshake.rooms(asked))
            guest = Guest(who, handshake.cursor(asked, "cursor"), extra, profile.recovery)
            if profile.recovery and asked.get("pid") is not None:
                await self._claim(guest, namespace, asked)
            await self._services.sessions.admit(who)
            if not profile.recovery:
                return Admission(profile=profile, types=types, context=guest)
            sid = guest.back.sid if guest.back is not None else None
            return Admission(profile=profile, types=types, context=guest, reply=None, sid=sid)
        except Refusal as refusal:
            self._services.traffic.turned_away("socketio", refusal)
            [payload] = refused(refusal).args
            raise ConnectRefused(refusal.detail, payload) from None

    async def _open(self, conn: Connection) -> None:
        guest: Guest = conn.context
        session = None
        try:
            if guest.back is not None:
                try:
                    session = await self._resume(conn, guest, guest.back)
                except Lost as lost:
                    await self._services.recovery.forget(guest.back.hold)
                    guest.lost = str(lost)
                    conn = self.server.renew(conn)
            if session is None:
                if guest.recovery:
                    await self._welcome(conn, guest)
                session = await self._services.sessions.open(
                    conn, guest.who, cursor=guest.cursor, extra=guest.extra, lost=guest.lost
                )
            conn.context = session
        except Refusal as refusal:
            # It was let in, and then a part was away: it comes back by itself.
            self._send(conn, refused(refusal))
            conn.close(refusal.code, refusal.detail, reconnect=True)

    # -- recovery ------------------------------------------------------------------------------------
    async def _claim(self, guest: Guest, namespace: str, asked: Mapping[str, Any]) -> None:
        """Find what a pid stands for. Whoever still has it is gone afterwards, and its id is free."""
        pid = asked["pid"]
        guest.offset = handshake.cursor(asked, "offset") or "?"
        if isinstance(pid, str):
            guest.back = await self._services.recovery.claim(guest.who, namespace, pid)
        if guest.back is None:
            guest.lost = "invalid"
        else:
            await self.server.disconnect(guest.back.sid, namespace=namespace)

    async def _resume(self, conn: Connection, guest: Guest, back: Back) -> Session:
        """Be the connection it was. Raises `Lost`; then its CONNECT was not answered."""

        async def settle(verdict: Verdict) -> None:
            if not verdict.recovered or conn.id != back.sid:
                raise Lost(verdict.reason or "invalid")
            self._services.recovery.hold(back.who.tenant, conn.id, back.hold)
            await self.server.welcome(conn, {"pid": back.hold.pid})

        return await self._services.sessions.open(
            conn, back.who, cursor=guest.offset, extra=back.rooms, settle=settle
        )

    async def _welcome(self, conn: Connection, guest: Guest) -> None:
        """Answer the CONNECT of a new connection, with a pid when its state can be kept."""
        pid = await self._services.recovery.begin(guest.who, conn.profile.namespace, conn.id, guest.extra)
        await self.server.welcome(conn, {} if pid is None else {"pid": pid})

    # -- events --------------------------------------------------------------------------------------
    async def _event(self, conn: Connection, event: str, data: Any) -> Any:
        """The reply goes out as an event, and as the acknowledgement when one was asked for."""
        talk = conn.context
        if isinstance(talk, Session):  # its first words; most never say any
            talk = conn.context = Conversation(self._services, talk, self._pace, self._monotonic)
        reply = await talk.hear(event, data) if isinstance(talk, Conversation) else None
        if reply is None:
            return None
        if not reply.quiet:
            self._send(conn, reply)
        return reply.args if len(reply.args) != 1 else reply.args[0]

    @staticmethod
    def _send(conn: Connection, reply: Reply) -> None:
        conn.send_now(Frame.signal(reply.event, [dumps(arg) for arg in reply.args]))
