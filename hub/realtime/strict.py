"""Socket.IO packets held to the letter: whatever a client may not send is refused while it is decoded.

JSON as browsers know it (no NaN), a depth that nothing downstream stumbles over, no event that would call
the application's own lifecycle handlers, no attachments unless they are allowed.
"""

from __future__ import annotations

from typing import Any

import orjson
from socketio import packet as sio

from hub.realtime.errors import ProtocolError

# Names the libraries of either side use for themselves. "*" is python-socketio's catch-all handler.
RESERVED = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "*"}
)
MAX_DEPTH = 32  # of one argument
TYPES = frozenset("012356")  # a client never sends 4, CONNECT_ERROR


class StrictJson:
    """The JSON module python-socketio is given."""

    @staticmethod
    def loads(text: str, **_options: Any) -> Any:
        """Raises ValueError."""
        return orjson.loads(text)

    @staticmethod
    def dumps(value: Any, **_options: Any) -> str:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def too_deep(value: Any, limit: int) -> bool:
    """Whether containers are nested more than `limit` levels, found level by level, without recursion."""
    level = [value]
    for _ in range(limit + 1):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return False
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return True


class StrictPacket(sio.Packet):  # type: ignore[misc]  # socketio has no types
    """Raises `ProtocolError` for anything but a sound packet of a client."""

    json = StrictJson
    max_attachments = 0

    def decode(self, encoded_packet: Any) -> int:
        """The number of attachments to follow."""
        if not isinstance(encoded_packet, str) or encoded_packet[:1] not in TYPES:
            raise ProtocolError("bad packet type")
        try:
            attachments = int(super().decode(encoded_packet) or 0)
        except ValueError as error:  # includes JSON's
            raise ProtocolError(f"bad Socket.IO packet: {error}") from None
        self._check(attachments)
        brackets = encoded_packet.count("[") + encoded_packet.count("{")
        if brackets > MAX_DEPTH and too_deep(self.data, MAX_DEPTH + 1):  # one more for the array of arguments
            raise ProtocolError("nested too deep")
        return attachments

    def _check(self, attachments: int) -> None:
        kind, data = self.packet_type, self.data
        binary = kind in (sio.BINARY_EVENT, sio.BINARY_ACK)
        if binary != (attachments > 0) or attachments > self.max_attachments:
            raise ProtocolError("bad attachment count")
        if kind == sio.CONNECT and not (data is None or isinstance(data, dict)):
            raise ProtocolError("bad CONNECT payload")
        if kind == sio.DISCONNECT and data is not None:
            raise ProtocolError("bad DISCONNECT payload")
        if kind in (sio.EVENT, sio.BINARY_EVENT) and not (
            isinstance(data, list) and data and isinstance(data[0], str) and data[0] not in RESERVED
        ):
            raise ProtocolError("bad EVENT payload")
        if kind in (sio.ACK, sio.BINARY_ACK) and not (isinstance(data, list) and self.id is not None):
            raise ProtocolError("bad ACK payload")

    def add_attachment(self, attachment: Any) -> bool:
        """True when it was the last one."""
        if not isinstance(attachment, bytes):
            raise ProtocolError("attachment expected")
        try:
            return bool(super().add_attachment(attachment))
        except (IndexError, TypeError, ValueError) as error:  # bad placeholder
            raise ProtocolError(f"bad attachment: {error}") from None
