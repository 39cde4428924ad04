"""Accepting a draft: its type, its rooms, its words, its deliveries; then one commit.

Whatever is refused is refused before anything is stored. What is accepted is committed before the
answer is given, together with every delivery it causes. Publishing and the queue's hint follow the
commit (see `Publish` and the log's `on_commit`), so a caller that hangs up changes nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, Protocol

from hub.domain.access import require_room
from hub.domain.delivery import Planned
from hub.domain.drafts import Draft, IdempotencyKey
from hub.domain.errors import (
    RateLimited,
    Refusal,
    RoomInvalid,
    StateConflict,
    TypeUnknown,
    ValidationFailed,
)
from hub.domain.events import Cursor, Event, EventType
from hub.domain.geo import Near
from hub.domain.preferences import NONE, Wishes
from hub.domain.routing import Asked, Reach, Reachable, left_out, plan
from hub.domain.rules import Types
from hub.services.publish import Publish
from hub.services.wire import accepted
from hub.store.events import Append, Appended, EventLog
from hub.store.group import Answer
from hub.store.people import Addresses, People, Person
from hub.store.scheduled import Scheduled

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,127}")
MINUTE = 60.0  # seconds
NO_CROWD = ("user:", "topic:", "session:")  # rooms that are one person, or nobody in particular


class Words(Protocol):
    def __call__(
        self, tenant: str, type: str, data: Mapping[str, Any], actor: str | None
    ) -> tuple[str | None, str | None]:
        """The title and the message of a type's in-app template; never fails for want of data."""


class Accepted(NamedTuple):
    """`body` is the answer as JSON; `replayed`: it was given before, for the same key."""

    body: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be asked for."""

    custom_types: bool = True
    max_rooms: int = 1000
    reach: Reach = field(default_factory=lambda: Reach(frozenset({"email"})))
    per_minute: int | None = None  # what one tenant may send, over all processes


class Outline(NamedTuple):
    """A draft whose event is made; `users` must be looked up for what is `asked`."""

    event: Event
    key: IdempotencyKey | None
    asked: Asked | None
    users: Sequence[str]
    mutable: bool
    collapse: str | None


Known = Mapping[str, Mapping[str, Addresses]]


def asked_of(draft: Draft, kind: EventType, event: Event) -> Asked | None:
    """What the draft's event asks for outside; None: nothing."""
    if not draft.inbox or not (draft.channels or kind.outside):
        return None
    asked = Asked.of(
        kind, draft.channels or None, at=event.created_at, severity=event.severity, data=event.data
    )
    return asked if asked.every else None


def _users(event: Event) -> list[str]:
    return [room[5:] for room in event.rooms if room.startswith("user:")]


class Quota(Protocol):
    async def take(self, name: str, *, most: int, window: float, cost: int = 1) -> float: ...
    def take_ahead(self, name: str, *, most: int, window: float) -> bool: ...


class Locations(Protocol):
    def require(self) -> None: ...
    async def find(self, tenant: str, near: Near, *, limit: int) -> list[str]: ...


