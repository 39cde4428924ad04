"""What travels on live connections besides events: its names and the schemas of its payloads.

`SENDS` is what the hub says, `HEARS` what a client says with the answers it may get. A name that is sent or
heard and does not stand here fails a test.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.domain.errors import all_refusals
from hub.web.openapi.reports import COUNTED, PARTIAL
from hub.web.openapi.shapes import (
    CURSOR,
    OUTSIDE,
    ROOM,
    STATUS,
    TIME,
    ULID,
    USER,
    Schema,
    flag,
    many,
    nullable,
    record,
    ref,
    text,
    whole,
    words,
)
from hub.web.parameters import MAX_IDS

_CODES = sorted(kind.code for kind in all_refusals())
_IDS = many(ULID, minItems=1, maxItems=MAX_IDS)
_SEEN = record({"ids": _IDS, "seenAt": TIME})
_READ_ALL = record({"readAt": TIME, "unreadCount": whole()})
_CAME = record({"room": ROOM, "userId": nullable(USER), "roles": many(text()), "at": TIME})

PROTOCOL: dict[str, Schema] = {
    "Connected": record(
        {
            "sid": text("this connection"),
            "sessionId": text(),
            "userId": USER,
            "tenantId": text(),
            "rooms": many(ROOM),
            "cursor": CURSOR,
            "recovered": flag("whether everything after the given cursor is there or follows now"),
            "recoveryReason": nullable(text("why not", examples=["epoch", "trimmed", "limit", "invalid"])),
            "replayed": whole("how many events follow from the past"),
            "unreadCount": nullable(whole()),
            "heartbeatMs": whole(),
            "expiresAt": nullable(TIME),
        },
        description="the first thing on every connection",
    ),
    "Refused": record(
        {"code": text(examples=_CODES), "message": text()}, {"retryAfter": {"type": "number"}}, "an answer"
    ),
}


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of a client: its argument, and the name under which it is answered."""

    payload: Schema
    answer: str
    said: str


