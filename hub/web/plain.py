"""The plain WebSocket at `/ws/notifications`, for clients that speak no Socket.IO.

Text frames `{"event", "data", "cursor"?, "ack"?}` both ways. The same sessions, events and cursor as
Socket.IO; what the handshake there says in `auth`, the query says here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from aiohttp import web

from hub.domain.errors import EventUnknown, Invalid, JsonInvalid, OriginForbidden, Refusal
from hub.realtime.frames import Profile
from hub.realtime.places import Place
from hub.realtime.plain import PlainSocket, PlainSockets
from hub.realtime.strict import MAX_DEPTH, too_deep
from hub.realtime.takeover import Taken
from hub.realtime.websocket import HandshakeError
from hub.services.wire import dumps, loads
from hub.web.background import Background
from hub.web.context import HUB, Services
from hub.web.credentials import presented, principal_of
from hub.web.entrance import enter
from hub.web.events import Conversation, Pace, Reply, refused
from hub.web.origins import ORIGINS
from hub.web.sse import asked_cursor, words


class Plain:
    """All plain WebSockets of one process."""

    def __init__(
        self, services: Services, sockets: PlainSockets, pace: Pace, *, monotonic: Callable[[], float]
    ) -> None:
        self._services = services
        self._sockets = sockets
        self._pace = pace
        self._monotonic = monotonic
        self._background = Background()

    async def accept(self, request: web.Request, place: Place) -> web.StreamResponse:
        """Raises a `Refusal` before the handshake is answered."""
        if not request.app[ORIGINS].allows(request):
            raise OriginForbidden("this page's origin is not listed in CORS_ORIGIN")
        who = await principal_of(self._services, presented(request))
        sessions = self._services.sessions
        await sessions.admit(who)
        extra = sessions.topics(who, words(request, "rooms"))
        types = self._services.registry.wanted(words(request, "types"))
        cursor = request.query.get("cursor") or asked_cursor(request)
        ready: asyncio.Future[Conversation | None] = asyncio.get_running_loop().create_future()

        async def on_text(text: str) -> None:
            if (conversation := await ready) is not None:
                await self._hear(link, conversation, text)

        async def on_close() -> None:
            sessions.close(id)
            place.leave()

        id = secrets.token_urlsafe(15)
        try:
            link = self._sockets.open(request, on_text=on_text, on_close=on_close)
        except HandshakeError as error:
            raise Invalid(f"this path is a WebSocket: {error}") from None
        place.settle()
        conn = link.connection(id, Profile("plain"), types=types)

        async def open_session() -> None:
            conversation = None
            try:
                session = await sessions.open(conn, who, cursor=cursor, extra=extra)
                conversation = Conversation(self._services, session, self._pace, self._monotonic)
            except Refusal as refusal:
                self._send(link, refused(refusal), None)
                conn.close(refusal.code, refusal.detail, reconnect=True)
            finally:
                ready.set_result(conversation)
            if not link.open:
                sessions.close(id)  # it went before it was known

        self._background.spawn(open_session())
        return Taken()

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self._sockets)

    async def _hear(self, link: PlainSocket, conversation: Conversation, text: str) -> None:
        ack = None
        try:
            event, data, ack = _read(text)
            reply = await conversation.hear(event, data)
        except Refusal as refusal:
            reply = refused(refusal)
        if reply is not None and (ack is not None or not reply.quiet):
            self._send(link, reply, ack)

    @staticmethod
    def _send(link: PlainSocket, reply: Reply, ack: Any) -> None:
        shape = {"event": reply.event, "data": reply.args[-1] if reply.args else None}
        link.send(dumps(shape if ack is None else {**shape, "ack": ack}).decode())

    async def shutdown(self) -> None:
        await self._background.close()
        await self._sockets.shutdown()


async def accept(request: web.Request) -> web.StreamResponse:
    hub = request.app[HUB]
    try:
        with enter(request) as place:
            return await hub.plain.accept(request, place)
    except Refusal as refusal:
        hub.traffic.turned_away("plain", refusal)
        raise


def _read(text: str) -> tuple[str, Any, Any]:
    """The event, its data, and the number or text to acknowledge with. Raises `Invalid`."""
    try:
        frame = loads(text)
    except ValueError:
        raise JsonInvalid('a frame is one JSON object: {"event", "data"}') from None
    if not isinstance(frame, dict) or not isinstance(frame.get("event"), str):
        raise EventUnknown("a frame names its 'event'")
    if too_deep(frame.get("data"), MAX_DEPTH):
        raise JsonInvalid("nested too deep")
    ack = frame.get("ack")
    if not isinstance(ack, str | int | None) or (isinstance(ack, str) and len(ack) > 64):
        raise Invalid("'ack' is a number or a short text")
    return frame["event"], frame.get("data"), ack
