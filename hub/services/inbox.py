"""The notification centre of one person: pages, counts, marks, and telling the other screens.

An inbox is the notifications of the rooms a person is in, minus what the person put away. Every change
is told to the person's other connections at once. This file does not know HTTP or Socket.IO; a
connection that already knows of a change is named by its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from hub.domain.access import Principal, automatic_rooms
from hub.domain.delivery import Delivery, DeliveryUpdate, shown
from hub.domain.errors import CursorInvalid, NotificationUnknown
from hub.domain.events import Cursor, Event
from hub.services.contents import Contents
from hub.services.publish import Publish
from hub.services.timeline import timeline
from hub.services.wire import Marks, completed, envelope, iso, moment
from hub.services.wire import content as encoded
from hub.store.events import EventLog
from hub.store.inbox import Changed, Inbox, Item, near_page, unread_of
from hub.store.inbox import Page as InboxPage
from hub.store.inbox_page import Line, Shown
from hub.store.inbox_reading import Filters
from hub.store.trail import Trail


class DeliveryStates(Protocol):
    async def channels_of(
        self, tenant: str, user: str, event_ids: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Per event id: what became of this person's deliveries, as `{channel, status, attempts, error}`."""


@dataclass(frozen=True, slots=True)
class Page:
    """A JSON array of `count` envelopes, newest first, and the counts of the whole."""

    body: bytes
    count: int
    total: int
    unread: int


@dataclass(frozen=True, slots=True)
class Marked:
    """What a change of marks led to: the envelopes as they are now, when that was, how many are unread."""

    items: list[dict[str, Any]]
    unread: int
    at: str

    @property
    def ids(self) -> list[str]:
        return [item["id"] for item in self.items]


Change = Callable[..., Awaitable[Changed]]
States = Mapping[str, Sequence[Mapping[str, Any]]]
T = TypeVar("T")
# What was asked of the store, and what makes the answer of its answer.
Begun = tuple[asyncio.Future[Shown], Callable[[Shown], T]]


@lru_cache(maxsize=1024)  # the same people ask again and again
def rooms_of(who: Principal) -> tuple[str, ...]:
    return tuple(str(room) for room in automatic_rooms(who))


