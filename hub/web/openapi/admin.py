"""What admins see and do."""

from __future__ import annotations

from hub.domain.errors import (
    ConnectionUnknown,
    DeliveryUnknown,
    Invalid,
    KeyUnknown,
    NotificationUnknown,
    RoomInvalid,
    RulesUnknown,
    StateConflict,
    SuppressionUnknown,
    TemplateUnknown,
    TenantUnknown,
    TypeUnknown,
    ValidationFailed,
)
from hub.web.openapi import examples
from hub.web.openapi.operation import Answer, Operation, json, nothing, path, query
from hub.web.openapi.parameters import (
    AFTER_PLACE,
    FILTERS,
    ID,
    LIMIT,
    LIST,
    ONCE,
    PAGE,
    SPAN,
    TAKEN,
    TENANT,
    TYPE,
)
from hub.web.openapi.sending import SENDS
from hub.web.openapi.shapes import CHANNEL, OUTSIDE, ROOM, ULID, USER, many, ref, text, words

_ADMIN = "Admin"
_PLATFORM = "Platform"
_READS = (Invalid, ValidationFailed)
_DEFAULTS = json("What the tenant has said", ref("Defaults"))
_TYPE = path("type", text(pattern="^[A-Za-z][A-Za-z0-9_.:-]{0,127}$", examples=["booking.created"]))
_TEMPLATE = (
    path("type", text(pattern="^[A-Za-z_][A-Za-z0-9_.:-]{0,127}$", examples=["booking.created"])),
    path("channel", CHANNEL | {"examples": ["sms"]}),  # what the example of a source is for
    query(
        "locale",
        text(pattern="^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}$", examples=["vi"]),
        "the reader's language; without it, the template for every language",
    ),
)
_TENANT_ID = text(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=[examples.TENANT])
_KEY_ID = path("id", ULID, "the id of an API key")


def _rows(description: str, name: str) -> Answer:
    return json(description, many(ref(name)), "Link")


