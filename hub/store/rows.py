"""The rows of the log's tables, as they go in: one dict per row, every column given.

It does not know which database takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ulid import ULID

from hub.domain.delivery import TERMINAL, Planned
from hub.domain.drafts import IdempotencyKey
from hub.domain.events import Event


class Rows:
    """The rows of one group of events, by table."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.events: list[dict[str, Any]] = []
        self.rooms: list[dict[str, Any]] = []
        self.deliveries: list[dict[str, Any]] = []
        self.expansions: list[dict[str, Any]] = []
        self.keys: list[dict[str, Any]] = []

    def add(self, event: Event, data: str, rooms: str, exclude: str | None) -> None:
        tenant, offset = event.tenant, event.offset
        self.events.append(
            {
                "tenant": tenant,
                "offset": offset,
                "id": event.id,
                "type": event.type,
                "wire": event.wire,
                "title": event.title,
                "message": event.message,
                "link": event.link,
                "data": data,
                "severity": event.severity,
                "inbox": event.inbox,
                "rooms": rooms,
                "exclude": exclude,
                "actor": event.actor,
                "collapse_key": None,
                "created_at": event.created_at,
                "expires_at": event.expires_at,
            }
        )
        shared = len(set(event.rooms)) > 1
        for room in room_rows(event.rooms, event.exclude):
            self.rooms.append(
                {"tenant": tenant, "room": room, "offset": offset, "inbox": event.inbox, "shared": shared}
            )

    def add_deliveries(self, event: Event, planned: Sequence[Planned]) -> None:
        self.deliveries += [
            delivery_row(item, tenant=event.tenant, offset=event.offset, event_id=event.id, now=self.now)
            for item in planned
        ]

    def add_expansions(self, event: Event, expand: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        for room, channels in expand:
            self.expansions.append(
                {
                    "id": str(ULID()),
                    "tenant": event.tenant,
                    "offset": event.offset,
                    "event_id": event.id,
                    "room": room,
                    "channels": " ".join(channels),
                    "after": "",
                    "done": False,
                    "created_at": self.now,
                }
            )

    def add_key(self, tenant: str, key: IdempotencyKey, answer: bytes) -> None:
        self.keys.append(key_row(tenant, key, answer, self.now))


def key_row(tenant: str, key: IdempotencyKey, answer: bytes, now: datetime) -> dict[str, Any]:
    """A key with the answer that is to be replayed for it."""
    return {
        "tenant": tenant,
        "key": key.key,
        "fingerprint": key.fingerprint,
        "answer": answer.decode(),
        "created_at": now,
    }


def room_rows(rooms: Sequence[str], exclude: Sequence[str]) -> dict[str, None]:
    """The names under which an event stands in `event_rooms`, each once."""
    return dict.fromkeys((*rooms, *(f"-{room}" for room in exclude)))


def delivery_row(
    planned: Planned, *, tenant: str, offset: int, event_id: str, now: datetime
) -> dict[str, Any]:
    """A planned or skipped delivery of the event at that place."""
    return {
        "id": planned.id,
        "tenant": tenant,
        "offset": offset,
        "event_id": event_id,
        "user": planned.user,
        "channel": planned.channel,
        "address": planned.address,
        "status": planned.status.value,
        "attempts": 0,
        "due_at": None if planned.status in TERMINAL else planned.due_at,
        "lease_until": None,
        "fence": 0,
        "call_started": None,
        "maybe_duplicate": False,
        "provider": None,
        "provider_id": None,
        "reason": planned.reason,
        "error": None,
        "created_at": now,
        "updated_at": now,
        "past_attempts": 0,
        "past_fence": 0,
    }


def plain(value: object) -> Any:
    """For orjson: what is like a dict, as a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
