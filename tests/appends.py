"""Events, appends and logs for tests of the store; what a test does not care about is filled in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from ulid import ULID

from hub.domain.delivery import Planned, Status
from hub.domain.drafts import IdempotencyKey
from hub.domain.events import Cursor, Event
from hub.store.engine import Database
from hub.store.events import Append, Appended, EventLog

NOW = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)


def new_id(now: datetime = NOW) -> str:
    return str(ULID.from_datetime(now))


def an_event(*rooms: str, **fields: Any) -> Event:
    """An event of acme to `rooms` (user:7)."""
    values: dict[str, Any] = {
        "tenant": "acme",
        "id": new_id(),
        "type": "booking.created",
        "wire": "booking.created",
        "created_at": NOW,
        "rooms": rooms or ("user:7",),
        "title": "New booking",
        "data": {"bookingId": "17"},
    }
    return Event(**values | fields)


def an_append(
    event: Event | None = None,
    *,
    deliveries: Sequence[Planned] = (),
    expand: Sequence[tuple[str, tuple[str, ...]]] = (),
    key: IdempotencyKey | None = None,
    create_tenant: bool = True,
) -> Append:
    """An append whose answer names the event and its cursor."""
    event = event or an_event()

    def answer(cursor: Cursor) -> bytes:
        return f"{event.id} at {cursor}".encode()

    return Append(
        event=event,
        deliveries=deliveries,
        expand=expand,
        key=key,
        answer=answer,
        create_tenant=create_tenant,
    )


def a_delivery(**fields: Any) -> Planned:
    values: dict[str, Any] = {
        "id": new_id(),
        "user": "7",
        "channel": "email",
        "address": "ana@example.com",
        "status": Status.PLANNED,
        "due_at": NOW,
    }
    return Planned(**values | fields)


def offset(stored: Appended) -> int:
    assert stored.event is not None
    return stored.event.offset


def places(events: Sequence[Event]) -> list[int]:
    return [event.offset for event in events]


@asynccontextmanager
async def opened_log(url: str, *, timeout: float = 5.0, **options: Any) -> AsyncIterator[EventLog]:
    """A log on a `Database` of its own, as another process would have it."""
    db = await Database.open(url, timeout=timeout)
    log = EventLog(db, **options)
    await log.open()
    try:
        yield log
    finally:
        await log.close()
        await db.close()
