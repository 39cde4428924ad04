"""Role and tenant audiences become deliveries, one chunk of people at a time.

A notification to `role:ADMIN` costs one row when it is accepted; who is in the role and has an address is
looked up here, later, in chunks that can be interrupted anywhere and are taken up where they stopped.
Knows no queue: it returns what is to be handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from hub.domain.delivery import Planned, Status
from hub.domain.errors import StoreUnavailable
from hub.domain.preferences import Wishes
from hub.domain.routing import ADMINS, Asked, Reach, Reachable, left_out, of_words, plan, tells_admins
from hub.domain.rules import Types
from hub.services.requests import on_behalf_of
from hub.store.expansions import Expansion, Expansions
from hub.store.people import People, Person
from hub.store.preferences import Preferences

CHUNK = 500

log = structlog.get_logger(__name__)


class Expand:
    """`webhook`: the admins' own on Discord."""

    def __init__(
        self,
        expansions: Expansions,
        people: People,
        preferences: Preferences,
        *,
        types: Types,
        reach: Reach,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        chunk: int = CHUNK,
        webhook: str | None = None,
    ) -> None:
        self._expansions = expansions
        self._people = people
        self._preferences = preferences
        self._types = types
        self._reach = reach
        self._clock = clock
        self._new_id = new_id
        self._chunk = chunk
        self._webhook = webhook

    async def run(self, *, chunks: int) -> list[Planned]:
        """Write out up to `chunks` chunks, the oldest audience first; the deliveries that are due now."""
        due: list[Planned] = []
        while chunks > 0:
            waiting = await self._expansions.open(limit=chunks)
            if not waiting:
                break
            for expansion in waiting:
                chunks -= 1
                try:
                    with on_behalf_of(expansion.request):
                        due += await self._one(expansion)
                except StoreUnavailable:
                    raise
                except Exception:  # one audience that cannot be written out keeps no other waiting
                    log.exception("an audience failed", action="audience.failed", id=expansion.id)
        return due

    async def _one(self, expansion: Expansion) -> list[Planned]:
        now = self._clock()
        people: Sequence[Person] = ()
        planned: list[Planned] = []
        if expansion.type is not None and (expansion.expires_at is None or expansion.expires_at > now):
            people = await self._page(expansion)
            planned = await self._plan(expansion, expansion.type, people, now)
        planned += self._together(expansion, now)
        new = await self._expansions.write(
            expansion,
            planned,
            after=people[-1].id if people else expansion.after,
            done=len(people) < self._chunk,
            now=now,
        )
        log.debug("an audience was written out", action="audience.expanded", id=expansion.id, new=len(new))
        return [item for item in new if item.status == Status.PLANNED and item.due_at <= now]

    async def _plan(
        self, expansion: Expansion, type: str, people: Sequence[Person], now: datetime
    ) -> list[Planned]:
        channels, later = of_words(expansion.channels)
        asked = Asked(
            kind=self._types.kind(expansion.tenant, type),
            channels=channels,
            later=later,
            at=expansion.at,
            severity=expansion.severity,
            data=expansion.data,
        )
        meant = [
            person
            for person in people
            if not left_out(expansion.exclude, expansion.tenant, person.id, person.roles)
        ]
        default, wanted = await self._preferences.of_many(expansion.tenant, [one.id for one in meant])
        planned: list[Planned] = []
        for person in meant:
            planned += plan(
                asked,
                Reachable.of(person.id, person),
                Wishes.of(wanted.get(person.id), default),
                reach=self._reach,
                now=now,
                new_id=self._new_id,
            )
        return planned

    def _together(self, expansion: Expansion, now: datetime) -> list[Planned]:
        """The one message for all admins, with the first chunk of an audience that they are in.

        It has their role for a user, so that of several audiences of one event it is written once.
        """
        over = expansion.expires_at is not None and expansion.expires_at <= now
        meant = tells_admins(expansion.room, expansion.channels, expansion.exclude)
        if self._webhook is None or not meant or expansion.after or over:
            return []
        return [
            Planned(
                id=self._new_id(),
                user=ADMINS,
                channel="discord",
                address=self._webhook,
                status=Status.PLANNED,
                due_at=now,
            )
        ]

    async def _page(self, expansion: Expansion) -> Sequence[Person]:
        kind, _, name = expansion.room.partition(":")
        if kind == "role":
            return await self._people.with_role(
                expansion.tenant, name, after=expansion.after, limit=self._chunk
            )
        return await self._people.everyone(expansion.tenant, after=expansion.after, limit=self._chunk)
