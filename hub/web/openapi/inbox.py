"""What users do: their notification centre, where they are, and the streams of their events."""

from __future__ import annotations

from hub.domain.errors import (
    CursorInvalid,
    Invalid,
    NotConfigured,
    NotificationUnknown,
    ProcessFull,
    RateLimited,
    RoomForbidden,
    RoomInvalid,
    SubscriptionUnknown,
    TooManyConnections,
    ValidationFailed,
)
from hub.web.openapi import examples
from hub.web.openapi.operation import Answer, Operation, header, json, nothing, path, query
from hub.web.openapi.parameters import EVENTS, ID, LIMIT, ROOMS, STREAM, TYPES
from hub.web.openapi.shapes import CURSOR, TIME, ULID, flag, many, record, ref, text, whole
from hub.web.parameters import MAX_OFFSET

_INBOX = "Notifications"
_STREAMS = "Streams"
_LOCATION = "Location"
_PUSH = "Web push"
_ITEM = json(
    "The notification as it stands now", ref("InboxItem"), "X-Unread-Count", example=examples.ENVELOPE
)
_WISHES = json("Everything that holds for the caller now", ref("Preferences"))
_ENTERS = (Invalid, RoomInvalid, RoomForbidden, TooManyConnections, ProcessFull)
_SOCKET = Answer(description="The WebSocket is open; `/asyncapi.json` describes its frames")


def _marks(id: str, description: str = "") -> Operation:
    return Operation(
        id=id,
        tag=_INBOX,
        description=description,
        parameters=(ID,),
        answers={200: _ITEM},
        refuses=(NotificationUnknown,),
    )


def _stream(id: str, description: str) -> Operation:
    return Operation(
        id=id,
        tag=_STREAMS,
        description=description,
        parameters=STREAM,
        answers={200: EVENTS},
        refuses=_ENTERS,
    )


def _change(id: str) -> Operation:
    return Operation(
        id=id,
        tag=_INBOX,
        description="Null takes a word back. Muting what cannot be muted is refused.",
        body=ref("PreferencesChange"),
        examples={"no mail at night": examples.WISHES},
        answers={200: _WISHES},
    )