HEARS: dict[str, Heard] = {
    "ping": Heard({"type": ["object", "null"]}, "pong", "are you there"),
    "joinRoom": Heard(record({"room": ROOM}), "joinedRoom", "a `topic:` room that the token allows"),
    "leaveRoom": Heard(record({"room": ROOM}), "leftRoom", "the automatic rooms cannot be left"),
    "getPresence": Heard(
        {"anyOf": [record({}, {"room": ROOM}), {"type": "null"}]},
        "presenceStats",
        "who is online; from then on `presence:join` and `presence:leave` come",
    ),
    "markNotificationRead": Heard(
        {"anyOf": [record({"id": ULID}), record({"notificationId": ULID})]}, "notificationRead", "one is read"
    ),
    "markAllRead": Heard({"type": ["object", "null"]}, "notification:read_all", "all up to now are read"),
    "markSeen": Heard(record({"ids": _IDS}), "notification:seen", "they were on a screen"),
    "refresh": Heard(record({"token": text("a JWT")}), "auth:refreshed", "go on with a new token"),
    "updateLocation": Heard(
        ref("Location"), "locationUpdated", "the user is here now; never shown to anybody"
    ),
    "ack": Heard(
        record({"cursor": CURSOR}), "error", "all up to here has arrived; answered only when refused"
    ),
}
SENDS: dict[str, tuple[Schema, str]] = {
    "connected": (ref("Connected"), "the first thing on every connection"),
    "notification:new": (ref("Envelope"), "a notification; also sent under its own name"),
    "notification:read": (
        record({"ids": _IDS, "readAt": TIME, "unreadCount": whole()}),
        "read on another connection of the user",
    ),
    "notification:read_all": (_READ_ALL, "all were read"),
    "notification:seen": (_SEEN, "they were seen"),
    "notification:updated": (ref("InboxItem"), "the marks of a notification changed"),
    "notification:deleted": (record({"id": ULID}), "the user removed it"),
    "notification:unread_count": (record({"count": whole()}), "after everything that may change it"),
    "preferences:updated": (ref("Preferences"), "the user wants something else now"),
    "delivery:update": (
        record(
            {
                "id": ULID,
                "notificationId": ULID,
                "userId": USER,
                "channel": OUTSIDE,
                "status": STATUS,
                "attempts": whole(),
                "error": nullable(text()),
                "provider": nullable(text()),
                "maybeDuplicate": flag(),
                "at": TIME,
            }
        ),
        "to the user and to `role:ADMIN`",
    ),
    "presence:join": (_CAME, "a user came; `userId` is null for who may not see users"),
    "presence:leave": (_CAME, "a user has gone"),
    "heartbeat": (record({"timestamp": TIME}), "at a fixed interval; not on streams"),
    "auth:expiring": (record({"expiresAt": TIME}), "answer with `refresh` in time"),
    "sync:reset": (
        record({"reason": text(), "earliest": nullable(CURSOR)}),
        "what was missed cannot be replayed: fetch it by REST",
    ),
    "server:draining": (record({"retryAfterMs": whole()}), "this process stops: come back after that time"),
    "session:closed": (
        record({"code": text(), "reason": text(), "reconnect": flag()}),
        "the last event before the hub disconnects",
    ),
    "pong": (record({"timestamp": TIME}), "the answer to `ping`"),
    "joinedRoom": (record({"room": ROOM}), "the answer to `joinRoom`"),
    "leftRoom": (record({"room": ROOM}), "the answer to `leaveRoom`"),
    "presenceStats": (
        record(COUNTED, PARTIAL | {"users": many(ref("OnlineUser"), "for who may see users")}),
        "the answer to `getPresence`",
    ),
    "notificationRead": (record({"id": ULID}), "the answer to `markNotificationRead`"),
    "locationUpdated": (record({"expiresAt": TIME}), "the answer to `updateLocation`"),
    "auth:refreshed": (record({"expiresAt": TIME}), "the answer to `refresh`"),
    "error": (ref("Refused"), "an event was refused; the connection stays"),
}
# What Socket.IO gives as two arguments; elsewhere only the last one is shown.
PAIRS: dict[str, Schema] = {
    "notification:read": {"type": "array", "items": [ULID, SENDS["notification:read"][0]], "minItems": 2}
}
AUTH: Schema = record(
    {},
    {
        "token": text("the JWT"),
        "cursor": CURSOR | {"description": "replay everything after this place first"},
        "events": words(("both", "generic", "typed"), "how notifications are named"),
        "types": many(text(), "patterns such as `booking.*`, names or aliases"),
        "rooms": many(text(), "`topic:` rooms to join at once"),
        "recovery": flag("be recoverable: the answer has a `pid`, and stored events end in their cursor"),
        "pid": text("of the connection to come back to; stock clients send it by themselves"),
        "offset": CURSOR | {"description": "where that connection was"},
    },
    "what a client puts into `auth`",
)
# Of the dialects of streams.
_OLDER = record({"isRead": flag(), "actionUrl": nullable(text())})
_GREETED = {"properties": {"type": {"const": "connected"}}, "required": ["type"]}
DIALECTS: dict[str, tuple[Schema, ...]] = {
    "message": (
        {"allOf": [_GREETED, ref("Connected")]},
        {"allOf": [ref("Envelope"), _OLDER]},
        record({"type": {"const": "ping"}}),
    ),
    "envelope": (
        record({"type": {"const": "connected"}, "timestamp": TIME}),
        record(
            {
                "type": {"const": "notification"},
                "data": {"allOf": [ref("Envelope"), _OLDER]},
                "timestamp": TIME,
            }
        ),
    ),
    "booking": (
        record({"type": text(pattern="^booking\\."), "data": {"type": "object"}, "tenantId": text()}),
    ),
}
