"""The schemas of request bodies, from the very forms that read them, with the limits of this hub.

What a form cannot say (audiences, batches) is added here. What no schema can say (a time zone that exists,
a moment in the future, bytes as JSON) stands in words, and is refused with 422 all the same.
"""

from __future__ import annotations

from typing import Any

from hub.domain.preferences import MAX_TYPES
from hub.web import admin_bodies, bodies, broadcast, places, push, rules, suppressions, wishes
from hub.web.context import WebOptions
from hub.web.fields import Addressee, Form
from hub.web.openapi.shapes import Schema, many, nullable, record, ref, text

FORMS: dict[str, tuple[type[Form], str]] = {
    "Addressee": (Addressee, "a person, with the addresses to remember"),
    "Nearby": (places.Nearby, "everybody who is near a place when it is sent, nearest first"),
    "Circle": (places.Circle, "a place and how far from it"),
    "Location": (places.Location, "where the caller is"),
    "Notification": (bodies.NotificationBody, "what is to be told, and to whom"),
    "OlderNotification": (bodies.RecipientBody, "the same in the shape of older programs: one recipient"),
    "Event": (bodies.EventBody, "a realtime event that stands in no inbox"),
    "Person": (bodies.PersonBody, "what is left out stays as it is; null removes it"),
    "PersonEntry": (bodies.PersonEntry, "one person of a batch"),
    "TenantBroadcast": (
        broadcast.BroadcastBody,
        "to everybody of the tenant, in the shape of older programs",
    ),
    "StoredNotification": (
        broadcast.StoredNotification,
        "fields that are not named here are kept in its `data`",
    ),
    "Broadcast": (admin_bodies.BroadcastBody, "to everybody of the tenant, or with `role` of that role"),
    "PushSubscription": (push.PushSubscription, "a browser that shall get web push"),
    "PushKeys": (push.PushKeys, "the browser's keys, base64url"),
    "NewSuppression": (suppressions.SuppressionBody, "an address that shall get nothing any more"),
    "Revoke": (admin_bodies.RevokeBody, "exactly one of the first four"),
    "NewKey": (admin_bodies.KeyBody, "what the key may do"),
    "ChannelWishes": (wishes.ChannelWishes, "which channels are wanted; null takes a word back"),
    "OutsideWishes": (wishes.OutsideWishes, "which outside channels are wanted"),
    "QuietHours": (wishes.QuietHours, "by the wall clock, every day; over midnight when the end is earlier"),
    "PreferencesChange": (wishes.PreferencesBody, "what is left out stays as it is; null takes a word back"),
    "Defaults": (wishes.DefaultsBody, "what holds for people of the tenant who have said nothing else"),
    "NewTemplate": (admin_bodies.TemplateBody, "a template, and what to try it with if not with the sample"),
    "Preview": (admin_bodies.PreviewBody, "which template, for whom, and about what"),
    "TypeRules": (rules.TypeRules, "what is left out is as the hub says; null is none"),
    "DigestRule": (rules.DigestRule, "what comes within `window` seconds leaves in one message"),
    "ThrottleRule": (rules.ThrottleRule, "at most so many to one person on each outside channel"),
    "Escalation": (rules.Escalation, "seconds after which a channel is tried, too, unless it was seen"),
    "NewTenant": (admin_bodies.TenantBody, "a tenant to create"),
    "TenantChange": (admin_bodies.TenantChange, "how many days its log is kept; null: the installation's"),
}
# What is said of single fields wherever they occur.
_SAID = {
    "endpoint": "https, on the internet; refused where it is not",
    "expirationTime": "not looked at: an endpoint that has ended says so",
    "p256dh": "65 bytes",
    "auth": "16 bytes",
    "address": "an e-mail address, a phone number, or the URL of a webhook",
    "data": "an object of at most {max_data_bytes} bytes as JSON, nested at most {max_json_depth} levels",
    "type": "a registered type, one of its aliases, or a name of your own; not a name of the protocol itself",
    "title": "from the type's template when it is left out",
    "message": "from the type's template when it is left out",
    "link": "where a click leads; javascript:, data:, vbscript:, file: and blob: are refused",
    "channels": "the type's own when they are left out",
    "severity": "the type's own when it is left out",
    "sendAt": "send it then; with its zone",
    "expiresAt": "from then on it is neither shown nor replayed; later than `sendAt`, with its zone",
    "collapseKey": "it takes the place of what was sent to the same rooms under the same key before",
    "actor": "who caused it",
    "durable": "false: not in the log either, only for who is connected now",
    "tenantId": "the tenant, with a key of the whole platform; another key's own at most",
    "issuedBefore": "all tokens of the tenant that were issued up to then; not in the future",
    "source": "a Jinja template of the blocks that the channel needs",
    "jti": "one token",
    "sessionId": "every token of the session",
    "types": "by the name of a type or one of its aliases: wins over the channel as a whole",
    "quietHours": "in their time zone, else in the person's, else in UTC; the same start and end: never",
    "digest": "mails are gathered until then; `daily` alone is at 08:00; off: each by itself, at once",
    "lat": "degrees; the caps beyond are left out, as on web maps",
    "lon": "degrees",
    "radiusMeters": "at most {near_radius:g}",
    "accuracy": "metres; what is only known more roughly than {near_radius:g} is refused",
}
_NAMED = ref("Room")


