"""Who would get what of a notification, on which channel and when, and why not.

The decisions are those of planning and of the last moment before a call, from the same functions, about the
moment at which each delivery would be due. Promises: nothing is stored, sent or counted, and a page costs a
bounded number of reads however large the audience. Does not know HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from hub.domain.budgets import Budgets, spends
from hub.domain.delivery import Planned, Status
from hub.domain.drafts import Contact, Draft
from hub.domain.events import Event, EventType
from hub.domain.preferences import Wishes
from hub.domain.routing import (
    ADMINS,
    EXCLUDED,
    EXPIRED,
    IN_APP,
    MUTED,
    SUPPRESSED,
    THROTTLED,
    Asked,
    Reach,
    Reachable,
    left_out,
    plan,
    tells_admins,
)
from hub.domain.suppression import hint
from hub.services.ingest import Ingest
from hub.services.outlines import NO_CROWD, asked_of
from hub.services.reports import Rows
from hub.services.wire import iso
from hub.store.people import Addresses, People, Person
from hub.store.preferences import Preferences
from hub.store.push import host_of
from hub.store.spending import Spending
from hub.store.suppressions import Address, Suppressions

MOST_READS = 20  # of audiences, for one page


class Place(NamedTuple):
    """Where a page begins: in which audience, the named users being the first, and after which user."""

    audience: int
    user: str


START = Place(0, "")


@dataclass(frozen=True, slots=True)
class Meant:
    """Somebody in an audience, and how they are reached."""

    who: Reachable
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExplainStores:
    people: People
    preferences: Preferences
    suppressions: Suppressions
    spending: Spending


class Explain:
    """`webhook`: the admins' own on Discord."""

    def __init__(
        self,
        ingest: Ingest,
        stores: ExplainStores,
        *,
        reach: Reach,
        budgets: Budgets,
        webhook: str | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._ingest = ingest
        self._stores = stores
        self._reach = reach
        self._budgets = budgets
        self._webhook = webhook
        self._clock = clock

    async def page(self, draft: Draft, *, limit: int, after: Place = START) -> Rows:
        """What would become of up to `limit` people. Raises the `Refusal` that sending it would."""
        now = self._clock()
        event, kind = await self._ingest.made(draft, now)
        if draft.send_at is not None and draft.send_at > now:
            now = event.created_at = draft.send_at
        asked = asked_of(draft, kind, event)
        audiences = ["", *(room for room in event.rooms if not room.startswith(NO_CROWD))]
        found: list[Planned] = []
        left, reads, place = limit, 0, after
        while left and reads < MOST_READS and place.audience < len(audiences):
            room, earlier = audiences[place.audience], audiences[1 : place.audience]
            reads += 1
            people = await self._people(event, draft.contact, room, place.user, left)
            # One delivery for each, however many of the audiences they are in.
            new = [one for one in people if not room or not _among(event, one, earlier)]
            found += await self._planned(event, kind, asked, new, now)
            if room and not place.user:
                found += self._admins(event, asked, room, earlier, now)
            more = len(people) == left
            place = Place(place.audience, people[-1].who.user) if more else Place(place.audience + 1, "")
            left -= len(new)
        judged = await self._judged(event, kind, found)
        more = place.audience < len(audiences)
        return Rows([_row(item) for item in judged], f"{place.audience}.{place.user}" if more else None)

    # -- who -----------------------------------------------------------------------------------------
    async def _people(
        self, event: Event, contact: Contact | None, room: str, after: str, limit: int
    ) -> Sequence[Meant]:
        """The next of an audience, by their ids."""
        if not room:
            return await self._named(event, contact, after, limit)
        kind, _, name = room.partition(":")
        if kind == "role":
            found = await self._stores.people.with_role(event.tenant, name, after=after, limit=limit)
        else:
            found = await self._stores.people.everyone(event.tenant, after=after, limit=limit)
        return [Meant(Reachable.of(one.id, one), one.roles) for one in found]

    async def _named(self, event: Event, contact: Contact | None, after: str, limit: int) -> Sequence[Meant]:
        named = (room[5:] for room in event.rooms if room.startswith("user:"))
        users = sorted(user for user in named if user > after)[:limit]
        known = await self._stores.people.addresses(event.tenant, users)
        roles: Mapping[str, Person] = {}
        if any(room.startswith("role:") for room in event.exclude):
            roles = await self._stores.people.get_many(event.tenant, users)
        return [
            Meant(
                Reachable.of(user, _told(known.get(user), contact, user)),
                roles[user].roles if user in roles else (),
            )
            for user in users
        ]

    # -- what ----------------------------------------------------------------------------------------
    async def _planned(
        self, event: Event, kind: EventType, asked: Asked | None, people: Sequence[Meant], now: datetime
    ) -> list[Planned]:
        """What is planned for these people, in the app first."""
        users = [one.who.user for one in people]
        default, wanted = await self._stores.preferences.of_many(event.tenant, users)
        found: list[Planned] = []
        for one in people:
            wishes = Wishes.of(wanted.get(one.who.user), default)
            muted = kind.mutable and not wishes.wants(IN_APP, kind.name)
            items = [_in_app(one.who.user, MUTED if muted else None, now)]
            if asked is not None:
                items += plan(asked, one.who, wishes, reach=self._reach, now=now, new_id=str)
            if left_out(event.exclude, event.tenant, one.who.user, one.roles):
                items = [_skipped(item, EXCLUDED) for item in items]
            found += items
        return found

    def _admins(
        self, event: Event, asked: Asked | None, room: str, earlier: Collection[str], now: datetime
    ) -> list[Planned]:
        """The one message for all admins, once."""
        channels = () if asked is None else asked.words(self._reach)
        before = any(tells_admins(one, channels, event.exclude) for one in earlier)
        if self._webhook is None or before or not tells_admins(room, channels, event.exclude):
            return []
        return [
            Planned(
                id="",
                user=ADMINS,
                channel="discord",
                address=self._webhook,
                status=Status.PLANNED,
                due_at=now,
            )
        ]

    async def _judged(self, event: Event, kind: EventType, found: Sequence[Planned]) -> list[Planned]:
        """What becomes of it when it is due: the gates of a delivery that a plan does not ask."""
        tenant, items = event.tenant, list(found)
        leaving = [
            (place, one, one.address)
            for place, one in enumerate(items)
            if one.status is Status.PLANNED and one.address
        ]
        gone = await self._stores.suppressions.among(
            [Address(tenant, one.channel, address) for _, one, address in leaving]
        )
        counted: list[int] = []
        wanted = []
        for place, one, address in leaving:
            if event.expires_at is not None and event.expires_at <= one.due_at:
                items[place] = _skipped(one, EXPIRED)
            elif Address(tenant, one.channel, address) in gone:
                items[place] = _skipped(one, SUPPRESSED)
            else:
                counted.append(place)
                wanted.append(
                    spends(
                        self._budgets,
                        kind,
                        channel=one.channel,
                        address=address,
                        user=one.user,
                        alone=one.digest is None,
                        now=one.due_at,
                    )
                )
        for place, over in zip(counted, await self._stores.spending.look(tenant, wanted), strict=True):
            if over is not None:
                items[place] = _skipped(items[place], f"{THROTTLED}: {over.said}")
        return items


def _among(event: Event, one: Meant, rooms: Collection[str]) -> bool:
    """Whether somebody is named, or in one of these crowds."""
    mine = {f"tenant:{event.tenant}", *(f"role:{role}" for role in one.roles)}
    return f"user:{one.who.user}" in event.rooms or not mine.isdisjoint(rooms)


def _told(known: Addresses | None, contact: Contact | None, user: str) -> Addresses | None:
    """Where somebody can be reached once the addresses that came along are stored."""
    if contact is None or contact.user != user:
        return known
    person = known or Addresses(None, None, None)
    email = person.email if contact.email is None else contact.email or None
    phone = person.phone if contact.phone is None else contact.phone or None
    return person._replace(email=email, phone=phone)


def _in_app(user: str, reason: str | None, now: datetime) -> Planned:
    status = Status.SKIPPED if reason else Status.PLANNED
    return Planned(id="", user=user, channel=IN_APP, address=None, status=status, due_at=now, reason=reason)


def _skipped(item: Planned, reason: str) -> Planned:
    return replace(item, status=Status.SKIPPED, reason=reason)


def _row(item: Planned) -> dict[str, Any]:
    planned = item.status is Status.PLANNED
    return {
        "userId": item.user,
        "channel": item.channel,
        "status": item.status.value,
        "address": _hint(item.channel, item.address) if item.address else None,
        "reason": item.reason,
        "dueAt": iso(item.due_at) if planned else None,
    }


def _hint(channel: str, address: str) -> str:
    return host_of(address) if channel == "webpush" else hint(channel, address)
