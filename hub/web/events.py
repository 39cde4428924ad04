"""What a client may send, on Socket.IO and on the plain WebSocket alike: a table of events.

A handler takes a session and the event's one argument and returns the reply: its event and arguments.
A refusal is a reply too. This file does not know sockets; it parses, calls one service and formats.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from hub.domain.errors import EventTimeout, EventUnknown, Invalid, RateLimited, Refusal
from hub.domain.events import Cursor
from hub.domain.limits import Allowance
from hub.services.session import Session
from hub.services.wire import iso_seconds
from hub.web.parameters import require_id, require_ids
from hub.web.places import require_location

if TYPE_CHECKING:
    from hub.web.context import Services

log = structlog.get_logger(__name__)


class Pace(NamedTuple):
    """`most` events in `window` seconds."""

    most: int
    window: float


class Reply(NamedTuple):
    """`quiet`: nothing is said but the acknowledgement, when one was asked for."""

    event: str
    args: tuple[Any, ...]
    quiet: bool = False


Handler = Callable[["Services", Session, Any], Awaitable[Reply]]


def _field(data: Any, *names: str) -> Any:
    """The first of `names` in the argument; an argument that is just the value will do as well."""
    if isinstance(data, dict):
        for name in names:
            if data.get(name) is not None:
                return data[name]
    elif data is not None:
        return data
    raise Invalid(f"the event needs an argument with {names[0]!r}")


async def ping(services: Services, session: Session, data: Any) -> Reply:
    return Reply("pong", ({"timestamp": iso_seconds(time.time())},))


async def join_room(services: Services, session: Session, data: Any) -> Reply:
    room = services.sessions.join(session, _field(data, "room"))
    await services.recovery.save(session)
    return Reply("joinedRoom", ({"room": room},))


async def leave_room(services: Services, session: Session, data: Any) -> Reply:
    room = services.sessions.leave(session, _field(data, "room"))
    await services.recovery.save(session)
    return Reply("leftRoom", ({"room": room},))


async def presence(services: Services, session: Session, data: Any) -> Reply:
    room = data.get("room") if isinstance(data, dict) else data
    return Reply("presenceStats", (await services.presence.ask(session, room),))


async def mark_read(services: Services, session: Session, data: Any) -> Reply:
    id = require_id(_field(data, "id", "notificationId"))
    await services.inbox.mark_read(session.who, [id], by=session.conn.id)
    return Reply("notificationRead", ({"id": id},))


async def mark_all_read(services: Services, session: Session, data: Any) -> Reply:
    change = await services.inbox.mark_all_read(session.who, by=session.conn.id)
    return Reply(
        "notification:read_all", ({"readAt": change["readAt"], "unreadCount": change["unreadCount"]},)
    )


async def mark_seen(services: Services, session: Session, data: Any) -> Reply:
    ids = require_ids(data if isinstance(data, list) else _field(data, "ids", "id"))
    marked = await services.inbox.mark_seen(session.who, ids, by=session.conn.id)
    return Reply("notification:seen", ({"ids": marked.ids, "seenAt": marked.at},))


async def refresh(services: Services, session: Session, data: Any) -> Reply:
    token = _field(data, "token")
    if not isinstance(token, str):
        raise Invalid("'token' must be text")
    return Reply("auth:refreshed", (await services.sessions.refresh(session, token),))


async def update_location(services: Services, session: Session, data: Any) -> Reply:
    place = require_location(data, max_radius=services.options.near_radius)
    return Reply("locationUpdated", (await services.whereabouts.tell(session.who, place.lat, place.lon),))


async def ack(services: Services, session: Session, data: Any) -> Reply:
    services.delivered.acknowledge(session.who, Cursor.parse(_field(data, "cursor")))
    return Reply("ack", (), quiet=True)


EVENTS: dict[str, Handler] = {
    "ping": ping,
    "joinRoom": join_room,
    "leaveRoom": leave_room,
    "getPresence": presence,
    "markNotificationRead": mark_read,
    "markAllRead": mark_all_read,
    "markSeen": mark_seen,
    "refresh": refresh,
    "updateLocation": update_location,
    "ack": ack,
}


class Conversation:
    """One client that sends events on its session, at a bounded rate. Times are monotonic seconds."""

    __slots__ = ("_allowance", "_monotonic", "_services", "_session")

    def __init__(
        self, services: Services, session: Session, pace: Pace, monotonic: Callable[[], float]
    ) -> None:
        self._services = services
        self._session = session
        self._allowance = Allowance(pace.most, pace.window, monotonic())
        self._monotonic = monotonic

    async def hear(self, event: str, data: Any) -> Reply | None:
        """Carry out one event. None: the client would not be slowed down, and was closed."""
        wait = self._allowance.take(self._monotonic())
        if not wait:
            return await answer(self._services, self._session, event, data)
        if not self._allowance.abused:
            return refused(RateLimited("too many events", retry_after=wait))
        self._services.sessions.end(self._session, "rate_limited", "too many events", reconnect=False)
        return None


async def answer(services: Services, session: Session, event: str, data: Any) -> Reply:
    """Carry out one event of a client. Never raises: what goes wrong is an `error` event."""
    handler = EVENTS.get(event)
    limit = asyncio.timeout(services.options.event_timeout)
    try:
        if handler is None:
            raise EventUnknown(f"no such event: {event[:64]!r}")
        async with limit:
            return await handler(services, session, data)
    except Refusal as refusal:
        return refused(refusal)
    except Exception:
        if limit.expired():  # what comes next must not wait for it
            log.warning("an event handler took too long", action="event.timeout", event_name=event)
            return refused(EventTimeout("the event took too long and may not have been carried out"))
        log.exception("an event handler failed", action="event.fail", event_name=event)
        return Reply("error", ({"code": "internal", "message": "Something went wrong here"},))


def refused(refusal: Refusal) -> Reply:
    """The `error` event of a refusal; `retryAfter` in seconds."""
    payload: dict[str, Any] = {"code": refusal.code, "message": refusal.detail}
    if refusal.retryable or refusal.retry_after is not None:
        payload["retryAfter"] = round(refusal.retry_after or 1.0, 3)
    return Reply("error", (payload,))
