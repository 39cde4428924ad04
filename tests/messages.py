"""Messages as deliveries have them, one for each channel, to hand to a provider."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hub.domain.message import Message

ID = "01JDELIVERY0000000000000AA"
ADDRESSES = {
    "email": "ana@example.org",
    "sms": "+84900000000",
    "discord": "https://discord.com/api/webhooks/1/token",
    "webpush": "{}",
}


def message(channel: str, **changes: Any) -> Message:
    fields: dict[str, Any] = {
        "id": ID,
        "tenant": "acme",
        "user": "42",
        "channel": channel,
        "address": ADDRESSES[channel],
        "subject": "Grüße & more",
        "text": "Hello Ana.",
        "html": "<p>Hello Ana.</p>" if channel == "email" else None,
        "at": datetime(2026, 11, 20, 10, tzinfo=UTC),
        "type": "booking.confirmed",
    }
    return Message(**(fields | changes))
