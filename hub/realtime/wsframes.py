"""WebSocket frames: written by hand, parsed by the websockets library, which does no I/O here.

The parser yields complete messages and control frames and raises `ProtocolError` at the first byte that
RFC 6455 forbids. What the library would send by itself is dropped: the connection writes its own frames.
A parser weighs more than the rest of an idle connection and knows nothing between two messages, so
connections borrow one from `Parsers` while a message arrives.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from struct import Struct
from typing import cast

from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame
from websockets.protocol import Protocol as WebSocketProtocol
from websockets.protocol import Side
from websockets.protocol import State as WebSocketState

from hub.realtime.errors import ProtocolError, TooLarge

MAX_FREE = 64  # parsers kept for the next message
_HEAD_16, _HEAD_64 = Struct(">BBH"), Struct(">BBQ")  # opcode, how the size is written, the size


class Op(enum.IntEnum):
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


def frame(op: int, payload: bytes) -> bytes:
    """One unmasked, unfragmented frame, as a server sends them."""
    size = len(payload)
    if size < 126:
        return b"%c%c%b" % (0x80 | op, size, payload)
    if size < 65536:
        return _HEAD_16.pack(0x80 | op, 126, size) + payload
    return _HEAD_64.pack(0x80 | op, 127, size) + payload


class FrameParser:
    """The receiving half of a WebSocket after its handshake. `limit`: the largest message in bytes."""

    __slots__ = ("_conn", "_op", "_owed", "_parts")

    def __init__(self, limit: int) -> None:
        self._conn = WebSocketProtocol(Side.SERVER, state=WebSocketState.OPEN, max_size=limit)
        self._op = Op.TEXT
        self._parts: list[bytes] | None = None  # of a fragmented message
        self._owed = 0  # bytes that came in and have not come out as a frame

    @property
    def idle(self) -> bool:
        """Whether it stands between two messages, with nothing of the next."""
        return self._owed == 0 and self._parts is None

    def feed(self, data: bytes) -> Iterator[tuple[Op, str | bytes]]:
        """Raises `TooLarge` or `ProtocolError`, after what was good has been given out."""
        conn = self._conn
        conn.receive_data(data)
        self._owed += len(data)
        for event in conn.events_received():
            item = cast(Frame, event)  # after the handshake there is nothing else
            op, body = int(item.opcode), bytes(item.data)
            self._owed -= _masked_size(len(body))
            if op in (Op.PING, Op.PONG, Op.CLOSE):
                yield Op(op), body
                continue
            if op:  # 0 continues a message
                self._op = Op(op)
            if not item.fin:
                self._parts = self._parts or []
                self._parts.append(body)
                continue
            if self._parts is not None:
                body, self._parts = b"".join((*self._parts, body)), None
            yield self._op, _text(body) if self._op is Op.TEXT else body
        conn.data_to_send()
        if conn.parser_exc is not None:
            kind = TooLarge if isinstance(conn.parser_exc, PayloadTooBig) else ProtocolError
            raise kind(str(conn.parser_exc))


class Parsers:
    """Parsers for messages of at most `limit` bytes, lent out."""

    __slots__ = ("_free", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free: list[FrameParser] = []

    def take(self) -> FrameParser:
        return self._free.pop() if self._free else FrameParser(self.limit)

    def give(self, parser: FrameParser) -> None:
        """Take back a parser that is idle."""
        if len(self._free) < MAX_FREE:
            self._free.append(parser)


def _masked_size(size: int) -> int:
    """How long a client's frame of that payload is on the wire."""
    return size + (6 if size < 126 else 8 if size < 65536 else 14)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise ProtocolError("bad UTF-8") from None
