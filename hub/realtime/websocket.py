"""A WebSocket: handshake, messages in, close. One asyncio protocol object per connection, no task.

`WebSocket` is the common half; what its messages mean is for the two kinds of it, the carrier of an
Engine.IO session and the plain one. Pings of the peer are answered here, and the closing handshake has a
deadline.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Callable

from aiohttp import web

from hub.realtime.departures import Departures
from hub.realtime.errors import ProtocolError
from hub.realtime.outflow import Outflow, Tick
from hub.realtime.wsframes import FrameParser, Op, Parsers, frame

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
MAX_REASON = 123  # bytes of a close frame's text (section 5.5)
CLOSE_TIMEOUT = 2.0  # seconds a peer may take to answer a close frame

NORMAL, GOING_AWAY, POLICY, RESTART = 1000, 1001, 1008, 1012


class HandshakeError(ValueError):
    """The request is no valid WebSocket handshake."""


def accept_key(request: web.Request) -> bytes:
    """Check a handshake (RFC 6455, section 4.2.1); the value of Sec-WebSocket-Accept."""
    headers = request.headers
    tokens = {token.strip().lower() for line in headers.getall("Connection", ()) for token in line.split(",")}
    key = headers.get("Sec-WebSocket-Key", "").strip()
    try:
        valid = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        valid = False
    if (
        not valid
        or "upgrade" not in tokens
        or headers.get("Upgrade", "").lower() != "websocket"
        or headers.get("Sec-WebSocket-Version") != "13"
    ):
        raise HandshakeError("invalid WebSocket handshake")
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest())


class WebSocket(Outflow):
    """The reading half. `departures`: those whose closing handshake is under way."""

    __slots__ = ("_deaf", "_parser", "_timer", "closing", "departures", "parsers")

    def __init__(
        self, tick: Tick, transport: asyncio.Transport, parsers: Parsers, departures: Departures
    ) -> None:
        super().__init__(tick, transport)
        self.parsers = parsers
        self.departures = departures
        self.closing = False
        self._parser: FrameParser | None = None  # while part of a message has arrived
        self._deaf = False  # what comes now is not looked at any more
        self._timer: asyncio.TimerHandle | None = None

    def accept(self, key: bytes) -> None:
        """Answer the handshake."""
        self.adopt(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + key + b"\r\n\r\n"
        )

    def set_timer(self, delay: float, action: Callable[[], None]) -> None:
        self.stop_timer()
        self._timer = asyncio.get_running_loop().call_later(delay, action)

    def stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- for the two kinds ---------------------------------------------------------------------------
    def on_message(self, payload: str | bytes) -> None:
        raise NotImplementedError

    def on_pong(self) -> None:
        """The peer has answered a ping frame of ours."""

    def on_broken(self, error: ProtocolError) -> None:
        """The peer broke the protocol; the close frame is on its way."""
        raise NotImplementedError

    def on_gone(self) -> None:
        """The peer has closed, or the connection was lost."""
        raise NotImplementedError

    # -- closing -------------------------------------------------------------------------------------
    def pause(self, on: bool) -> None:
        """Stop (or go on) reading."""
        if on:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def end(self, code: int, reason: str = "") -> None:
        """Write what is left and a close frame, then wait a little for the peer's."""
        if self.closing or not self.open:
            return
        self.tick.settle()
        self.flush()
        if not self.open:
            return
        self.closing = True
        self.tick.epoch += 1
        self.transport.write(frame(Op.CLOSE, code.to_bytes(2, "big") + reason.encode()[:MAX_REASON]))
        self.transport.resume_reading()  # the peer's close frame must get in
        self.departures.add(self)
        self.set_timer(CLOSE_TIMEOUT, self.cut)

    def cut(self) -> None:
        super().cut()
        self.stop_timer()
        self.closing = True
        self.departures.discard(self)

    @property
    def open(self) -> bool:
        return not self.closing and super().open

    # -- asyncio.Protocol ----------------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        parser = self._parser or self.parsers.take()
        try:
            for op, payload in parser.feed(data):
                self._take(op, payload)
                if self._deaf:
                    return
        except ProtocolError as error:
            self._deaf = True
            if self.open:
                self.end(error.code)
                self.on_broken(error)
            return
        if parser.idle:
            self._parser = None
            self.parsers.give(parser)
        else:
            self._parser = parser

    def _take(self, op: Op, payload: str | bytes) -> None:
        if op is Op.CLOSE:
            self._deaf = True
            self._peer_closed()
        elif self.closing:
            pass  # only the peer's close frame is awaited
        elif op is Op.PING and isinstance(payload, bytes):
            self.push(frame(Op.PONG, payload))
        elif op is Op.PONG:
            self.on_pong()
        else:
            self.on_message(payload)

    def _peer_closed(self) -> None:
        """Answer with a close frame, unless ours was first, and hang up (RFC 6455, section 5.5.1)."""
        transport = self.transport
        self.end(NORMAL)
        transport.close()
        self.on_gone()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.stop_timer()
        self.closing = True
        self.departures.discard(self)
        self.on_gone()
