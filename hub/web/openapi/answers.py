"""The schemas of what users and backends are answered. Strict tests hold every answer against them."""

from __future__ import annotations

from hub.domain.delivery import Status
from hub.domain.preferences import DIGEST_PATTERN
from hub.web.openapi.shapes import (
    CHANNEL,
    CURSOR,
    DATA,
    OUTSIDE,
    ROOM,
    SEVERITY,
    STATUS,
    TIME,
    ULID,
    USER,
    Schema,
    counts,
    flag,
    many,
    nullable,
    number,
    record,
    ref,
    text,
    whole,
    words,
)

_EVENT: dict[str, Schema] = {
    "id": ULID | {"description": "what clients remove duplicates by"},
    "type": text("the canonical name", examples=["booking.created"]),
    "title": nullable(text()),
    "message": nullable(text()),
    "link": nullable(text("where a click leads")),
    "data": DATA,
    "severity": SEVERITY,
    "tenantId": text(),
    "createdAt": TIME,
    "cursor": nullable(CURSOR),
}
_MARKS: dict[str, Schema] = {
    "read": flag(),
    "readAt": nullable(TIME),
    "seenAt": nullable(TIME),
    "archivedAt": nullable(TIME),
    "channels": many(ref("ChannelState"), "the caller's own deliveries; empty in live events"),
}
_ONE_ROOM = {"room": ROOM | {"description": "only when the event went to exactly one room"}}
_PLANNED: dict[str, Schema] = {"id": ULID, "userId": USER, "channel": OUTSIDE, "status": STATUS}
_TAKEN: dict[str, Schema] = {
    "id": ULID,
    "cursor": nullable(CURSOR) | {"description": "null when it is volatile or scheduled"},
    "recipients": whole("how many rooms it went to; 0 when it was for whoever is near and nobody was"),
    "deliveries": many(
        ref("PlannedDelivery"), "to people who were named; those of a whole role follow later"
    ),
}
_LATER = {"scheduledAt": TIME | {"description": "when it will be sent"}}

SCHEMAS: dict[str, Schema] = {
    "ChannelState": record(
        {"channel": OUTSIDE, "status": STATUS, "attempts": whole(), "error": nullable(text())},
        description="what became of one delivery",
    ),
    "Envelope": record(
        _EVENT, _ONE_ROOM | _MARKS, "an event; one that is a notification has the marks too, fresh ones"
    ),
    "InboxItem": record(_EVENT | _MARKS, _ONE_ROOM, "a notification as it stands in the caller's inbox"),
    "InboxStats": record(
        {
            "total": whole(),
            "unread": whole(),
            "byType": counts(record({"total": whole(), "unread": whole()})),
            "byChannel": counts(counts(whole()), "for each channel how many are in which state"),
        }
    ),
    "Step": record(
        {
            "deliveryId": nullable(ULID),
            "channel": CHANNEL,
            "step": words(["attempt", *STATUS["enum"], "bounced", "complained", "unsubscribed"]),
            "at": TIME,
            "attempt": nullable(whole()),
            "provider": nullable(text()),
            "outcome": nullable(words(("sent", "temporary", "permanent", "lost"))),
            "durationMs": nullable(number()),
            "detail": nullable(text("what the provider said, or why it stands where it does")),
            "dueAt": nullable(TIME),
            "maybeDuplicate": flag(),
        },
        description="one step of a delivery; what does not belong to it is null",
    ),
    "Browser": record(
        {
            "id": ULID,
            "host": text("of its push service"),
            "userAgent": nullable(text()),
            "createdAt": TIME,
            "usedAt": nullable(TIME),
        },
        description="one that gets web push",
    ),
    "ReadAll": record({"updated": whole(), "readAt": TIME, "unreadCount": whole()}),
    "Ticket": record({"ticket": text(), "expiresIn": whole("seconds")}),
    "PlannedDelivery": record(_PLANNED, {"reason": text("why it is skipped")}),
    "Explained": record(
        {
            "userId": USER,
            "channel": CHANNEL,
            "status": words((Status.PLANNED, Status.SKIPPED)),
            "address": nullable(text("a hint of it", examples=["a***@example.com"])),
            "reason": nullable(text("why it is skipped, or waits")),
            "dueAt": nullable(TIME),
        },
        description="what one person would get on one channel",
    ),
    "Accepted": record(_TAKEN, _LATER, "stored, with every delivery it lists"),
    "BatchAccepted": record(
        {"status": {"const": 202}} | _TAKEN, _LATER | {"idempotencyReplayed": {"const": True}}
    ),
    "BatchResult": record(
        {"results": many({"anyOf": [ref("BatchAccepted"), ref("Problem")]}, "in the order of the request")}
    ),
    "Cancelled": record({"id": ULID, "cancelled": whole("how many things will not be sent")}),
    "Preferences": record(
        {
            **{channel: flag() for channel in CHANNEL["enum"]},
            "types": counts(counts(flag()), "where a type differs from its channels"),
            "quietHours": nullable(record({"start": text(), "end": text(), "timezone": nullable(text())})),
            "digest": nullable(text(pattern=f"^({DIGEST_PATTERN})$")),
            "locale": nullable(text()),
        },
        description="everything that holds, whoever has said it",
    ),
    "Contact": record(
        {
            "id": USER,
            "email": nullable(text()),
            "phone": nullable(text()),
            "locale": nullable(text()),
            "timezone": nullable(text()),
            "roles": many(text()),
            "discordWebhook": nullable(text()),
            "createdAt": TIME,
            "updatedAt": TIME,
        },
        description="where a person can be reached",
    ),
    "SandboxMessage": record(
        {
            "id": text(),
            "tenantId": text(),
            "userId": USER,
            "channel": CHANNEL,
            "to": text(),
            "subject": text(),
            "text": text(),
            "html": nullable(text()),
            "embed": nullable({"type": "object", "description": "of Discord"}),
            "link": nullable(text()),
            "at": TIME,
        },
        description="what would have been sent",
    ),
    "DemoPeople": record(
        {
            "apiKey": text("the development key, of the whole platform"),
            "tenants": many(
                record(
                    {
                        "id": text(),
                        "name": text(),
                        "users": many(
                            record({"id": USER, "name": text(), "role": text(), "token": text("a JWT")})
                        ),
                    }
                )
            ),
        }
    ),
}
