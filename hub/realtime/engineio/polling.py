"""The long-polling transport: GET fetches packets, POST pushes them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from aiohttp import web

from hub.realtime.engineio.packets import Kind, Wire, decode_payload, encode_payload
from hub.realtime.engineio.session import Reason, Session, State
from hub.realtime.errors import ProtocolError, TooLarge
from hub.realtime.outflow import Tick

if TYPE_CHECKING:
    from hub.realtime.engineio.server import EngineServer


# During an upgrade polls come back empty: soon, but not at once, or a client that does not pause its polling
# would spin. In seconds.
UPGRADE_HOLD = 0.1
# python-engineio's clients hang up on a payload of more packets.
PYTHON_PACKETS = 16


class PollingCarrier:
    """The side of a session that a GET may be waiting on."""

    __slots__ = ("busy", "tick", "waiter")
    name = "polling"
    outflow = None

    def __init__(self, tick: Tick) -> None:
        self.tick = tick
        self.busy = False  # a GET is being served
        self.waiter: asyncio.Future[None] | None = None

    def settle(self) -> None:
        self.tick.settle()

    def write(self, wire: Wire) -> bool:
        self.tick.settle()
        return False

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def finish(self, reason: Reason) -> bool:
        # Without a waiting GET only a close by our side is worth a last poll.
        return self.busy or reason is Reason.SERVER

    def pause(self, on: bool) -> None:
        """Nothing to do: `push` waits for the handlers instead."""


def reply(text: str, status: int = 200) -> web.Response:
    return web.Response(
        text=text,
        status=status,
        content_type="text/plain",
        charset="UTF-8",
        headers={"Cache-Control": "no-store"},
    )


def refuse(message: str, status: int = 400) -> web.Response:
    return reply(message, status)


async def poll(server: EngineServer, session: Session, request: web.Request) -> web.Response:
    """GET: answer with the outbox, waiting for it to fill if need be."""
    if session.kicked:
        return _last_words(server, session, request)
    carrier = session.carrier
    if not isinstance(carrier, PollingCarrier):
        return refuse("session is not on polling")
    if carrier.busy:  # two readers would split the stream
        session.close(Reason.ERROR)
        return refuse("duplicate poll")
    carrier.busy = True
    try:
        if not session.outbox:
            carrier.waiter = asyncio.get_running_loop().create_future()
            hold = UPGRADE_HOLD if session.state is State.UPGRADING else None
            await asyncio.wait([carrier.waiter], timeout=hold)
        transport = request.transport
        if transport is None or transport.is_closing():
            _give_up(session, carrier)  # do not hand packets to a dead client
            return refuse("client is gone")
        if session.kicked:
            return _last_words(server, session, request)
        # An upgraded session keeps its packets for the WebSocket.
        wires = session.fetch(_capacity(request)) if session.carrier in (carrier, None) else []
        return reply(encode_payload(wires or [Kind.NOOP]))
    except asyncio.CancelledError:  # aiohttp's `handler_cancellation`
        _give_up(session, carrier)
        raise
    finally:
        carrier.busy = False
        carrier.waiter = None


def _capacity(request: web.Request) -> int:
    """How many packets the client can take at once."""
    return PYTHON_PACKETS if "python" in request.headers.get("User-Agent", "").lower() else sys.maxsize


def _last_words(server: EngineServer, session: Session, request: web.Request) -> web.Response:
    """What a client that was kicked has yet to hear."""
    wires = session.fetch(_capacity(request))
    if session.state is State.CLOSED:
        server.forget(session)
    return reply(encode_payload(wires))


def _give_up(session: Session, carrier: PollingCarrier) -> None:
    """The client cancelled its poll: whatever was on the way is lost."""
    carrier.busy = False
    if session.carrier is carrier:
        session.close(Reason.GONE)


async def push(server: EngineServer, session: Session, request: web.Request) -> web.Response:
    """POST: read and decode the whole body before any packet of it counts."""
    if not session.open or not isinstance(session.carrier, PollingCarrier):
        return refuse("session is not on polling")
    try:
        body = await _read_body(request, server.max_payload, server.body_timeout)
        for packet in decode_payload(body.decode(), server.max_packets):
            server.incoming(session, packet)
    except TimeoutError:
        session.close(Reason.ERROR)
        return refuse("body too slow", 408)
    except ValueError as error:  # ProtocolError, bad UTF-8
        session.close(Reason.ERROR)
        return _judge(server, error)  # kept in a local here, it would keep this frame, and so the body
    if session.worker is not None and len(session.inbox or ()) > server.max_inbox:
        await asyncio.wait([session.worker])  # back-pressure
    return reply("ok")


def _judge(server: EngineServer, error: ValueError) -> web.Response:
    fault = error if isinstance(error, ProtocolError) else ProtocolError("bad UTF-8")
    server.note(fault)
    return refuse(str(fault), 413 if isinstance(error, TooLarge) else 400)


async def _read_body(request: web.Request, limit: int, timeout: float) -> bytes:
    """The whole body, however many reads (or chunks) it takes. Raises TimeoutError and `TooLarge`."""
    if (request.content_length or 0) > limit:
        raise TooLarge("body too large")
    body = bytearray()
    async with asyncio.timeout(timeout):
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise TooLarge("body too large")
    return bytes(body)
