"""The rows of the log's tables, as they go in: tuples for groups, a dict where one row is stored alone.

It does not know which database takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ulid import ULID

from hub.domain.delivery import TERMINAL, Planned
from hub.domain.drafts import IdempotencyKey
from hub.domain.events import Event

# What `Rows` fills in, in its order; and what is the same for every new row, as SQL.
EVENT = (
    *("tenant", "offset", "id", "type", "wire", "title", "message", "link", "data", "severity", "inbox"),
    *("rooms", "exclude", "actor", "collapse_key", "created_at", "expires_at"),
)
ROOM = ("tenant", "room", "offset", "inbox", "shared", "type")
DELIVERY = (
    *("id", "tenant", "offset", "event_id", "user", "channel", "address", "status", "due_at", "reason"),
    *("created_at", "updated_at", "digest", "unless_seen", "request"),
)
NEW_DELIVERY = {"attempts": "0", "fence": "0", "maybe_duplicate": "FALSE"}
EXPANSION = ("id", "tenant", "offset", "event_id", "room", "channels", "created_at", "request")
NEW_EXPANSION = {"after": "''", "done": "FALSE"}
KEY = ("tenant", "key", "fingerprint", "answer", "created_at")


class Rows:
    """The rows of one group of events, by table. `time` is how the database wants its times."""

    def __init__(self, now: datetime, time: Callable[[datetime], Any]) -> None:
        self._time = time
        self._now = time(now)
        self._moment, self._then = now, self._now  # events of a batch were made at one moment
        self.events: list[tuple[Any, ...]] = []
        self.rooms: list[tuple[Any, ...]] = []
        self.deliveries: list[tuple[Any, ...]] = []
        self.expansions: list[tuple[Any, ...]] = []
        self.keys: list[tuple[Any, ...]] = []

    def add(
        self, event: Event, data: str, rooms: str, exclude: str | None, collapse: str | None = None
    ) -> None:
        tenant, offset, inbox, names = event.tenant, event.offset, event.inbox, event.rooms
        if event.created_at is not self._moment:
            self._moment, self._then = event.created_at, self._time(event.created_at)
        expires = None if event.expires_at is None else self._time(event.expires_at)
        # fmt: off
        self.events.append((
            tenant, offset, event.id, event.type, event.wire, event.title, event.message, event.link,
            data, event.severity, inbox, rooms, exclude, event.actor, collapse, self._then, expires,
        ))
        # fmt: on
        if len(names) == 1 and not event.exclude:
            self.rooms.append((tenant, names[0], offset, inbox, False, event.type))
            return
        shared = len(set(names)) > 1
        for room in room_rows(names, event.exclude):
            self.rooms.append((tenant, room, offset, inbox, shared, event.type))

    def add_deliveries(self, event: Event, planned: Sequence[Planned], request: str | None) -> None:
        for item in planned:
            due = None if item.status in TERMINAL else self._time(item.due_at)
            self.deliveries.append(
                (
                    *(item.id, event.tenant, event.offset, event.id, item.user, item.channel, item.address),
                    *(item.status.value, due, item.reason, self._now, self._now, item.digest),
                    *(item.unless_seen, request),
                )
            )

    def add_expansions(
        self, event: Event, expand: Sequence[tuple[str, tuple[str, ...]]], request: str | None
    ) -> None:
        for room, channels in expand:
            words = " ".join(channels)
            self.expansions.append(
                (str(ULID()), event.tenant, event.offset, event.id, room, words, self._now, request)
            )

    def add_key(self, tenant: str, key: IdempotencyKey, answer: str) -> None:
        self.keys.append((tenant, key.key, key.fingerprint, answer, self._now))


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
    planned: Planned, *, tenant: str, offset: int, event_id: str, now: datetime, request: str | None
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
        "digest": planned.digest,
        "unless_seen": planned.unless_seen,
        "request": request,
    }


def plain(value: object) -> Any:
    """For orjson: what is like a dict, as a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
