"""Where camelCase meets snake_case: the JSON of envelopes, signals and answers.

Every transport and REST show the same envelope, and it is made here only. The bytes of a live
envelope are the same for every receiver, so they hold fresh read marks and nobody's deliveries; REST
fills those in for the caller. This file does not know who is asking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from hub.domain.delivery import Planned, shown
from hub.domain.events import Cursor, Event

if TYPE_CHECKING:
    from hub.services.timeline import Moment


def dumps(value: Any) -> bytes:
    """JSON as it goes over the wire. Raises TypeError on what JSON does not have."""
    return orjson.dumps(value)


def loads(text: bytes | str) -> Any:
    """Strict JSON: no NaN, no infinity, no trailing comma. Raises ValueError."""
    return orjson.loads(text)


_last: tuple[datetime | None, str] = (None, "")  # what `iso` was asked last, and its answer


def iso(when: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds: `2026-11-20T10:00:00.000Z`."""
    global _last
    if when is None:
        return None
    before, text = _last
    if when is before:  # events of a batch were made at one moment
        return text
    utc = when if when.tzinfo is UTC else when.astimezone(UTC)
    shown = orjson.dumps(utc).decode()  # a tenth of what isoformat costs; without a fraction when that is 0
    text = f"{shown[1:24]}Z" if utc.microsecond else f"{shown[1:20]}.000Z"
    _last = when, text
    return text


def iso_seconds(unix: float) -> str:
    """The same, from Unix seconds."""
    return iso(datetime.fromtimestamp(unix, UTC)) or ""


class Marks(NamedTuple):
    """What one person did with one notification."""

    read: bool = False
    read_at: datetime | None = None
    seen_at: datetime | None = None
    archived_at: datetime | None = None


FRESH = Marks()


def envelope(
    event: Event, marks: Marks = FRESH, channels: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The one JSON object that stands for an event."""
    data, rooms = event.data, event.rooms
    shape: dict[str, Any] = {
        "id": event.id,
        "type": event.type,
        "title": event.title,
        "message": event.message,
        "link": event.link,
        "data": data if type(data) is dict else dict(data),
        "severity": event.severity,
        "room": rooms[0] if rooms else None,
        "tenantId": event.tenant,
        "createdAt": iso(event.created_at),
        "cursor": f"{event.epoch}:{event.offset}" if event.offset else None,
    }
    if len(rooms) != 1:
        del shape["room"]
    if event.inbox:
        shape["read"] = marks.read
        shape["readAt"] = marks.read_at and iso(marks.read_at)
        shape["seenAt"] = marks.seen_at and iso(marks.seen_at)
        shape["archivedAt"] = marks.archived_at and iso(marks.archived_at)
        shape["channels"] = list(channels)
    return shape


_NOBODY_S = dumps(envelope(Event(tenant="", id="", type="", wire="", created_at=datetime.now(UTC), rooms=())))
_FRESH_END = _NOBODY_S[_NOBODY_S.index(b',"read":') :]


def content(event: Event) -> bytes:
    """The beginning of a notification's envelope: what is the same for everybody, and never changes."""
    whole = dumps(envelope(event))
    assert whole.endswith(_FRESH_END)
    return whole[: -len(_FRESH_END)]


def completed(
    content: bytes,
    marks: tuple[bool, datetime | None, datetime | None, datetime | None],
    channels: Sequence[Mapping[str, Any]],
) -> bytes:
    """The whole envelope, for one person; `marks` in the order of `Marks`."""
    if not channels and marks == FRESH:
        return content + _FRESH_END
    read, read_at, seen_at, archived_at = marks
    rest = {
        "read": read,
        "readAt": iso(read_at),
        "seenAt": iso(seen_at),
        "archivedAt": iso(archived_at),
        "channels": list(channels),
    }
    return b"%b,%b" % (content, dumps(rest)[1:])


def moment(step: Moment) -> dict[str, Any]:
    """One step of a timeline."""
    return {
        "deliveryId": step.delivery,
        "channel": step.channel,
        "step": step.step,
        "at": iso(step.at),
        "attempt": step.attempt,
        "provider": step.provider,
        "outcome": step.outcome,
        "durationMs": None if step.duration_ms is None else round(step.duration_ms, 3),
        "detail": step.detail,
        "dueAt": iso(step.due_at),
        "maybeDuplicate": step.maybe_duplicate,
    }


def accepted(
    event_id: str,
    cursor: Cursor | None,
    recipients: int,
    deliveries: Sequence[Planned],
    *,
    scheduled_at: datetime | None = None,
) -> bytes:
    """The answer to an accepted request."""
    if cursor is not None and not deliveries and scheduled_at is None:  # most are; none of it needs escaping
        return b'{"id":"%b","cursor":"%b:%d","recipients":%d,"deliveries":[]}' % (
            event_id.encode(),
            cursor.epoch.encode(),
            cursor.offset,
            recipients,
        )
    answer: dict[str, Any] = {
        "id": event_id,
        "cursor": str(cursor) if cursor else None,
        "recipients": recipients,
        "deliveries": [
            {"id": item.id, "userId": item.user, "channel": item.channel, "status": shown(item.status)}
            | ({"reason": item.reason} if item.reason else {})
            for item in deliveries
        ],
    }
    if scheduled_at is not None:
        answer["scheduledAt"] = iso(scheduled_at)
    return dumps(answer)