def schemas(options: WebOptions) -> dict[str, Schema]:
    """Every form's schema by its name in the components."""
    most = options.max_rooms
    unknown = [_NAMED, ref("Nearby")]
    everyone = [_NAMED, ref("Addressee"), ref("Nearby")]
    shapes: dict[str, Schema] = {
        "Room": text(
            "`user:`, `role:`, `session:` or `topic:` and a name, or `tenant:` and the tenant",
            pattern=r"^(user|role|tenant|session|topic):[^\s/,\u0000-\u001f\u007f\u0085]{1,128}$",
            examples=["user:42", "role:ADMIN", "topic:jobs.hanoi"],
        ),
        "Audience": {
            "description": "a room, a user object, a place to be near, or a list of them with at most one "
            "user object and one place",
            "anyOf": [*everyone, many({"anyOf": everyone}, minItems=1, maxItems=most)],
        },
        "EventAudience": {
            "description": "a room, a place to be near, or a list of them with at most one place",
            "anyOf": [*unknown, many({"anyOf": unknown}, minItems=1, maxItems=most)],
        },
        "ByType": _by_type("ChannelWishes"),
        "OutsideByType": _by_type("OutsideWishes"),
        "Excluded": {
            "description": "rooms whose members do not get it",
            "anyOf": [_NAMED, many(_NAMED, maxItems=most)],
        },
    }
    shapes |= {name: _form(form, said, options) for name, (form, said) in FORMS.items()}
    shapes["Circle"]["properties"]["radiusMeters"]["maximum"] = options.near_radius
    shapes["Location"]["properties"]["accuracy"]["anyOf"][0]["maximum"] = options.near_radius
    shapes["NotificationEntry"] = _entry(shapes["Notification"])
    shapes["OlderNotificationEntry"] = _entry(shapes["OlderNotification"])
    tenant = shapes["Person"]["properties"]["tenantId"]
    either = {"anyOf": [ref("NotificationEntry"), ref("OlderNotificationEntry")]}
    shapes["Batch"] = _batch("notifications", either, tenant, options)
    shapes["People"] = _batch("users", ref("PersonEntry"), tenant, options)
    shapes["DemoBooking"] = {"additionalProperties": True} | record(
        {"tenant": text(enum=["city-hotel", "resort-hotel"])},
        {"guest": text("one of the hotel's guests"), "type": text("the name of a type")},
        "something happens to a made-up booking",
    )
    return shapes


def _by_type(name: str) -> Schema:
    return {
        "type": "object",
        "maxProperties": MAX_TYPES,
        "propertyNames": {"pattern": f"^{wishes.TYPE.pattern}$"},
        "additionalProperties": nullable(ref(name)),
    }


def _form(form: type[Form], said: str, options: WebOptions) -> Schema:
    schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("title")
    schema.pop("$defs", None)  # every form is listed by itself
    for name, field in schema["properties"].items():
        field.pop("title", None)
        if field.get("default", 0) is None:
            del field["default"]
        if name in _SAID:
            field["description"] = _SAID[name].format_map(_limits(options))
    cleaned: Schema = _put_in(schema)
    return cleaned | {"description": said}


def _limits(options: WebOptions) -> dict[str, float]:
    return {
        "max_data_bytes": options.max_data_bytes,
        "max_json_depth": options.max_json_depth,
        "near_radius": options.near_radius,
    }


def _put_in(schema: Any) -> Any:
    """The schema with references where the forms only name a shape."""
    if isinstance(schema, list):
        return [_put_in(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return (
        ref(schema["shape"]) if "shape" in schema else {key: _put_in(value) for key, value in schema.items()}
    )


def _entry(notification: Schema) -> Schema:
    key = nullable(text("so that sending it again changes nothing", pattern="^[ -~]{1,255}$"))
    return notification | {"properties": notification["properties"] | {"idempotencyKey": key}}


def _batch(name: str, item: Schema, tenant: Schema, options: WebOptions) -> Schema:
    listed = many(item, minItems=1, maxItems=options.max_batch)
    whole_object = record({name: listed}, {"tenantId": tenant}) | {"additionalProperties": False}
    return {"description": "an object, or just the list", "anyOf": [whole_object, listed]}
