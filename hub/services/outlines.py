"""From a draft to what is stored of it: its type, its rooms, its words, its deliveries.

An `Outline` is a draft whose event is made; with where people can be reached it becomes an `Append`. Whatever
is wrong with a draft is refused here. This file stores nothing and does not know when anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from hub.domain.access import require_room
from hub.domain.delivery import Planned
from hub.domain.drafts import Draft, IdempotencyKey
from hub.domain.errors import RoomInvalid, TypeUnknown, ValidationFailed
from hub.domain.events import Cursor, Event, EventType
from hub.domain.geo import Near
from hub.domain.preferences import NONE, Wishes
from hub.domain.routing import Asked, Reach, Reachable, left_out, plan
from hub.domain.rules import Types
from hub.services.requests import named
from hub.services.wire import accepted
from hub.store.events import Append
from hub.store.people import Addresses, People, Person

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,127}")
NO_CROWD = ("user:", "topic:", "session:")  # rooms that are one person, or nobody in particular


class Words(Protocol):
    def __call__(
        self, tenant: str, type: str, data: Mapping[str, Any], actor: str | None
    ) -> tuple[str | None, str | None]:
        """The title and the message of a type's in-app template; never fails for want of data."""


class Locations(Protocol):
    def require(self) -> None: ...
    async def find(self, tenant: str, near: Near, *, limit: int) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be asked for."""

    custom_types: bool = True
    max_rooms: int = 1000
    reach: Reach = field(default_factory=lambda: Reach(frozenset({"email"})))


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


class Outlines:
    def __init__(
        self,
        *,
        types: Types,
        people: People,
        locations: Locations,
        words: Words,
        rules: Rules,
        new_id: Callable[[], str],
    ) -> None:
        self._types = types
        self._people = people
        self._locations = locations
        self._words = words
        self._rules = rules
        self._new_id = new_id

    # -- a draft's outline ---------------------------------------------------------------------------
    def at_once(self, draft: Draft, key: IdempotencyKey | None, now: datetime) -> Outline | None:
        """What `outline` would make of it; None when something has to be looked up for that, or it is not for
        the log now."""
        if draft.send_at or draft.near or draft.contact or draft.exclude or not draft.durable:
            return None
        event, kind = self.event(draft, now)
        asked = asked_of(draft, kind, event)
        users = () if asked is None else _users(event)
        return Outline(event, key, asked, users, kind.mutable, draft.collapse_key)

    async def outline(
        self, draft: Draft, key: IdempotencyKey | None, now: datetime, *, id: str | None = None
    ) -> Outline:
        """`id`: the event's, when it has one already. Raises a `Refusal`."""
        event, kind = self.event(draft, now, id=id)
        if draft.contact is not None:
            await self._people.put(draft.tenant, draft.contact, now=now)
        asked = asked_of(draft, kind, event)
        users: Sequence[str] = ()
        if asked is not None:
            users = await self._meant(event)
        return Outline(event, key, asked, users, kind.mutable, draft.collapse_key)

    async def placed(self, draft: Draft) -> Draft:
        """The same for whoever is near now, nearest first, and for no more rooms than there may be.

        From here on these are rooms like others: what is stored does not know that it was for a place, so
        replays, inboxes and the answer kept for an Idempotency-Key stay as they are wherever people go.
        """
        if (near := draft.near) is None:
            return draft
        rooms, without = dict.fromkeys(draft.to), {*draft.to, *draft.exclude}
        most = self._rules.max_rooms - len(rooms)
        if most > 0:
            users = await self._locations.find(draft.tenant, near, limit=most + len(without))
            new = [room for user in users if (room := f"user:{user}") not in without]
            rooms |= dict.fromkeys(new[:most])
        return replace(draft, to=tuple(rooms), near=None)

    def require_places(self, draft: Draft) -> None:
        """Raises a `Refusal` when a draft asks who is near and nobody could know."""
        if draft.near is not None:
            self._locations.require()

    def event(self, draft: Draft, now: datetime, *, id: str | None = None) -> tuple[Event, EventType]:
        """The event that a draft becomes, and its type."""
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
            id=id or self._new_id(),
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

    # -- what is stored of it ------------------------------------------------------------------------
    async def known(self, outlines: Collection[Outline]) -> Known:
        """Where everybody can be reached whom these go to, by tenant and user."""
        users: dict[str, set[str]] = {}
        for outline in outlines:
            if outline.users:
                users.setdefault(outline.event.tenant, set()).update(outline.users)
        return {tenant: await self._people.addresses(tenant, names) for tenant, names in users.items()}

    def append(
        self, outline: Outline, known: Known, *, draft: str | None = None, request: str | None = None
    ) -> Append:
        """`known`: where its users can be reached, as `known` finds out. `draft`: it comes of this one.
        `request`: the id of that, where the task does not name it."""
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
            draft=draft,
            request=(request or named()) if asked is not None else None,
        )
