"""The schemas of what admins are answered. Rows of the log keep the names that programs read them by."""

from __future__ import annotations

from hub.domain.access import SCOPES
from hub.domain.events import SEVERITIES
from hub.web.openapi.shapes import (
    CHANNEL,
    OUTSIDE,
    ROOM,
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

_KEY: dict[str, Schema] = {
    "id": ULID,
    "tenantId": nullable(text("null: the whole platform")),
    "name": nullable(text()),
    "scopes": many(words(SCOPES)),
    "prefix": text("how the secret begins"),
    "createdAt": TIME,
    "revokedAt": nullable(TIME),
}
COUNTED: dict[str, Schema] = {
    "room": ROOM,
    "totalOnline": whole("users with at least one connection"),
    "byRole": counts(whole()),
    "connections": whole(),
    "sessions": whole(),
}
PARTIAL = {"partial": flag("true while only the connections of this process can be counted", const=True)}

_OVERRIDE: dict[str, Schema] = {
    "locale": nullable(text("null: for every language")),
    "updatedAt": TIME,
    "updatedBy": text("who put it there", examples=["user:1"]),
}
_TEMPLATE: dict[str, Schema] = {
    "type": text(examples=["booking.created"]),
    "channel": CHANNEL,
    "locale": nullable(text("the language that was asked for")),
    "source": text("what is in force for it"),
    "default": text("what comes with the hub"),
    "defaultName": text("the file that is", examples=["booking.created/email.de.j2"]),
    "overridden": flag("whether what is in force is the tenant's own"),
    "override": nullable(ref("Override")),
    "blocks": record({"needed": many(text()), "optional": many(text())}, description="of this channel"),
}

SCHEMAS: dict[str, Schema] = {
    "Suppression": record(
        {
            "channel": OUTSIDE,
            "id": text("a digest of the address", pattern="^[0-9a-f]{64}$"),
            "hint": text("what may be seen of it", examples=["a***@example.com"]),
            "reason": words(("bounced", "complained", "unsubscribed", "gone", "manual")),
            "deliveryId": nullable(ULID),
            "createdAt": TIME,
        },
        description="an address that gets nothing any more",
    ),
    "Rules": record(
        {
            "channels": many(CHANNEL, "where it goes when the sender does not say"),
            "severity": words(SEVERITIES),
            "mutable": flag("whether people may switch it off"),
            "ttlDays": nullable(whole("how long it is worth showing")),
            "digest": nullable(ref("DigestRule")),
            "throttle": nullable(ref("ThrottleRule")),
            "escalate": counts(whole(), "seconds by channel"),
        }
    ),
    "TypeRow": record(
        {
            "type": text(examples=["booking.created"]),
            "wire": text("the name under which live clients get it"),
            "aliases": many(text(), "other names a sender may use"),
            "registered": flag("false: a name of the tenant's own"),
            "rules": ref("Rules"),
            "default": ref("Rules"),
            "sources": counts(words(("hub", "file", "tenant")), "who says each rule; file: the operator's"),
            "overridden": flag("whether the tenant has said something"),
            "override": nullable({"type": "object", "description": "what it has said"}),
            "updatedAt": nullable(TIME),
            "updatedBy": nullable(text("who said it", examples=["user:1"])),
        },
        description="`rules` hold; `default` is what the hub says",
    ),
    "Override": record(_OVERRIDE),
    "TemplateRow": record(
        {
            "type": text("a type, `default` for those without words of their own, or `_digest`"),
            "channel": CHANNEL,
            "locales": many(text(), "the languages that the hub brings along", examples=[["en", "de", "vi"]]),
            "overridden": flag("whether the tenant has templates of its own there"),
            "overrides": many(ref("Override")),
        }
    ),
    "Template": record(_TEMPLATE),
    "TemplatePut": record(
        _TEMPLATE | {"warnings": many(text(), "what an event could lack; it then gets the hub's own words")}
    ),
    "Rendered": record(
        {
            "subject": nullable(text("of a mail")),
            "text": nullable(text("of a mail or a text message")),
            "html": nullable(text("of a mail, a whole page")),
            "embed": nullable({"type": "object", "description": "of Discord"}),
            "title": nullable(text("of the others")),
            "message": nullable(text("of the others")),
        }
    ),
    "OnlineUser": record({"userId": USER, "roles": many(text()), "connections": whole()}),
    "NamedUser": record({"userId": USER, "online": flag(), "lastSeen": nullable(TIME)}),
    "Presence": record(
        COUNTED
        | {
            "byTransport": counts(whole()),
            "nodes": counts(whole(), "connections by process"),
            "users": many(ref("OnlineUser"), "the first ones by id"),
        },
        PARTIAL | {"named": many(ref("NamedUser"), "those that were asked for by `user`")},
    ),
    "LogRow": record(
        {
            "id": ULID,
            "user_id": nullable(USER),
            "event": text("the type"),
            "payload": {"type": "object"},
            "delivered": flag(),
            "delivered_at": nullable(TIME),
            "error": nullable(text()),
            "created_at": TIME,
            "channel": CHANNEL,
            "attempts": whole(),
        },
        description="a delivery, or (channel inApp) a notification itself",
    ),
    "Delivery": record(
        {
            "id": ULID,
            "notificationId": ULID,
            "userId": USER,
            "channel": OUTSIDE,
            "status": STATUS,
            "attempts": whole(),
            "dueAt": nullable(TIME),
            "reason": nullable(text()),
            "error": nullable(text()),
            "provider": nullable(text()),
            "maybeDuplicate": flag(),
            "at": TIME,
        },
        description="one notification to one person on one outside channel, as it stands",
    ),
    "Stats": record(
        {
            "from": TIME,
            "to": TIME,
            "bucketSeconds": whole(minimum=1),
            "complete": flag("false: the span holds more than was counted"),
            "notifications": whole(),
            "byType": counts(whole()),
            "byChannel": counts(counts(whole())),
            "byStatus": counts(whole()),
            "overTime": many(
                record({"at": TIME, "notifications": whole(), "deliveries": counts(whole())}),
                "buckets in which there was something",
            ),
            "latencyMs": record(
                {"count": whole(), "p50": nullable(number()), "p99": nullable(number())},
                description="from being stored to being taken by the provider",
            ),
            "queue": record({"depth": whole(), "oldestDueAt": nullable(TIME), "ageSeconds": number()}),
        }
    ),
    "Revoked": record({"issuedBefore": TIME, "expiresAt": TIME | {"description": "when it is forgotten"}}),
    "Key": record(_KEY),
    "KeyWithSecret": record(_KEY | {"secret": text("shown this once")}),
    "Tenant": record(
        {
            "id": text(),
            "epoch": text(),
            "events": whole(),
            "createdAt": TIME,
            "retentionDays": nullable(whole()),
        }
    ),
    "Note": record(
        {
            "id": ULID,
            "actor": text(examples=["user:1"]),
            "action": text(examples=["token.revoke"]),
            "target": nullable(text()),
            "details": {"type": "object"},
            "requestId": nullable(text()),
            "at": TIME,
        },
        description="what an admin did",
    ),
}
