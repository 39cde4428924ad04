"""Accepting a draft: its type, its rooms, its words, its deliveries; then one commit.

Whatever is refused is refused before anything is stored. What is accepted is committed before the
answer is given, together with every delivery it causes. Publishing and the queue's hint follow the
commit (see `Publish` and the log's `on_commit`), so a caller that hangs up changes nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from hub.domain.access import Room
from hub.domain.drafts import Draft, IdempotencyKey
from hub.domain.errors import RateLimited, Refusal, RoomInvalid, StateConflict, TypeUnknown, ValidationFailed
from hub.domain.events import CHANNELS, Cursor, Event, EventType, Registry
from hub.domain.routing import Reachable, plan
from hub.services.publish import Publish
from hub.services.wire import accepted
from hub.store.events import Append, Appended, EventLog
from hub.store.people import People
from hub.store.scheduled import Scheduled

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,127}")
OUTSIDE = frozenset(CHANNELS) - {"inApp"}


class Words(Protocol):
    def __call__(self, kind: EventType, data: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """The title and the message of a type's in-app template; never fails for want of data."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """`body` is the answer as JSON; `replayed`: it was given before, for the same key."""

    body: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be asked for."""

    custom_types: bool = True
    max_rooms: int = 1000
    configured: frozenset[str] = frozenset({"email"})  # outside channels that have a provider
    per_minute: int | None = None  # what one tenant may send, over all processes


class Quota(Protocol):
    async def take(self, name: str, *, most: int, window: float, cost: int = 1) -> float: ...


class Ingest:
    def __init__(
        self,
        *,
        registry: Registry,
        log: EventLog,
        people: People,
        scheduled: Scheduled,
        publish: Publish,
        words: Words,
        quota: Quota,
        rules: Rules,
        tenant: Callable[[str], Any],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._registry = registry
        self._log = log
        self._people = people
        self._scheduled = scheduled
        self._publish = publish
        self._words = words
        self._quota = quota
        self._rules = rules
        self._require_tenant = tenant
        self._clock = clock
        self._new_id = new_id

    async def accept(self, draft: Draft, key: IdempotencyKey | None = None) -> Accepted:
        """Store one draft. Raises a `Refusal`; then nothing was stored."""
        [answer] = await self.accept_many([(draft, key)])
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def accept_many(
        self, items: Sequence[tuple[Draft, IdempotencyKey | None]]
    ) -> list[Accepted | Refusal]:
        """Store many, in this order, each with its own answer."""
        answers: list[Accepted | Refusal | None] = [None] * len(items)
        appends: dict[int, Append] = {}
        quota = await self._over_quota(items)
        for place, (draft, key) in enumerate(items):
            try:
                if refusal := quota.get(draft.tenant):
                    raise refusal
                await self._require_tenant(draft.tenant)
                prepared = await self._prepare(draft, key)
            except Refusal as refusal:
                answers[place] = refusal
                continue
            if isinstance(prepared, Append):
                appends[place] = prepared
            else:
                answers[place] = prepared
        for place, result in zip(appends, await self._log.append_many(list(appends.values())), strict=True):
            answers[place] = (
                Accepted(result.answer, result.replayed) if isinstance(result, Appended) else result
            )
        return [answer for answer in answers if answer is not None]

    async def _over_quota(
        self, items: Sequence[tuple[Draft, IdempotencyKey | None]]
    ) -> dict[str, RateLimited]:
        """The refusal of each tenant among `items` that has sent too much."""
        most = self._rules.per_minute
        if most is None:
            return {}
        refused = {}
        for tenant, cost in Counter(draft.tenant for draft, _ in items).items():
            if wait := await self._quota.take(f"ingest:{tenant}", most=most, window=60.0, cost=cost):
                refused[tenant] = RateLimited(f"at most {most} events a minute", retry_after=wait)
        return refused

    async def release(self, event_id: str, draft: Draft) -> None:
        """Send a scheduled draft whose time has come. Doing it twice does it once: its id is the event's."""
        try:
            append = await self._append(draft, None, event_id)
            [result] = await self._log.append_many([append])
            if isinstance(result, Refusal):
                raise result
        except StateConflict:
            pass  # it was sent, and the process died before it could say so

    # -- one draft -----------------------------------------------------------------------------------
    async def _prepare(self, draft: Draft, key: IdempotencyKey | None) -> Append | Accepted:
        if not draft.durable:
            return await self._volatile(draft)
        if draft.send_at is not None and draft.send_at > self._clock():
            return await self._later(draft, key)
        return await self._append(draft, key, self._new_id())

    async def _append(self, draft: Draft, key: IdempotencyKey | None, event_id: str) -> Append:
        event, kind = self._event(draft, event_id)
        if draft.contact is not None:
            await self._people.put(draft.tenant, draft.contact, now=event.created_at)
        channels = tuple(c for c in (draft.channels or kind.channels) if c in OUTSIDE) if draft.inbox else ()
        users = [room.removeprefix("user:") for room in event.rooms if room.startswith("user:")]
        crowds = [room for room in event.rooms if not room.startswith(("user:", "topic:", "session:"))]
        users = [user for user in users if f"user:{user}" not in event.exclude]
        deliveries = []
        if channels and users:
            known = await self._people.get_many(draft.tenant, users)
            for user in users:
                reachable = Reachable.of(user, known.get(user))
                deliveries += plan(
                    channels,
                    reachable,
                    configured=self._rules.configured,
                    now=event.created_at,
                    new_id=self._new_id,
                )
        usable = tuple(c for c in channels if c in self._rules.configured)

        def answer(cursor: Cursor) -> bytes:
            return accepted(event.id, cursor, len(event.rooms), deliveries)

        return Append(
            event=event,
            deliveries=deliveries,
            expand=[(room, usable) for room in crowds] if usable else [],
            key=key,
            answer=answer,
            create_tenant=False,
        )

    def _event(self, draft: Draft, event_id: str) -> tuple[Event, EventType]:
        kind = self._type(draft.type)
        rooms = self._rooms(draft, draft.to)
        exclude = self._rooms(draft, draft.exclude)
        now = self._clock()
        title, message = draft.title, draft.message
        if draft.inbox and (title is None or message is None):
            words = self._words(kind, draft.data)
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

    def _type(self, name: str) -> EventType:
        found = self._registry.find(name)
        if found is not None:
            return found
        if not self._rules.custom_types:
            raise TypeUnknown(f"the type {name[:128]!r} is not registered")
        if not _TYPE.fullmatch(name):
            raise TypeUnknown(f"not a type name: {name[:128]!r} (letters, digits, '.', '_', ':' and '-')")
        return self._registry.custom(name)

    def _rooms(self, draft: Draft, names: Collection[str]) -> tuple[str, ...]:
        if len(names) > self._rules.max_rooms:
            raise RoomInvalid(f"too many rooms: {len(names)}, at most {self._rules.max_rooms}")
        return tuple(dict.fromkeys(str(Room.parse(draft.tenant, name)) for name in names))

    # -- not now, and not for the log ----------------------------------------------------------------
    async def _volatile(self, draft: Draft) -> Accepted:
        event, _ = self._event(draft, self._new_id())
        self._publish.events([event])
        return Accepted(accepted(event.id, None, len(event.rooms), ()))

    async def _later(self, draft: Draft, key: IdempotencyKey | None) -> Accepted:
        event, _ = self._event(draft, self._new_id())  # refused now rather than when nobody listens
        body = accepted(event.id, None, len(event.rooms), (), scheduled_at=draft.send_at)
        answer, replayed = await self._scheduled.add(
            event.id, draft, key=key, answer=body, now=event.created_at
        )
        return Accepted(answer, replayed)