class Ingest:
    def __init__(
        self,
        *,
        types: Types,
        log: EventLog,
        people: People,
        scheduled: Scheduled,
        locations: Locations,
        publish: Publish,
        words: Words,
        quota: Quota,
        rules: Rules,
        tenant: Callable[[str], Any],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._types = types
        self._log = log
        self._people = people
        self._scheduled = scheduled
        self._locations = locations
        self._publish = publish
        self._words = words
        self._quota = quota
        self._rules = rules
        self._require_tenant = tenant
        self._clock = clock
        self._new_id = new_id
        self._there: set[str] = set()  # tenants that were not refused; whether they still exist, the log says

    def begin(self, draft: Draft, key: IdempotencyKey | None, answer: Answer) -> bool:
        """`accept` for who does not wait: `answer` is told what it would return or raise, in a list.

        False: nothing was done, because something has to be looked up first, or it is to be refused.
        """
        if draft.tenant not in self._there:
            return False
        try:
            outline = self._at_once(draft, key, self._clock())
        except Refusal:
            return False
        if outline is None:
            return False
        most = self._rules.per_minute
        if most and not self._quota.take_ahead(f"ingest:{draft.tenant}", most=most, window=MINUTE):
            return False
        if outline.users:
            found = self._people.ask_addresses(draft.tenant, outline.users)
            found.add_done_callback(partial(self._enter, outline, answer))
        else:
            self._log.enter(self._append(outline, {}), answer)
        return True

    def _enter(
        self, outline: Outline, answer: Answer, found: asyncio.Future[Mapping[str, Addresses]]
    ) -> None:
        """Everybody can be reached as was `found` out."""
        try:
            append = self._append(outline, {outline.event.tenant: found.result()})
            if not answer.done():
                self._log.enter(append, answer)
        except asyncio.CancelledError:
            answer.cancel()
        except Exception as fault:
            answer.set_result([fault])

    async def accept(self, draft: Draft, key: IdempotencyKey | None = None) -> Accepted:
        """Store one draft. Raises a `Refusal`; then nothing was stored."""
        await self._require_quota(draft.tenant, 1)
        await self._require_tenant(draft.tenant)
        self._there.add(draft.tenant)
        now = self._clock()
        outlined = self._at_once(draft, key, now) or await self._prepare(draft, key, now)
        if isinstance(outlined, Accepted):
            return outlined
        known = await self._known([outlined]) if outlined.users else {}
        result = await self._log.append(self._append(outlined, known))
        return Accepted(result.answer, result.replayed)

    async def accept_many(
        self, items: Sequence[tuple[Draft, IdempotencyKey | None]]
    ) -> list[Accepted | Refusal]:
        """Store many, in this order, each with its own answer."""
        refused: dict[str, Refusal] = {}
        for tenant, cost in Counter(draft.tenant for draft, _ in items).items():
            try:
                await self._require_quota(tenant, cost)
                await self._require_tenant(tenant)
            except Refusal as refusal:
                refused[tenant] = refusal
        answers: list[Accepted | Refusal | None] = [None] * len(items)
        outlines: dict[int, Outline] = {}
        now = self._clock()
        for place, (draft, key) in enumerate(items):
            if draft.tenant in refused:
                answers[place] = refused[draft.tenant]
                continue
            try:
                outlined = self._at_once(draft, key, now) or await self._prepare(draft, key, now)
            except Refusal as refusal:
                answers[place] = refusal
                continue
            if isinstance(outlined, Outline):
                outlines[place] = outlined
            else:
                answers[place] = outlined
        try:
            known = await self._known(outlines.values())
        except Refusal as refusal:
            known = {}
            for place in [place for place, outline in outlines.items() if outline.users]:
                answers[place] = refusal
                del outlines[place]
        appends = [self._append(outline, known) for outline in outlines.values()]
        results = await self._log.append_many(appends)
        for place, result in zip(outlines, results, strict=True):
            answers[place] = (
                Accepted(result.answer, result.replayed) if isinstance(result, Appended) else result
            )
        return [answer for answer in answers if answer is not None]

    async def made(self, draft: Draft, at: datetime) -> tuple[Event, EventType]:
        """The event that a draft would become at that time, and its type; nothing is stored.

        Raises the `Refusal` that `accept` would.
        """
        await self._require_tenant(draft.tenant)
        if draft.near is not None:
            draft = await self._found(draft, draft.near)
        return self._event(draft, self._new_id(), at)

    async def _require_quota(self, tenant: str, cost: int) -> None:
        """Raises `RateLimited` when the tenant has sent too much."""
        most = self._rules.per_minute
        if most is None:
            return
        if wait := await self._quota.take(f"ingest:{tenant}", most=most, window=MINUTE, cost=cost):
            raise RateLimited(f"at most {most} events a minute", retry_after=wait)

    async def release(self, event_id: str, draft: Draft) -> None:
        """Send a scheduled draft whose time has come. Doing it twice does it once: its id is the event's."""
        if draft.near is not None:
            draft = await self._found(draft, draft.near)
        outline = await self._outline(draft, None, event_id, self._clock())
        append = self._append(outline, await self._known([outline]))
        try:
            await self._log.append(append)
        except StateConflict:
            pass  # it was sent, and the process died before it could say so

    # -- one draft -----------------------------------------------------------------------------------
    def _at_once(self, draft: Draft, key: IdempotencyKey | None, now: datetime) -> Outline | None:
        """What `_prepare` would make of it; None when something has to be looked up for that."""
        if draft.send_at or draft.near or draft.contact or draft.exclude or not draft.durable:
            return None
        event, kind = self._event(draft, self._new_id(), now)
        asked = asked_of(draft, kind, event)
        users = () if asked is None else _users(event)
        return Outline(event, key, asked, users, kind.mutable, draft.collapse_key)

    async def _prepare(self, draft: Draft, key: IdempotencyKey | None, now: datetime) -> Outline | Accepted:
        if draft.send_at is not None and draft.durable and draft.send_at > now:
            return await self._later(draft, key, now)
        if draft.near is not None:
            draft = await self._found(draft, draft.near)
        if not draft.durable:
            return self._volatile(draft, now)
        return await self._outline(draft, key, self._new_id(), now)

    async def _outline(
        self, draft: Draft, key: IdempotencyKey | None, event_id: str, now: datetime
    ) -> Outline:
        event, kind = self._event(draft, event_id, now)
        if draft.contact is not None:
            await self._people.put(draft.tenant, draft.contact, now=now)
        asked = asked_of(draft, kind, event)
        users: Sequence[str] = ()
        if asked is not None:
            users = await self._meant(event)
        return Outline(event, key, asked, users, kind.mutable, draft.collapse_key)

    async def _meant(self, event: Event) -> Sequence[str]:
        """The users whom an event names and does not exclude; nor by a role they are known to have."""
        users = _users(event)
        if not event.exclude:
            return users
        known: Mapping[str, Person] = {}
        if any(room.startswith("role:") for room in event.exclude):
            known = await self._people.get_many(event.tenant, users)
        return [
            user
            for user in users
            if not left_out(event.exclude, event.tenant, user, known[user].roles if user in known else ())
        ]

    async def _found(self, draft: Draft, near: Near) -> Draft:
        """The same for whoever is near now, nearest first, and for no more rooms than there may be.

        From here on these are rooms like others: what is stored does not know that it was for a place, so
        replays, inboxes and the answer kept for an Idempotency-Key stay as they are wherever people go.
        """
        rooms, without = dict.fromkeys(draft.to), {*draft.to, *draft.exclude}
        most = self._rules.max_rooms - len(rooms)
        if most > 0:
            users = await self._locations.find(draft.tenant, near, limit=most + len(without))
            new = [room for user in users if (room := f"user:{user}") not in without]
            rooms |= dict.fromkeys(new[:most])
        return replace(draft, to=tuple(rooms), near=None)

    async def _known(self, outlines: Collection[Outline]) -> Known:
        """Where everybody can be reached whom these go to, by tenant and user."""
        users: dict[str, set[str]] = {}
        for outline in outlines:
            if outline.users:
                users.setdefault(outline.event.tenant, set()).update(outline.users)
        return {tenant: await self._people.addresses(tenant, names) for tenant, names in users.items()}

    def _append(self, outline: Outline, known: Known) -> Append:
        event, asked = outline.event, outline.asked
        deliveries: list[Planned] = []
        expand: list[tuple[str, tuple[str, ...]]] = []
        if asked is not None:
            for user in outline.users:
                person = known[event.tenant].get(user)
                deliveries += plan(
                    asked,
                    Reachable.of(user, person),
                    NONE if person is None else Wishes.of(person.wanted, person.default),
                    reach=self._rules.reach,
                    now=event.created_at,
                    new_id=self._new_id,
                )
            crowds = [room for room in event.rooms if not room.startswith(NO_CROWD)]
            if crowds and (usable := asked.words(self._rules.reach)):
                expand = [(room, usable) for room in crowds]

        id, recipients = event.id, len(event.rooms)

        def answer(cursor: Cursor) -> bytes:
            return accepted(id, cursor, recipients, deliveries)

        return Append(
            event=event,
            deliveries=deliveries,
            expand=expand,
            key=outline.key,
            answer=answer,
            mutable=outline.mutable,
            collapse_key=outline.collapse,
        )

    def _event(self, draft: Draft, event_id: str, now: datetime) -> tuple[Event, EventType]:
        kind = self._type(draft.tenant, draft.type)
        rooms = self._rooms(draft, draft.to)
        exclude = self._rooms(draft, draft.exclude) if draft.exclude else ()
        title, message = draft.title, draft.message
        if draft.inbox and (title is None or message is None):
            words = self._words(draft.tenant, kind.name, draft.data, draft.actor)
            title = words[0] if title is None else title
            message = words[1] if message is None else message
        expires = draft.expires_at
        if expires is not None and expires <= now:
            raise ValidationFailed(errors=[{"field": "expiresAt", "message": "lies in the past"}])
        if expires is None and kind.ttl_days is not None:
            expires = now + timedelta(days=kind.ttl_days)
        event = Event(
            tenant=draft.tenant,
            id=event_id,
            type=kind.name,
            wire=kind.wire,
            created_at=now,
            rooms=rooms,
            title=title,
            message=message,
            link=draft.link,
            data=draft.data,
            severity=draft.severity or kind.severity,
            inbox=draft.inbox,
            exclude=exclude,
            actor=draft.actor,
            expires_at=expires,
        )
        return event, kind

    def _type(self, tenant: str, name: str) -> EventType:
        found = self._types.find(tenant, name)
        if found is not None and (found.known or self._rules.custom_types):
            return found
        if not self._rules.custom_types:
            raise TypeUnknown(f"the type {name[:128]!r} is not registered")
        if not _TYPE.fullmatch(name):
            raise TypeUnknown(f"not a type name: {name[:128]!r} (letters, digits, '.', '_', ':' and '-')")
        return self._types.kind(tenant, name)

    def _rooms(self, draft: Draft, names: Collection[str]) -> tuple[str, ...]:
        if len(names) > self._rules.max_rooms:
            raise RoomInvalid(f"too many rooms: {len(names)}, at most {self._rules.max_rooms}")
        if len(names) == 1:
            return (require_room(draft.tenant, next(iter(names))),)
        return tuple(dict.fromkeys([require_room(draft.tenant, name) for name in names]))

    # -- not now, and not for the log ----------------------------------------------------------------
    def _volatile(self, draft: Draft, now: datetime) -> Accepted:
        event, _ = self._event(draft, self._new_id(), now)
        self._publish.events([event])
        return Accepted(accepted(event.id, None, len(event.rooms), ()))

    async def _later(self, draft: Draft, key: IdempotencyKey | None, now: datetime) -> Accepted:
        if draft.near is not None:
            self._locations.require()
        event, _ = self._event(draft, self._new_id(), now)  # refused now rather than when nobody listens
        body = accepted(event.id, None, len(event.rooms), (), scheduled_at=draft.send_at)
        answer, replayed = await self._scheduled.add(event.id, draft, key=key, answer=body, now=now)
        return Accepted(answer, replayed)
