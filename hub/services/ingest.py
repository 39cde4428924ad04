"""Accepting drafts: what they cost, what they become, then one commit.

Whatever is refused is refused before anything is stored. What is accepted is committed before the
answer is given, together with every delivery it causes. Publishing and the queue's hint follow the
commit (see `Publish` and the log's `on_commit`), so a caller that hangs up changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, Protocol

from hub.domain.drafts import Draft, IdempotencyKey
from hub.domain.errors import RateLimited, Refusal, StateConflict
from hub.domain.events import Event, EventType
from hub.services.outlines import Outline, Outlines
from hub.services.publish import Publish
from hub.services.wire import accepted
from hub.store.events import Appended, EventLog
from hub.store.group import Answer
from hub.store.people import Addresses, People
from hub.store.scheduled import Scheduled

MINUTE = 60.0  # seconds


class Accepted(NamedTuple):
    """`body` is the answer as JSON; `replayed`: it was given before, for the same key."""

    body: bytes
    replayed: bool = False


class Quota(Protocol):
    async def take(self, name: str, *, most: int, window: float, cost: int = 1) -> float: ...
    def take_ahead(self, name: str, *, most: int, window: float) -> bool: ...


class Caller(Answer, Protocol):
    """Who waits for an answer, and the id of the request."""

    @property
    def id(self) -> str: ...


class Ingest:
    """`per_minute`: events that one tenant may send, over all processes; None: as many as it likes."""

    def __init__(
        self,
        *,
        outlines: Outlines,
        log: EventLog,
        people: People,
        scheduled: Scheduled,
        publish: Publish,
        quota: Quota,
        per_minute: int | None,
        tenant: Callable[[str], Any],
        clock: Callable[[], datetime],
    ) -> None:
        self._outlines = outlines
        self._log = log
        self._people = people
        self._scheduled = scheduled
        self._publish = publish
        self._quota = quota
        self._per_minute = per_minute
        self._require_tenant = tenant
        self._clock = clock
        self._there: set[str] = set()  # tenants that were not refused; whether they still exist, the log says

    def begin(self, draft: Draft, key: IdempotencyKey | None, answer: Caller) -> bool:
        """`accept` for who does not wait: `answer` is told what it would return or raise, in a list.

        False: nothing was done, because something has to be looked up first, or it is to be refused.
        """
        if draft.tenant not in self._there:
            return False
        try:
            outline = self._outlines.at_once(draft, key, self._clock())
        except Refusal:
            return False
        if outline is None:
            return False
        most = self._per_minute
        if most and not self._quota.take_ahead(f"ingest:{draft.tenant}", most=most, window=MINUTE):
            return False
        if outline.users:
            found = self._people.ask_addresses(draft.tenant, outline.users)
            found.add_done_callback(partial(self._enter, outline, answer))
        else:
            self._log.enter(self._outlines.append(outline, {}, request=answer.id), answer)
        return True

    def _enter(
        self, outline: Outline, answer: Caller, found: asyncio.Future[Mapping[str, Addresses]]
    ) -> None:
        """Everybody can be reached as was `found` out."""
        try:
            known = {outline.event.tenant: found.result()}
            append = self._outlines.append(outline, known, request=answer.id)
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
        outlined = self._outlines.at_once(draft, key, now) or await self._prepare(draft, key, now)
        if isinstance(outlined, Accepted):
            return outlined
        known = await self._outlines.known([outlined]) if outlined.users else {}
        result = await self._log.append(self._outlines.append(outlined, known))
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
                outlined = self._outlines.at_once(draft, key, now) or await self._prepare(draft, key, now)
            except Refusal as refusal:
                answers[place] = refusal
                continue
            if isinstance(outlined, Outline):
                outlines[place] = outlined
            else:
                answers[place] = outlined
        try:
            known = await self._outlines.known(outlines.values())
        except Refusal as refusal:
            known = {}
            for place in [place for place, outline in outlines.items() if outline.users]:
                answers[place] = refusal
                del outlines[place]
        appends = [self._outlines.append(outline, known) for outline in outlines.values()]
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
        return self._outlines.event(await self._outlines.placed(draft), at)

    async def _require_quota(self, tenant: str, cost: int) -> None:
        """Raises `RateLimited` when the tenant has sent too much."""
        most = self._per_minute
        if most is None:
            return
        if wait := await self._quota.take(f"ingest:{tenant}", most=most, window=MINUTE, cost=cost):
            detail = f"at most {most} events a minute"
            raise RateLimited(detail, retry_after=wait, quota=(most, MINUTE))

    async def release(self, event_id: str, draft: Draft, stored: str | None = None) -> None:
        """Send a draft whose time has come. Doing it twice does it once: its id is the event's.

        `stored`: how it waits in the database; it is sent if it still does when the event is stored.
        """
        draft = await self._outlines.placed(draft)
        outline = await self._outlines.outline(draft, None, self._clock(), id=event_id)
        append = self._outlines.append(outline, await self._outlines.known([outline]), draft=stored)
        try:
            await self._log.append(append)
        except StateConflict:
            pass  # it was sent meanwhile, replaced or cancelled

    # -- one draft -----------------------------------------------------------------------------------
    async def _prepare(self, draft: Draft, key: IdempotencyKey | None, now: datetime) -> Outline | Accepted:
        if draft.send_at is not None and draft.durable and draft.send_at > now:
            return await self._later(draft, key, now)
        draft = await self._outlines.placed(draft)
        if not draft.durable:
            return self._volatile(draft, now)
        return await self._outlines.outline(draft, key, now)

    # -- not now, and not for the log ----------------------------------------------------------------
    def _volatile(self, draft: Draft, now: datetime) -> Accepted:
        event, _ = self._outlines.event(draft, now)
        self._publish.events([event])
        return Accepted(accepted(event.id, None, len(event.rooms), ()))

    async def _later(self, draft: Draft, key: IdempotencyKey | None, now: datetime) -> Accepted:
        self._outlines.require_places(draft)
        event, _ = self._outlines.event(draft, now)  # refused now rather than when nobody listens
        body = accepted(event.id, None, len(event.rooms), (), scheduled_at=draft.send_at)
        answer, replayed = await self._scheduled.add(event.id, draft, key=key, answer=body, now=now)
        return Accepted(answer, replayed)
