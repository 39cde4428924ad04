"""What backends do: send, take back, and tell who can be reached where."""

from __future__ import annotations

from dataclasses import replace

from hub.domain.errors import (
    IdempotencyConflict,
    Invalid,
    NotificationUnknown,
    PersonUnknown,
    RateLimited,
    RoomInvalid,
    TypeUnknown,
    ValidationFailed,
)
from hub.web.openapi import examples
from hub.web.openapi.operation import Answer, Operation, json, nothing, query
from hub.web.openapi.parameters import ID, LIMIT, ONCE, TAKEN, TENANT, USER_ID
from hub.web.openapi.shapes import many, record, ref, text

_SEND = "Sending"
_PEOPLE = "People"
SENDS = (Invalid, RateLimited, TypeUnknown, RoomInvalid, IdempotencyConflict)
_CONTACT = json("The person as it stands now", ref("Contact"))


def _results(description: str) -> Answer:
    return json(description, ref("BatchResult"))


OPERATIONS: dict[str, Operation] = {
    "POST /notifications": Operation(
        id="sendNotification",
        tag=_SEND,
        description="202 means: stored. With an Idempotency-Key it can be tried again without a thought.",
        parameters=(TENANT, ONCE),
        body={"anyOf": [ref("Notification"), ref("OlderNotification")]},
        examples={
            "to the staff of a hotel": examples.TO_STAFF,
            "to a guest, by email too": examples.TO_GUEST,
            "later": examples.LATER,
            "to who is near": examples.NEARBY,
            "the older shape": examples.OLDER,
        },
        answers={202: replace(TAKEN, example=examples.ACCEPTED)},
        refuses=SENDS,
    ),
    "POST /notifications/batch": Operation(
        id="sendNotifications",
        tag=_SEND,
        description="Each entry is judged by itself. If none could be stored for now, the whole is refused.",
        parameters=(TENANT,),
        body=ref("Batch"),
        examples={"the story of a booking": examples.BATCH},
        answers={
            200: _results("All were accepted"),
            207: _results("Some or all were refused; each result says so"),
        },
        refuses=(Invalid, RateLimited),
    ),
    "POST /notifications/explain": Operation(
        id="explainNotification",
        tag=_SEND,
        description="The body of `POST /notifications`; nothing is stored, sent or counted. By people, those "
        "who are named first; send the same body to the link to the next page.",
        parameters=(
            LIMIT,
            query("after", text(maxLength=133), "what the link to the next page says"),
            TENANT,
        ),
        body={"anyOf": [ref("Notification"), ref("OlderNotification")]},
        examples={"to a guest, by email too": examples.TO_GUEST},
        answers={
            200: json("A row for each person and channel", many(ref("Explained")), "Link"),
        },
        refuses=(Invalid, TypeUnknown, RoomInvalid),
    ),
    "DELETE /notifications/{id}/pending": Operation(
        id="cancelPending",
        tag=_SEND,
        description="A scheduled notification, or deliveries that no provider has seen.",
        parameters=(ID, TENANT),
        answers={200: json("How many things will not be sent", ref("Cancelled"))},
        refuses=(NotificationUnknown,),
    ),
    "POST /events": Operation(
        id="sendEvent",
        tag=_SEND,
        parameters=(TENANT, ONCE),
        body=ref("Event"),
        examples={"a room is ready": examples.EVENT},
        answers={202: TAKEN},
        refuses=SENDS,
    ),
    "POST /api/sse/broadcast": Operation(
        id="broadcastOlder",
        tag=_SEND,
        description="Other fields of the notification are kept in its `data`.",
        parameters=(TENANT, ONCE),
        body=ref("TenantBroadcast"),
        examples={
            "to everyone": {
                "tenantId": examples.TENANT,
                "notification": {"type": "system", "title": "Pool closed"},
            }
        },
        answers={202: TAKEN},
        refuses=SENDS,
    ),
    "PUT /users/batch": Operation(
        id="putPeople",
        tag=_PEOPLE,
        description="All or none.",
        parameters=(TENANT,),
        body=ref("People"),
        examples={"a guest and an agent": examples.PEOPLE},
        answers={200: json("The people as they stand now", record({"users": many(ref("Contact"))}))},
    ),
    "PUT /users/{id}": Operation(
        id="putPerson",
        tag=_PEOPLE,
        parameters=(USER_ID, TENANT),
        body=ref("Person"),
        examples={"a guest": examples.PERSON},
        answers={200: _CONTACT},
    ),
    "GET /users/{id}": Operation(
        id="showPerson",
        tag=_PEOPLE,
        parameters=(USER_ID, TENANT),
        answers={200: _CONTACT},
        refuses=(PersonUnknown, ValidationFailed),
    ),
    "DELETE /users/{id}": Operation(
        id="removePerson",
        tag=_PEOPLE,
        description="Where the person is, too. The inbox stays until retention removes it.",
        parameters=(USER_ID, TENANT),
        answers={204: nothing("Forgotten")},
        refuses=(PersonUnknown, ValidationFailed),
    ),
}