OPERATIONS: dict[str, Operation] = {
    "GET /notifications": Operation(
        id="listNotifications",
        tag=_INBOX,
        description="An empty parameter is none. The total counts what passes the filters.",
        parameters=(
            query("read", flag(), "only read or unread ones"),
            query("archived", flag(), "only archived or other ones"),
            query("type", text(pattern="^[A-Za-z0-9_.:-]{1,128}$"), "only this type"),
            LIMIT,
            query("offset", whole(maximum=MAX_OFFSET, default=0), "skip that many"),
            query("after", CURSOR, "only what came after it"),
            header("If-None-Match", text(), "the ETag of what is known already"),
        ),
        answers={
            200: json(
                "A page of the inbox",
                many(ref("InboxItem")),
                *("X-Total-Count", "X-Unread-Count", "Link", "ETag"),
                example=[examples.ENVELOPE],
            ),
            304: nothing("Nothing changed", "X-Total-Count", "X-Unread-Count", "Link", "ETag"),
        },
        refuses=(ValidationFailed, CursorInvalid),
    ),
    "GET /notifications/unread-count": Operation(
        id="countUnread", tag=_INBOX, answers={200: json("The count", record({"count": whole()}))}
    ),
    "GET /notifications/stats": Operation(
        id="showInboxStats",
        tag=_INBOX,
        description="Looks at every item: for a badge ask for the unread count.",
        answers={200: json("The counts; archived items aside", ref("InboxStats"))},
    ),
    "PATCH /notifications/read-all": Operation(
        id="markAllRead", tag=_INBOX, answers={200: json("Everything up to now is read", ref("ReadAll"))}
    ),
    "GET /notifications/preferences": Operation(id="showPreferences", tag=_INBOX, answers={200: _WISHES}),
    "PATCH /notifications/preferences": _change("changePreferences"),
    "POST /notifications/preferences": _change("changePreferencesByPost"),
    "GET /notifications/{id}": Operation(
        id="showNotification",
        tag=_INBOX,
        parameters=(ID,),
        answers={200: json("The notification", ref("InboxItem"), example=examples.ENVELOPE)},
        refuses=(NotificationUnknown,),
    ),
    "DELETE /notifications/{id}": Operation(
        id="removeNotification",
        tag=_INBOX,
        description="For good, and from nobody else's inbox. What is on its way by email still goes out.",
        parameters=(ID,),
        answers={204: nothing("Removed", "X-Unread-Count")},
        refuses=(NotificationUnknown,),
    ),
    "PATCH /notifications/{id}/read": _marks("markRead", "A second time changes nothing."),
    "PATCH /notifications/{id}/unread": _marks("markUnread", "Also after everything was marked as read."),
    "PATCH /notifications/{id}/seen": _marks("markSeen", "It was on a screen. The first time counts."),
    "PATCH /notifications/{id}/archive": _marks("archive", "Archived items do not count as unread."),
    "PATCH /notifications/{id}/unarchive": _marks("unarchive"),
    "GET /notifications/{id}/timeline": Operation(
        id="showTimeline",
        tag=_INBOX,
        parameters=(ID,),
        answers={
            200: json("Every step, oldest first; empty when it went to no outside channel", many(ref("Step")))
        },
        refuses=(NotificationUnknown,),
    ),
    "POST /auth/ticket": Operation(
        id="issueTicket",
        tag=_STREAMS,
        description="Goes into `?ticket=` of a stream or a WebSocket, once.",
        answers={200: json("The ticket", ref("Ticket"))},
    ),
    "PUT /me/location": Operation(
        id="putLocation",
        tag=_LOCATION,
        description="Kept for a while, never shown to anybody. Each update replaces the one before.",
        body=ref("Location"),
        examples={"in Lisbon": {"lat": 38.7223, "lon": -9.1393, "accuracy": 12.5}},
        answers={200: json("Taken", record({"expiresAt": TIME}))},
    ),
    "DELETE /me/location": Operation(
        id="removeLocation", tag=_LOCATION, answers={204: nothing("Nothing is known any more")}
    ),
    "POST /me/push-subscriptions": Operation(
        id="subscribeToPush",
        tag=_PUSH,
        description="The body is what the browser's `PushSubscription.toJSON()` gives. An endpoint belongs "
        "to whoever subscribed it last. With one browser more than a user may have, the one that was unused "
        "for longest goes.",
        body=ref("PushSubscription"),
        examples={"a browser": examples.PUSH_SUBSCRIPTION},
        answers={201: json("It gets web push from now on", record({"id": ULID}))},
        refuses=(NotConfigured,),
    ),
    "GET /me/push-subscriptions": Operation(
        id="listPushSubscriptions",
        tag=_PUSH,
        answers={200: json("The newest first; endpoints and keys are not shown", many(ref("Browser")))},
    ),
    "GET /me/push-subscriptions/key": Operation(
        id="showPushKey",
        tag=_PUSH,
        answers={200: json("For `applicationServerKey`", record({"publicKey": text("base64url")}))},
        refuses=(NotConfigured,),
    ),
    "DELETE /me/push-subscriptions/{id}": Operation(
        id="unsubscribeFromPush",
        tag=_PUSH,
        parameters=(path("id", ULID, "as it was answered when it was subscribed"),),
        answers={204: nothing("It gets none any more")},
        refuses=(SubscriptionUnknown,),
    ),
    "GET /notifications/sse": _stream(
        "streamEvents", "Named events: `event:` is the type's name, `data:` the envelope."
    ),
    "GET /notifications/sse/test": Operation(
        id="streamTest",
        tag=_STREAMS,
        description="A `connected`, a tick each second, and the end after a minute.",
        answers={200: EVENTS},
        refuses=(RateLimited, TooManyConnections, ProcessFull),
        stores=False,
    ),
    "GET /sse/notifications": _stream(
        "streamNotificationMessages",
        "Unnamed messages, `data:` is the envelope with `isRead` and `actionUrl`.",
    ),
    "GET /sse/bookings": _stream(
        "streamBookingMessages", "Unnamed messages, only `booking.*`, `data:` is `{type, data, tenantId}`."
    ),
    "GET /ws/notifications": Operation(
        id="openWebSocket",
        tag=_STREAMS,
        description="Answers a WebSocket handshake (RFC 6455); anything else is refused.",
        parameters=(TYPES, ROOMS, query("cursor", text(), "replay everything after this cursor first")),
        answers={101: _SOCKET},
        refuses=_ENTERS,
    ),
}
_BRIEF = record({"error": {"const": "Unauthorized"}})
OPERATIONS["GET /api/notifications/stream"] = Operation(
    id="streamNotificationEnvelopes",
    tag=_STREAMS,
    description="Unnamed messages `{type, data, timestamp}`. Its 401 is what its readers expect, no problem.",
    parameters=STREAM,
    answers={200: EVENTS, 401: json("No valid token", _BRIEF, "WWW-Authenticate")},
    refuses=_ENTERS,
)
