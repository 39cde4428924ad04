"""The Engine.IO server: requests in, application events out, one heartbeat for all.

`EngineServer` offers the part of `engineio.AsyncServer` that python-socketio uses, so that
`socketio.AsyncServer._engineio_server_class()` can return it. Limits are in seconds, bytes and packets.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, cast

import orjson
import structlog
from aiohttp import web

from hub.domain.errors import Refusal
from hub.realtime.departures import Departures
from hub.realtime.engineio.head import Head
from hub.realtime.engineio.packets import Kind, Packet, encode_payload
from hub.realtime.engineio.polling import PollingCarrier, poll, push, refuse, reply
from hub.realtime.engineio.requests import environ_of, same_host, take_place
from hub.realtime.engineio.session import Reason, Session, State
from hub.realtime.engineio.websocket import SocketCarrier
from hub.realtime.errors import ProtocolError
from hub.realtime.outflow import Tick
from hub.realtime.places import Place, Places
from hub.realtime.pulse import Pulse
from hub.realtime.serial import Serial
from hub.realtime.takeover import Taken, take_over
from hub.realtime.websocket import CLOSE_TIMEOUT, HandshakeError, accept_key
from hub.realtime.wsframes import Parsers

log = structlog.get_logger(__name__)
Handler = Callable[..., Any]
MAX_PACKETS = 10_000  # in one POST; its bytes are bounded anyway


class EngineServer:
    """Engine.IO v4 on aiohttp. `async_handlers`, `logger`, `json`: python-socketio's, unused.

    The `connect` handler is called and not awaited: a transport exists, but who it is has yet to be asked.
    """

    async_mode = "aiohttp"
    reason = Reason
    max_packets = MAX_PACKETS

    def __init__(
        self,
        *,
        tick: Tick | None = None,
        origin_allowed: Callable[[str, web.Request], bool] = same_host,
        enter: Callable[[web.Request], Place] | None = None,
        turned_away: Callable[[Refusal], None] = lambda refusal: None,
        ping_interval: float = 20,
        ping_timeout: float = 15,
        max_payload: int = 64 << 10,
        transports: Sequence[str] = ("polling", "websocket"),
        upgrade_timeout: float = 10,
        linger: float = 5,
        body_timeout: float = 15,
        max_inbox: int = 100,
        max_outbox_packets: int = 1000,
        async_handlers: bool = False,
        logger: Any = None,
        json: Any = None,
    ) -> None:
        self.tick = tick or Tick()
        self.origin_allowed = origin_allowed
        self.enter = enter or partial(take_place, Places())
        self.turned_away = turned_away  # told of each transport that got no place
        self.max_payload = max_payload
        self.transports = tuple(transports)
        self.upgrade_timeout = upgrade_timeout
        self.linger = linger  # how long the last words of a session wait for a poll
        self.body_timeout = body_timeout
        self.max_inbox = max_inbox
        self.max_outbox_bytes = self.tick.max_bytes
        self.max_outbox_packets = max_outbox_packets
        self.sessions: dict[str, Session] = {}
        self.probes: set[str] = set()  # sids with a WebSocket that may upgrade
        self.parsers = Parsers(max_payload)
        self.departures = Departures()  # closing handshakes under way
        self.handlers: dict[str, Handler] = {}
        self.pulse: Pulse[Session] = Pulse(
            ping_interval,
            ping_timeout,
            ping=lambda session: session.send(Kind.PING.value),
            dead=lambda session: session.close(Reason.PING),
        )
        self._serial: Serial[Session] = Serial(self._handle, self._broken, max_inbox=max_inbox)
        self._closing = False

    # -- what python-socketio calls ------------------------------------------------------------------
    def on(self, event: str, handler: Handler) -> None:
        self.handlers[event] = handler

    def attach(self, app: web.Application, path: str = "engine.io") -> None:
        app.router.add_route("*", f"/{path.strip('/')}/", self.handle_request)
        app.on_shutdown.append(self._on_shutdown)

    async def send(self, sid: str, data: str | bytes) -> None:
        """Send one message; a text message gets its packet type."""
        if (session := self.sessions.get(sid)) is not None:
            session.send(data if isinstance(data, bytes) else "4" + data)

    async def disconnect(self, sid: str, reason: Reason = Reason.SERVER) -> None:
        if (session := self.sessions.get(sid)) is not None:
            self._serial.forget_waiting(session)
            session.close(reason)

    async def get_session(self, sid: str) -> dict[str, Any]:
        session = self.sessions[sid]
        if session.user is None:
            session.user = {}
        return session.user

    def transport(self, sid: str) -> str:
        carrier = self.sessions[sid].carrier
        return carrier.name if carrier is not None else PollingCarrier.name

    def generate_id(self) -> str:
        return secrets.token_urlsafe(15)

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kw: Any
    ) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(target(*args, **kw))

    async def sleep(self, seconds: float = 0) -> None:
        await asyncio.sleep(seconds)

    def create_event(self) -> asyncio.Event:
        return asyncio.Event()

    async def shutdown(self) -> None:
        """End all sessions in a way that lets clients come back; refuse new ones.

        Returns when every disconnect handler has run and every WebSocket has said good-bye, or after
        `CLOSE_TIMEOUT` for each of the two.
        """
        self._closing = True
        for session in list(self.sessions.values()):
            session.close(Reason.GONE)
        self.pulse.close()
        await self._serial.idle(CLOSE_TIMEOUT)
        await self.departures.over(CLOSE_TIMEOUT)

    async def _on_shutdown(self, app: web.Application) -> None:
        await self.shutdown()

    # -- requests ------------------------------------------------------------------------------------
    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and not self.origin_allowed(origin, request):
            return refuse("origin not allowed", 403)
        try:
            response = await self._route(request)
        except Refusal as refusal:
            self.turned_away(refusal)
            raise
        if origin is not None and isinstance(response, web.Response):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Vary"] = "Origin"
        return response

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if request.method == "OPTIONS":
            response = reply("", 204)
            response.headers["Access-Control-Allow-Methods"] = "GET, POST"
            response.headers["Access-Control-Allow-Headers"] = "Content-Type, Authorization"
            return response
        query, transport = request.query, request.query.get("transport")
        if self._closing and "sid" not in query:
            return refuse("shutting down", 503)
        if transport not in self.transports:
            return refuse("unknown transport")
        if query.get("EIO") != "4":
            return refuse("unsupported protocol version")
        if request.method not in ("GET", "POST"):
            return refuse("bad method")
        if transport == "websocket":
            return await self._websocket(request, query.get("sid"))
        if "sid" not in query:
            return await self._open_polling(request)
        session = self.sessions.get(query["sid"])
        if session is not None and self.pulse.expired(session):
            session.close(Reason.PING)
        if session is None or session.state in (State.OPENING, State.CLOSED):
            return refuse("unknown session")
        handle = poll if request.method == "GET" else push
        return await handle(self, session, request)

    async def _open_polling(self, request: web.Request) -> web.StreamResponse:
        if request.method != "GET":
            return refuse("a session starts with GET")
        session = self._open(request, PollingCarrier(self.tick), ("websocket",))
        if session is None:
            return refuse("no session could be opened", 500)
        return reply(encode_payload(session.drain()))

    async def _websocket(self, request: web.Request, sid: str | None) -> web.StreamResponse:
        if request.method != "GET":
            return refuse("bad method")
        try:
            key = accept_key(request)
        except HandshakeError as error:
            return refuse(str(error))
        session = self._open(request, None, ()) if sid is None else self._upgradable(sid)
        if session is None and sid is None:
            return refuse("no session could be opened", 500)
        try:
            transport = take_over(request)
        except ConnectionResetError as error:
            if session is not None and sid is None:
                session.close(Reason.GONE)
            return refuse(str(error))
        self._carry(session, transport, key, probing=sid is not None)
        return Taken()

    def take(self, head: Head) -> bool:
        """Begin a session on the WebSocket that `head` asks for, without an HTTP server.

        False: nothing was done, because the answer is another one than yes; `handle_request` knows which.
        Raises what `enter` raises when there is no place.
        """
        query, origin = head.query, head.headers.get("Origin")
        request = cast(web.Request, head)  # it has what is asked of one here
        if (
            self._closing
            or "sid" in query
            or query.get("EIO") != "4"
            or query.get("transport") != "websocket"
            or "websocket" not in self.transports
            or (origin is not None and not self.origin_allowed(origin, request))
        ):
            return False
        try:
            key = accept_key(request)
            session = self._open(request, None, ())
        except HandshakeError:
            return False
        except Refusal as refusal:
            self.turned_away(refusal)
            raise
        if session is None:
            return False
        self._carry(session, head.transport, key, probing=False)
        return True

    def _carry(
        self, session: Session | None, transport: asyncio.Transport, key: bytes, *, probing: bool
    ) -> None:
        """Answer the handshake; from now on the WebSocket carries the session, or probes to."""
        carrier = SocketCarrier(self, transport, session, probing=probing)
        carrier.begin(key)
        if session is None:
            return
        if probing:
            self.probes.add(session.sid)
        else:
            session.start(carrier)

    def _upgradable(self, sid: str) -> Session | None:
        """The session a WebSocket may take over; None: the WebSocket is accepted, then closed."""
        session = self.sessions.get(sid)
        if (
            session is None
            or session.state is not State.OPEN
            or sid in self.probes
            or not isinstance(session.carrier, PollingCarrier)
        ):
            return None
        return session

    def _open(
        self, request: web.Request, carrier: PollingCarrier | None, upgrades: Sequence[str]
    ) -> Session | None:
        """Create a session and tell the application; None when that has failed.

        What `enter` raises when there is no place goes out as it is.
        """
        place = self.enter(request)
        session = Session(self.generate_id(), self, place)
        session.carrier = carrier
        self.sessions[session.sid] = session
        beat = self.pulse.heartbeat
        session.send(
            Kind.OPEN
            + orjson.dumps(
                {
                    "sid": session.sid,
                    "upgrades": [name for name in upgrades if name in self.transports],
                    "pingInterval": round(beat.interval * 1000),
                    "pingTimeout": round(beat.timeout * 1000),
                    "maxPayload": self.max_payload,
                }
            ).decode()
        )
        try:
            if (opened := self.handlers.get("connect")) is not None:
                opened(session.sid, environ_of(request, place.address))
        except Exception:
            self.forget(session)
            log.exception("the connect handler failed", action="session.open")
            return None
        if session.state is not State.OPENING:
            return None  # ended meanwhile
        session.state = State.OPEN
        self.pulse.start(session)
        return session

    # -- packets in ----------------------------------------------------------------------------------
    def incoming(self, session: Session, packet: Packet) -> None:
        """Raises `ProtocolError`."""
        if not session.open:  # what follows a CLOSE does not count
            return
        if packet.kind is Kind.PONG:
            self.pulse.pong(session)
            return
        message = session.receive(packet)
        if message is not None:
            self._serial.put(session, ("message", session.sid, message))

    async def _handle(self, session: Session, event: tuple[Any, ...]) -> None:
        await self._call(*event)

    def _broken(self, session: Session, error: ProtocolError) -> None:
        if session.open:
            self.note(error)
            session.close(Reason.ERROR)

    @staticmethod
    def note(error: ProtocolError) -> None:
        log.info("a client broke the protocol", action="connection.refuse", reason=str(error)[:120])

    async def _call(self, event: str, *args: Any) -> Any:
        handler = self.handlers.get(event)
        result: Awaitable[Any] | Any = handler(*args) if handler is not None else None
        return await result if inspect.isawaitable(result) else result

    # -- Owner ---------------------------------------------------------------------------------------
    def session_overflowed(self) -> None:
        self.tick.cut["unpolled"] += 1

    def session_closed(self, session: Session, reason: Reason) -> None:
        session.place.leave()
        if session.kicked:
            asyncio.get_running_loop().call_later(self.linger, self.forget, session)
        else:
            self.forget(session)
        self._serial.put_last(session, ("disconnect", session.sid, str(reason)))

    def forget(self, session: Session) -> None:
        session.place.leave()
        self.sessions.pop(session.sid, None)
        self.probes.discard(session.sid)
