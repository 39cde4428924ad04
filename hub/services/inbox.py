"""The notification centre of one person: pages, counts, read marks, and telling the other screens.

An inbox is the notifications of the rooms a person is in, minus what the person put away. Every change
is told to the person's other connections at once. This file does not know HTTP or Socket.IO; a
connection that already knows of a change is named by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from hub.domain.access import Principal, automatic_rooms
from hub.domain.errors import CursorInvalid, NotificationUnknown
from hub.domain.events import Cursor
from hub.services.publish import Publish
from hub.services.wire import Marks, envelope, iso
from hub.store.events import EventLog
from hub.store.inbox import Inbox, Item


class DeliveryStates(Protocol):
    async def channels_of(
        self, tenant: str, user: str, event_ids: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Per event id: what became of this person's deliveries, as `{channel, status, attempts, error}`."""


@dataclass(frozen=True, slots=True)
class Page:
    """Envelopes, newest first, and the counts of the whole."""

    items: list[dict[str, Any]]
    total: int
    unread: int


def rooms_of(who: Principal) -> list[str]:
    return [str(room) for room in automatic_rooms(who)]


class InboxService:
    def __init__(
        self,
        inbox: Inbox,
        log: EventLog,
        deliveries: DeliveryStates,
        publish: Publish,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._inbox = inbox
        self._log = log
        self._deliveries = deliveries
        self._publish = publish
        self._clock = clock

    async def page(
        self,
        who: Principal,
        *,
        read: bool | None = None,
        archived: bool | None = None,
        type: str | None = None,
        limit: int = 20,
        offset: int = 0,
        after: Cursor | None = None,
    ) -> Page:
        """One page. `after` leaves only what came after that place in the log. Raises `CursorInvalid`."""
        rooms, now = rooms_of(who), self._clock()
        filters: dict[str, Any] = {"read": read, "archived": archived, "type": type, "now": now}
        after_offset = await self._offset(who, after) if after else None
        items = await self._inbox.list(
            who.tenant, who.user, rooms, limit=limit, offset=offset, after=after_offset, **filters
        )
        counts = await self._inbox.counts(who.tenant, who.user, rooms, **filters)
        return Page(await self._show(who, items), counts.total, counts.unread)

    async def envelope(self, who: Principal, id: str) -> dict[str, Any]:
        """Raises `NotificationUnknown` for what is not in the caller's inbox."""
        item = await self._inbox.get(who.tenant, who.user, rooms_of(who), id, now=self._clock())
        if item is None:
            raise NotificationUnknown("no such notification in this inbox")
        return (await self._show(who, [item]))[0]

    async def unread_count(self, who: Principal) -> int:
        return await self._inbox.unread(who.tenant, who.user, rooms_of(who), now=self._clock())

    async def mark_read(self, who: Principal, ids: Sequence[str], *, by: str | None = None) -> dict[str, Any]:
        """Mark as read; a second time changes nothing. Raises `NotificationUnknown` when one is not there."""
        now = self._clock()
        marked = await self._inbox.mark_read(who.tenant, who.user, rooms_of(who), ids, now=now)
        if not ids or len(marked) < len(set(ids)):
            raise NotificationUnknown("no such notification in this inbox")
        count = await self.unread_count(who)
        change = {"ids": marked, "readAt": iso(now), "unreadCount": count}
        for id in marked:
            self._tell(who, "notification:read", id, change, skip=by)
        self._tell_count(who, count)
        return change

    async def mark_all_read(self, who: Principal, *, by: str | None = None) -> dict[str, Any]:
        """Everything up to now is read, at the price of one row. `{updated, readAt, unreadCount}`."""
        now = self._clock()
        updated = await self._inbox.mark_all_read(who.tenant, who.user, rooms_of(who), now=now)
        count = await self.unread_count(who)
        change = {"readAt": iso(now), "unreadCount": count}
        self._tell(who, "notification:read_all", change, skip=by)
        self._tell_count(who, count)
        return {"updated": updated, **change}

    # -- parts ---------------------------------------------------------------------------------------
    async def _offset(self, who: Principal, after: Cursor) -> int:
        if after.epoch != (await self._log.tenant(who.tenant, create=False)).epoch:
            raise CursorInvalid("the cursor is of another epoch: read the inbox from its start")
        return after.offset

    async def _show(self, who: Principal, items: Sequence[Item]) -> list[dict[str, Any]]:
        states = await self._deliveries.channels_of(who.tenant, who.user, [item.event.id for item in items])
        return [
            envelope(
                item.event,
                Marks(
                    read=item.read, read_at=item.read_at, seen_at=item.seen_at, archived_at=item.archived_at
                ),
                states.get(item.event.id, ()),
            )
            for item in items
        ]

    def _tell(self, who: Principal, name: str, *args: Any, skip: str | None) -> None:
        self._publish.signal(who.tenant, [f"user:{who.user}"], name, *args, skip=skip)

    def _tell_count(self, who: Principal, count: int) -> None:
        self._tell(who, "notification:unread_count", {"count": count}, skip=None)