OPERATIONS: dict[str, Operation] = {
    "GET /admin/presence": Operation(
        id="showPresence",
        tag=_ADMIN,
        parameters=(
            query("room", ROOM, "any room of the tenant; default the whole tenant"),
            LIMIT,
            query("user", LIST, "of these users it is said whether they are online"),
            TENANT,
        ),
        answers={200: json("Who is online, over all processes", ref("Presence"))},
        refuses=(*_READS, RoomInvalid),
    ),
    "GET /admin/notifications/logs": Operation(
        id="showLog",
        tag=_ADMIN,
        parameters=(
            *(*FILTERS, TYPE, *SPAN, LIMIT, AFTER_PLACE),
            query("format", words(("json", "csv")), "csv: all rows as a stream"),
            TENANT,
        ),
        answers={
            200: Answer(
                description="Newest first: a row for each delivery, and one for each notification itself",
                content={
                    "application/json": many(ref("LogRow")),
                    "text/csv": text("the same names, then rows"),
                },
                headers=("Link",),
            )
        },
        refuses=_READS,
    ),
    "GET /admin/notifications/stats": Operation(
        id="showStats",
        tag=_ADMIN,
        parameters=(
            *SPAN,
            query("bucket", text(pattern="^[0-9]{1,6}[smhd]$", default="1h"), "at most 1000 of them"),
            TENANT,
        ),
        answers={200: json("Counts, delays and the queue", ref("Stats"))},
        refuses=_READS,
    ),
    "POST /admin/notifications/broadcast": Operation(
        id="broadcast",
        tag=_ADMIN,
        parameters=(TENANT, ONCE),
        body=ref("Broadcast"),
        examples={
            "to everybody": {
                "title": "The pool is closed",
                "message": "Until noon.",
                "tenantId": examples.TENANT,
            },
            "to a role": {
                "type": "system",
                "role": "ADMIN",
                "title": "New rates",
                "tenantId": examples.TENANT,
            },
        },
        answers={202: TAKEN},
        refuses=SENDS,
    ),
    "GET /admin/notifications/{id}/timeline": Operation(
        id="showTimelineOf",
        tag=_ADMIN,
        parameters=(
            ID,
            query("userId", USER, "whose deliveries", required=True, allowEmptyValue=False),
            TENANT,
        ),
        answers={200: json("Every step, oldest first", many(ref("Step")))},
        refuses=(*_READS, NotificationUnknown),
    ),
    "GET /admin/deliveries": Operation(
        id="listDeliveries",
        tag=_ADMIN,
        description="`status=dead` are the dead letters.",
        parameters=(*FILTERS, *SPAN, *PAGE, TENANT),
        answers={200: _rows("Deliveries as they stand, newest first", "Delivery")},
        refuses=_READS,
    ),
    "POST /admin/deliveries/{id}/retry": Operation(
        id="retryDelivery",
        tag=_ADMIN,
        parameters=(path("id", ULID, "the id of a delivery"), TENANT),
        answers={200: json("The delivery as it stands now", ref("Delivery"))},
        refuses=(DeliveryUnknown, StateConflict),
    ),
    "GET /admin/suppressions": Operation(
        id="listSuppressions",
        tag=_ADMIN,
        parameters=(
            query("channel", OUTSIDE, "only of this channel"),
            LIMIT,
            query("after", text(maxLength=100), "what the link to the next page says"),
            TENANT,
        ),
        answers={200: _rows("Addresses that get nothing any more, the newest first", "Suppression")},
        refuses=_READS,
    ),
    "POST /admin/suppressions": Operation(
        id="addSuppression",
        tag=_ADMIN,
        description="The address itself is not kept, only its digest and a hint.",
        parameters=(TENANT,),
        body=ref("NewSuppression"),
        examples={
            "a mail address": {
                "channel": "email",
                "address": "nobody@example.com",
                "tenantId": examples.TENANT,
            }
        },
        answers={
            201: json("It gets nothing any more", ref("Suppression")),
            200: json("It stood there already, and keeps its reason", ref("Suppression")),
        },
    ),
    "DELETE /admin/suppressions/{channel}/{id}": Operation(
        id="removeSuppression",
        tag=_ADMIN,
        parameters=(
            path("channel", OUTSIDE),
            path("id", text(pattern="^[0-9a-f]{64}$"), "of the entry"),
            TENANT,
        ),
        answers={204: nothing("It gets messages again")},
        refuses=(SuppressionUnknown,),
    ),
    "POST /admin/revoke": Operation(
        id="revokeTokens",
        tag=_ADMIN,
        description="Within two seconds the tokens are refused in every process, and their connections end.",
        parameters=(TENANT,),
        body=ref("Revoke"),
        examples={
            "a user's": {"userId": examples.GUEST["id"], "tenantId": examples.TENANT},
            "all that are older": {"issuedBefore": "2026-11-20T10:00:00Z", "tenantId": examples.TENANT},
        },
        answers={200: json("Until when they are called back", ref("Revoked"))},
    ),
    "POST /admin/connections/{sid}/disconnect": Operation(
        id="disconnect",
        tag=_ADMIN,
        description="The token stays good: to keep somebody out, revoke.",
        parameters=(path("sid", text(pattern="^[!-.0-~]{1,128}$"), "as `connected` says it"), TENANT),
        answers={204: nothing("It is ended")},
        refuses=(ConnectionUnknown,),
    ),
    "POST /admin/api-keys": Operation(
        id="createKey",
        tag=_ADMIN,
        description="A platform key that names no tenant makes another key of the platform.",
        parameters=(TENANT,),
        body=ref("NewKey"),
        examples={"for a backend": {"scopes": ["notify"], "name": "the shop", "tenantId": examples.TENANT}},
        answers={201: json("The key, with its secret", ref("KeyWithSecret"))},
    ),
    "GET /admin/api-keys": Operation(
        id="listKeys",
        tag=_ADMIN,
        parameters=(TENANT,),
        answers={200: json("All of them, revoked ones too", many(ref("Key")))},
    ),
    "DELETE /admin/api-keys/{id}": Operation(
        id="revokeKey",
        tag=_ADMIN,
        parameters=(_KEY_ID, TENANT),
        answers={204: nothing("It works no longer")},
        refuses=(KeyUnknown,),
    ),
    "GET /admin/preferences": Operation(
        id="showDefaults", tag=_ADMIN, parameters=(TENANT,), answers={200: _DEFAULTS}, refuses=_READS
    ),
    "PUT /admin/preferences": Operation(
        id="setDefaults",
        tag=_ADMIN,
        description="All of them; what is left out is not said. The inbox is not for a tenant to mute.",
        parameters=(TENANT,),
        body={"allOf": [ref("Defaults")], "properties": {"tenantId": text()}},
        examples={"no SMS at night": {"quietHours": {"start": "21:00", "end": "08:00"}}},
        answers={200: _DEFAULTS},
    ),
    "GET /admin/types": Operation(
        id="listTypes",
        tag=_ADMIN,
        parameters=(TENANT,),
        answers={
            200: json("The registry's types in their order, then the tenant's own", many(ref("TypeRow")))
        },
    ),
    "GET /admin/types/{type}": Operation(
        id="showType",
        tag=_ADMIN,
        parameters=(_TYPE, TENANT),
        answers={200: json("The type, and what the tenant says of it", ref("TypeRow"))},
        refuses=(*_READS, TypeUnknown),
    ),
    "PUT /admin/types/{type}": Operation(
        id="putType",
        tag=_ADMIN,
        description="All that the tenant says of the type; what is left out is as the hub says. Within two "
        "seconds it holds in every process, also for deliveries that are planned.",
        parameters=(_TYPE, TENANT),
        body=ref("TypeRules"),
        examples={
            "a mail when nobody looks": {
                "channels": ["inApp"],
                "escalate": {"email": 900},
                "throttle": {"most": 5, "seconds": 3600},
                "tenantId": examples.TENANT,
            }
        },
        answers={200: json("What holds now", ref("TypeRow"))},
        refuses=(TypeUnknown, StateConflict),
    ),
    "DELETE /admin/types/{type}": Operation(
        id="deleteType",
        tag=_ADMIN,
        parameters=(_TYPE, TENANT),
        answers={204: nothing("The hub's own rules hold again")},
        refuses=(*_READS, TypeUnknown, RulesUnknown),
    ),
    "GET /admin/templates": Operation(
        id="listTemplates",
        tag=_ADMIN,
        parameters=(TENANT,),
        answers={200: json("A row for each type and channel", many(ref("TemplateRow")))},
    ),
    "GET /admin/templates/{type}/{channel}": Operation(
        id="showTemplate",
        tag=_ADMIN,
        parameters=(*_TEMPLATE, TENANT),
        answers={200: json("The source in force for a reader of that language", ref("Template"))},
        refuses=(*_READS, TypeUnknown),
    ),
    "PUT /admin/templates/{type}/{channel}": Operation(
        id="putTemplate",
        tag=_ADMIN,
        description="It is tried before it is stored, with `data` or with the sample of its type. Within two "
        "seconds it is in force in every process.",
        parameters=(*_TEMPLATE, TENANT),
        body=ref("NewTemplate"),
        examples={
            "a text message": {
                "source": "{% block text %}{{ guestName }} booked {{ roomName }}{% endblock %}",
                "tenantId": examples.TENANT,
            }
        },
        answers={200: json("What is in force now", ref("TemplatePut"))},
        refuses=(TypeUnknown, StateConflict),
    ),
    "DELETE /admin/templates/{type}/{channel}": Operation(
        id="deleteTemplate",
        tag=_ADMIN,
        parameters=(*_TEMPLATE, TENANT),
        answers={204: nothing("The hub's own is in force again")},
        refuses=(*_READS, TypeUnknown, TemplateUnknown),
    ),
    "POST /admin/templates/preview": Operation(
        id="previewTemplate",
        tag=_ADMIN,
        description="Of what is in force, or of `source`; about `data`, or about the sample of its type. "
        "Nothing is stored or sent.",
        parameters=(TENANT,),
        body=ref("Preview"),
        examples={
            "a mail": {
                "type": "booking.confirmed",
                "channel": "email",
                "locale": "vi",
                "timezone": "Asia/Ho_Chi_Minh",
                "data": examples.BOOKING,
                "tenantId": examples.TENANT,
            }
        },
        answers={200: json("What a reader would get; null: not of this channel", ref("Rendered"))},
        refuses=(TypeUnknown,),
    ),
    "GET /admin/audit": Operation(
        id="showAudit",
        tag=_ADMIN,
        parameters=(
            query("action", text(maxLength=160)),
            query("actor", text(maxLength=160)),
            LIMIT,
            query("after", text(maxLength=160), "what the link to the next page says"),
            TENANT,
        ),
        answers={200: _rows("What admins did, newest first", "Note")},
        refuses=_READS,
    ),
    "POST /admin/tenants": Operation(
        id="createTenant",
        tag=_PLATFORM,
        body=ref("NewTenant"),
        examples={"a hotel": {"id": examples.TENANT}},
        answers={
            201: json(
                "It is new",
                ref("Tenant"),
                example={
                    "id": examples.TENANT,
                    "epoch": "k3f9",
                    "events": 0,
                    "createdAt": examples.AT,
                    "retentionDays": None,
                },
            ),
            200: json("It was there", ref("Tenant")),
        },
    ),
    "PATCH /admin/tenants/{id}": Operation(
        id="changeTenant",
        tag=_PLATFORM,
        parameters=(path("id", _TENANT_ID, "the id of a tenant"),),
        body=ref("TenantChange"),
        examples={
            "three months": {"retentionDays": 90},
            "as the installation does": {"retentionDays": None},
        },
        answers={200: json("The tenant as it stands now", ref("Tenant"))},
        refuses=(TenantUnknown,),
    ),
    "GET /admin/tenants": Operation(
        id="listTenants",
        tag=_PLATFORM,
        parameters=(
            LIMIT,
            query("after", _TENANT_ID, "the id of a tenant"),
        ),
        answers={200: _rows("Tenants by their ids", "Tenant")},
        refuses=_READS,
    ),
}
