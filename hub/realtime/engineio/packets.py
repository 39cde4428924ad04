"""Engine.IO v4 packets and the payloads that polling packs them into.

Pure: no socket, no session, no clock.
"""

from __future__ import annotations

import base64
import binascii
import enum
from collections.abc import Iterable
from typing import NamedTuple

from hub.realtime.errors import ProtocolError

# An encoded packet: "4hello" for text, raw bytes for a binary message.
Wire = str | bytes

SEPARATOR = "\x1e"


class Kind(enum.StrEnum):
    OPEN = "0"
    CLOSE = "1"
    PING = "2"
    PONG = "3"
    MESSAGE = "4"
    UPGRADE = "5"
    NOOP = "6"


class Packet(NamedTuple):
    kind: Kind
    data: Wire


_KINDS = {str(kind): kind for kind in Kind}


def decode(wire: Wire) -> Packet:
    """Decode one packet as it travels in a WebSocket message. Raises `ProtocolError`."""
    if isinstance(wire, bytes):
        return Packet(Kind.MESSAGE, wire)
    kind = _KINDS.get(wire[:1])
    if kind is None:
        raise ProtocolError("unknown packet type")
    return Packet(kind, wire[1:])


def decode_payload(body: str, max_packets: int) -> list[Packet]:
    """Decode the body of a polling POST. Raises `ProtocolError`."""
    parts = body.split(SEPARATOR, max_packets)
    if len(parts) > max_packets:
        raise ProtocolError("too many packets")
    return [_from_base64(part[1:]) if part.startswith("b") else decode(part) for part in parts]


def _from_base64(text: str) -> Packet:
    try:
        return Packet(Kind.MESSAGE, base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise ProtocolError("bad base64") from None


def encode_payload(wires: Iterable[Wire]) -> str:
    """Encode the body of an answer to a polling GET."""
    return SEPARATOR.join(
        wire if isinstance(wire, str) else "b" + base64.b64encode(wire).decode() for wire in wires
    )
