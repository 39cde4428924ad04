"""The Socket.IO door: who may connect, what a connection asks for, and its events.

The same handlers serve the namespaces `/` and `/ws/notifications`. A client is authenticated before it is
in any room; its events are carried out one at a time. What an event does stands in `hub.web.events`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from hub.domain.access import Principal, Room
from hub.domain.errors import Invalid, Refusal
from hub.domain.events import MAX_CURSOR
from hub.realtime.connection import Connection
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Frame, Profile
from hub.realtime.manager import RoomManager
from hub.realtime.server import Admission, ConnectRefused, SocketServer
from hub.services.wire import dumps
from hub.web.context import Services
from hub.web.credentials import Presented, principal_of
from hub.web.events import Conversation, Pace, Reply, refused
from hub.web.origins import ORIGINS
from hub.web.proxies import peer_of

NAMESPACES = ("/", "/ws/notifications")
MAX_TYPES = 64
MAX_ROOMS = 64


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
    """A connection's context: what it asked for, and what it says once it is in."""

    who: Principal
    cursor: str | None
    extra: list[Room]
    conversation: Conversation | None = None


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
            address_of=lambda request: peer_of(request).address,
        )
        for namespace in NAMESPACES:
            self._serve(namespace)

    def attach(self, app: web.Application) -> None:
        """Serve `/socket.io/`, and hear other programs' emitters from the start."""
        self.server.attach(app)
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

        async def said(event: str, sid: str, *args: Any) -> Any:
            if (conn := find(sid)) is not None:
                return await self._event(conn, event, args[0] if args else None)
            return None

        self.server.on("connect", connected, namespace=namespace)
        self.server.on("disconnect", left, namespace=namespace)
        self.server.on("*", said, namespace=namespace)

    # -- in ------------------------------------------------------------------------------------------
    async def _authenticate(self, namespace: str, environ: dict[str, Any], auth: Any) -> Admission:
        """Raises `ConnectRefused`: a client reads `connect_error` with `message` and `data.code`."""
        try:
            asked = auth if isinstance(auth, dict) else {}
            who = await principal_of(self._services, presented(environ), handshake=_token(asked))
            await self._services.sessions.admit(who)
            guest = Guest(
                who,
                _cursor(asked),
                self._services.sessions.topics(who, _list(asked, "rooms", MAX_ROOMS)),
            )
            profile = Profile("socketio", events=_choice(asked))
            types = _list(asked, "types", MAX_TYPES) if "types" in asked else None
            return Admission(profile=profile, types=None if types is None else tuple(types), context=guest)
        except Refusal as refusal:
            [payload] = refused(refusal).args
            raise ConnectRefused(refusal.detail, payload) from None

    async def _open(self, conn: Connection) -> None:
        guest: Guest = conn.context
        try:
            session = await self._services.sessions.open(
                conn, guest.who, cursor=guest.cursor, extra=guest.extra
            )
            guest.conversation = Conversation(self._services, session, self._pace, self._monotonic)
        except Refusal as refusal:
            # It was let in, and then a part was away: it comes back by itself.
            self._send(conn, refused(refusal))
            conn.close(refusal.code, refusal.detail, reconnect=True)

    # -- events --------------------------------------------------------------------------------------
    async def _event(self, conn: Connection, event: str, data: Any) -> Any:
        """The reply goes out as an event, and as the acknowledgement when one was asked for."""
        guest: Guest = conn.context
        reply = await guest.conversation.hear(event, data) if guest.conversation else None
        if reply is None:
            return None
        self._send(conn, reply)
        return reply.args if len(reply.args) != 1 else reply.args[0]

    @staticmethod
    def _send(conn: Connection, reply: Reply) -> None:
        conn.send_now(Frame.signal(reply.event, [dumps(arg) for arg in reply.args]))


def presented(environ: Mapping[str, Any]) -> Presented:
    """What the transport's first request presented."""
    query = parse_qs(str(environ.get("QUERY_STRING", "")))
    return Presented(
        authorization=str(environ.get("HTTP_AUTHORIZATION", "")),
        cookies=str(environ.get("HTTP_COOKIE", "")),
        ticket=query.get("ticket", [""])[0],
        token=query.get("token", [""])[0],
    )


def _token(auth: Mapping[str, Any]) -> str | None:
    token = auth.get("token")
    if token is not None and not isinstance(token, str):
        raise Invalid("'auth.token' must be text")
    return token.removeprefix("Bearer ") if token else None


def _cursor(auth: Mapping[str, Any]) -> str | None:
    cursor = auth.get("cursor")
    if cursor is None or cursor == "":
        return None
    return cursor if isinstance(cursor, str) and len(cursor) <= MAX_CURSOR else "?"  # judged by the replay


def _choice(auth: Mapping[str, Any]) -> str:
    events = auth.get("events") or "both"
    if events not in ("both", "generic", "typed"):
        raise Invalid("'auth.events' is one of both, generic, typed")
    return str(events)


def _list(auth: Mapping[str, Any], name: str, most: int) -> list[str]:
    value = auth.get(name)
    words = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > most or not all(isinstance(word, str) for word in words):
        raise Invalid(f"'auth.{name}' is a list of at most {most} texts")
    return words