class InboxService:
    def __init__(
        self,
        inbox: Inbox,
        log: EventLog,
        deliveries: DeliveryStates,
        trail: Trail,
        publish: Publish,
        *,
        announce: Callable[[Sequence[DeliveryUpdate]], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._inbox = inbox
        self._log = log
        self._deliveries = deliveries
        self._trail = trail
        self._publish = publish
        self._announce = announce
        self._clock = clock
        self._contents = Contents()

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
        found = await self._inbox.page(
            *(who.tenant, who.user, rooms_of(who)),
            now=self._clock(),
            read=read,
            archived=archived,
            type=type,
            limit=limit,
            offset=offset,
            after=await self._offset(who, after) if after else None,
            known=self._contents.find,
        )
        return self._page(found, await self._states(who, found.lines))

    def begin_page(
        self, who: Principal, *, read: bool | None, archived: bool | None, limit: int, offset: int
    ) -> Begun[Page | None] | None:
        """The same for who does not wait, as far as one look will do; None: it takes more."""
        filters = Filters(read, archived)
        begun = self._inbox.begin_page(
            *(who.tenant, who.user, rooms_of(who), filters),
            now=self._clock(),
            limit=limit,
            offset=offset,
            after=None,
            known=self._contents.find,
        )
        if begun is None:
            return None

        def page(found: Shown) -> Page | None:
            near = near_page(found, filters, offset)
            return None if near is None else self._page(near, {})

        return begun, page

    def begin_unread_count(self, who: Principal) -> Begun[int]:
        """As `unread_count`, for who does not wait."""
        begun = self._inbox.begin_unread(who.tenant, who.user, rooms_of(who), now=self._clock())
        return begun, unread_of

    async def envelope(self, who: Principal, id: str) -> dict[str, Any]:
        """Raises `NotificationUnknown` for what is not in the caller's inbox."""
        item = await self._inbox.get(who.tenant, who.user, rooms_of(who), id, now=self._clock())
        if item is None:
            raise NotificationUnknown("no such notification in this inbox")
        return (await self._show(who, [item]))[0]

    async def unread_count(self, who: Principal, *, upto: int | None = None) -> int:
        """`upto`: as it is at this place in the log; what comes later does not count."""
        rooms, now = rooms_of(who), self._clock()
        if upto is None:
            return unread_of(await self._inbox.begin_unread(who.tenant, who.user, rooms, now=now))
        return await self._inbox.unread(who.tenant, who.user, rooms, now=now, upto=upto)

    async def stats(self, who: Principal) -> dict[str, Any]:
        """What the caller has, archived items aside: `{total, unread, byType, byChannel}`."""
        types = await self._inbox.by_type(who.tenant, who.user, rooms_of(who), now=self._clock())
        outside = await self._trail.counts(who.tenant, who.user)
        total = sum(counts.total for counts in types.values())
        unread = sum(counts.unread for counts in types.values())
        return {
            "total": total,
            "unread": unread,
            "byType": {name: counts._asdict() for name, counts in sorted(types.items())},
            "byChannel": {
                "inApp": {"read": total - unread, "unread": unread},
                **{
                    channel: {shown(status): count for status, count in counts.items()}
                    for channel, counts in outside.items()
                },
            },
        }

    async def timeline(self, who: Principal, id: str) -> list[dict[str, Any]]:
        """Every step of the caller's own deliveries of a notification, and its arrival in the app.

        Raises `NotificationUnknown` for what neither was delivered to the caller nor stands in their inbox.
        """
        stories = await self._trail.of(who.tenant, who.user, id)
        item = await self._inbox.get(who.tenant, who.user, rooms_of(who), id, now=self._clock())
        if item is None and not stories:
            raise NotificationUnknown("no such notification in this inbox")
        arrived = None
        if item is not None:
            arrived = await self._trail.acknowledged(who.tenant, who.user, item.event.offset)
        return [moment(step) for step in timeline(stories, arrived=arrived)]

    # -- marks ---------------------------------------------------------------------------------------
    # `by` is the connection that asked: it gets the answer, the user's others are told. Marks that stand
    # already change nothing, and nobody is told. `NotificationUnknown`: none of the ids is in the inbox.
    async def mark_read(self, who: Principal, ids: Sequence[str], *, by: str | None = None) -> dict[str, Any]:
        """Mark as read; a second time changes nothing."""
        now = self._clock()
        changed = await self._inbox.mark_read(who.tenant, who.user, rooms_of(who), ids, now=now)
        marked = [item.event.id for item in changed.items]
        if not marked:
            raise NotificationUnknown("no such notification in this inbox")
        self._tell_ended(changed.ended)
        count = await self.unread_count(who)
        fresh = [item.event.id for item in changed.fresh]
        change = {"readAt": iso(now), "unreadCount": count}
        for id in fresh:
            self._tell(who, "notification:read", id, {"ids": fresh, **change}, skip=by)
        if fresh:
            self._tell_count(who, count)
        return {"ids": marked, **change}

    async def mark_all_read(self, who: Principal, *, by: str | None = None) -> dict[str, Any]:
        """Everything up to now is read, at the price of one row. `{updated, readAt, unreadCount}`."""
        now = self._clock()
        updated, ended = await self._inbox.mark_all_read(who.tenant, who.user, rooms_of(who), now=now)
        self._tell_ended(ended)
        count = await self.unread_count(who)
        change = {"readAt": iso(now), "unreadCount": count}
        self._tell(who, "notification:read_all", change, skip=by)
        self._tell_count(who, count)
        return {"updated": updated, **change}

    async def mark_unread(self, who: Principal, ids: Sequence[str], *, by: str | None = None) -> Marked:
        return await self._mark(who, self._inbox.mark_unread, ids, by=by)

    async def mark_seen(self, who: Principal, ids: Sequence[str], *, by: str | None = None) -> Marked:
        """They were on a screen. The first time counts."""
        return await self._mark(who, self._inbox.mark_seen, ids, by=by, seen=True)

    async def archive(self, who: Principal, ids: Sequence[str], *, by: str | None = None) -> Marked:
        return await self._mark(who, self._inbox.archive, ids, by=by)

    async def unarchive(self, who: Principal, ids: Sequence[str], *, by: str | None = None) -> Marked:
        return await self._mark(who, self._inbox.unarchive, ids, by=by)

    async def remove(self, who: Principal, id: str) -> int:
        """Remove from the caller's inbox for good; nobody else's is touched. How many are unread now."""
        now = self._clock()
        changed = await self._inbox.delete(who.tenant, who.user, rooms_of(who), [id], now=now)
        if not changed.items:
            raise NotificationUnknown("no such notification in this inbox")
        self._tell_ended(changed.ended)
        count = await self.unread_count(who)
        self._tell(who, "notification:deleted", {"id": id}, skip=None)
        self._tell_count(who, count)
        return count

    # -- parts ---------------------------------------------------------------------------------------
    async def _mark(
        self, who: Principal, change: Change, ids: Sequence[str], *, by: str | None, seen: bool = False
    ) -> Marked:
        """Carry out a change of the store and tell what has become different."""
        now = self._clock()
        changed = await change(who.tenant, who.user, rooms_of(who), ids, now=now)
        if not changed.items:
            raise NotificationUnknown("no such notification in this inbox")
        self._tell_ended(changed.ended)
        at = iso(now) or ""
        marked = Marked(await self._show(who, changed.items), await self.unread_count(who), at)
        fresh = {item.event.id for item in changed.fresh}
        if seen and fresh:
            ids = [id for id in marked.ids if id in fresh]
            self._tell(who, "notification:seen", {"ids": ids, "seenAt": at}, skip=by)
        for item in marked.items:
            if item["id"] in fresh:
                self._tell(who, "notification:updated", item, skip=by)
        if fresh and not seen:
            self._tell_count(who, marked.unread)
        return marked

    async def _offset(self, who: Principal, after: Cursor) -> int:
        if after.epoch != (await self._log.tenant(who.tenant, create=False)).epoch:
            raise CursorInvalid("the cursor is of another epoch: read the inbox from its start")
        return after.offset

    async def _show(self, who: Principal, items: Sequence[Item]) -> list[dict[str, Any]]:
        ids = [item.event.id for item in items]
        states = await self._deliveries.channels_of(who.tenant, who.user, ids)
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

    async def _states(self, who: Principal, lines: Sequence[Line]) -> States:
        """What became of the deliveries, by event id, where the lines do not say."""
        ids = [line.content.id for line in lines if line.states is None and isinstance(line.content, Event)]
        return await self._deliveries.channels_of(who.tenant, who.user, ids) if ids else {}

    def _page(self, found: InboxPage, states: States) -> Page:
        whole: list[bytes] = []
        for place, content, marks, known in found.lines:
            channels: Sequence[Mapping[str, Any]] = known or ()
            if isinstance(content, Event):
                channels = channels or states.get(content.id, ())
                content = encoded(content)
                self._contents.keep(place, content)
            whole.append(completed(content, marks, channels))
        return Page(b"[%b]" % b",".join(whole), len(whole), found.counts.total, found.counts.unread)

    def _tell_ended(self, ended: Sequence[Delivery]) -> None:
        """Escalations that are not needed any more. Told at once: what is stored does not wait for counts."""
        if ended:
            self._announce([delivery.update for delivery in ended])

    def _tell(self, who: Principal, name: str, *args: Any, skip: str | None) -> None:
        self._publish.signal(who.tenant, [f"user:{who.user}"], name, *args, skip=skip)

    def _tell_count(self, who: Principal, count: int) -> None:
        self._tell(who, "notification:unread_count", {"count": count}, skip=None)
