"""Bodies and answers to read and to try: one real booking, told as it happens.

The booking is the first of `examples/data`, where its source and licence are named; the guest's name and
address are made up.
"""

from __future__ import annotations

from typing import Any

BOOKING: dict[str, Any] = {
    "bookingId": "CH-00001",
    "guestName": "João Silva",
    "propertyName": "City Hotel",
    "checkIn": "2015-08-10",
    "checkOut": "2015-08-11",
    "nights": 1,
    "guests": 2,
    "roomName": "Room A",
    "totalPrice": 115.0,
    "currency": "EUR",
}
TENANT = "city-hotel"
GUEST = {"id": "guest-ch-00001", "email": "guest-ch-00001@example.com"}
STAFF = ["role:ADMIN", "user:agent-9"]
ID, DELIVERY = "01KAG8Y0V2M4Z7J3T5Q9W1E6RB", "01KAG8Y0V3N6C1D8F2G7H4J9KM"
AT = "2026-11-20T10:00:00.000Z"

TO_STAFF = {
    "tenantId": TENANT,
    "type": "booking.created",
    "to": STAFF,
    "link": "/bookings/CH-00001",
    "data": BOOKING,
    "channels": ["inApp"],
}
TO_GUEST = TO_STAFF | {"to": GUEST, "channels": ["inApp", "email"]}
OLDER = {
    "tenantId": TENANT,
    "type": "BOOKING_CONFIRMED",
    "recipientId": GUEST["id"],
    "recipientEmail": GUEST["email"],
    "data": BOOKING,
    "channels": ["email"],
}
COMPLETED = TO_STAFF | {"type": "booking.completed", "to": [*STAFF, f"user:{GUEST['id']}"]}
LATER = TO_GUEST | {"type": "checkin.reminder", "sendAt": "2027-08-09T12:00:00Z"}
WISHES = {
    "sms": False,
    "types": {"booking.created": {"email": False}},
    "quietHours": {"start": "22:00", "end": "07:00", "timezone": "Europe/Lisbon"},
    "digest": "daily@18:30",
}
NEARBY = {
    "tenantId": TENANT,
    "type": "job.nearby",
    "to": {"near": {"lat": 38.7223, "lon": -9.1393, "radiusMeters": 5000, "role": "PROFESSIONAL"}},
    "title": "Room A needs a plumber",
    "link": "/jobs/31",
}
BATCH = {
    "notifications": [
        TO_STAFF | {"idempotencyKey": "CH-00001-0-booking.created"},
        TO_GUEST | {"idempotencyKey": "CH-00001-1-booking.created"},
        COMPLETED | {"idempotencyKey": "CH-00001-2-booking.completed"},
    ]
}
EVENT = {
    "tenantId": TENANT,
    "type": "room.ready",
    "to": "topic:rooms",
    "data": {"room": "Room A"},
    "durable": False,
}
PERSON = {
    "tenantId": TENANT,
    "email": GUEST["email"],
    "phone": "+351 912 345 678",
    "locale": "pt-PT",
    "timezone": "Europe/Lisbon",
    "roles": ["CUSTOMER"],
}
PEOPLE = {
    "tenantId": TENANT,
    "users": [{"id": GUEST["id"], "email": GUEST["email"]}, {"id": "agent-9", "roles": ["ADMIN"]}],
}

ENVELOPE: dict[str, Any] = {
    "id": ID,
    "type": "booking.created",
    "title": "New booking",
    "message": "João Silva booked Room A",
    "link": "/bookings/CH-00001",
    "data": BOOKING,
    "severity": "info",
    "room": "role:ADMIN",
    "tenantId": TENANT,
    "createdAt": AT,
    "cursor": "k3f9:1042",
    "read": False,
    "readAt": None,
    "seenAt": None,
    "archivedAt": None,
    "channels": [{"channel": "email", "status": "sent", "attempts": 1, "error": None}],
}
ACCEPTED = {
    "id": ID,
    "cursor": "k3f9:1042",
    "recipients": 1,
    "deliveries": [{"id": DELIVERY, "userId": GUEST["id"], "channel": "email", "status": "planned"}],
}

PUSH_SUBSCRIPTION = {
    "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABhY3Jvc3M",
    "expirationTime": None,
    "keys": {
        # The example of RFC 8291, section 5.
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    },
}
