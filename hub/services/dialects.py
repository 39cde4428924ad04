"""What a stream says in the words of older programs: the JSON of one unnamed message.

Each dialect is what clients already read: `message` (the notification itself), `envelope` (a typed wrapper
around it) and `booking` (type, data and tenant). The hub's own dialect, `named`, is written by the frame and
needs nothing from here. A message is made once per event and dialect, whoever receives it. Does not know who
speaks which dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.services.wire import dumps, loads

NAMED, MESSAGE, ENVELOPE, BOOKING = "named", "message", "envelope", "booking"
PING = dumps({"type": "ping"})


def event(body: bytes, dialect: str) -> bytes | None:
    """The message for an event whose envelope is `body`; None: the dialect is not known here."""
    shape = loads(body)
    if dialect == BOOKING:
        return dumps({name: shape[name] for name in ("type", "data", "tenantId")})
    older = {**shape, "isRead": shape.get("read", False), "actionUrl": shape["link"]}
    if dialect == MESSAGE:
        return dumps(older)
    if dialect == ENVELOPE:
        return dumps({"type": "notification", "data": older, "timestamp": shape["createdAt"]})
    return None


def greeting(connected: Mapping[str, Any], at: str, dialect: str) -> bytes | None:
    """What a stream says first, with the payload of `connected` and the time.

    Empty: nothing but the place, which a browser keeps without telling the page (HTML, section 9.2.6).
    Readers of bookings expect bookings and nothing else.
    """
    if dialect == MESSAGE:
        return dumps({"type": "connected", **connected})
    if dialect == ENVELOPE:
        return dumps({"type": "connected", "timestamp": at})
    return b"" if dialect == BOOKING else None
