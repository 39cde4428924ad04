"""Who gets what on which outside channel and when, and why not.

Pure decisions: what a notification asks for, what is known of a person and what they want, where this
installation can send. The answer is data: `planned` deliveries with their address and due time, and `skipped`
ones with a reason that the sender of the notification reads. The same rules are asked again when a delivery
is about to leave, for people change their minds. In-app is not a delivery: it is the log itself. This file
knows no providers and no SQL; ids and the time are told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Protocol, Self

from hub.domain.access import ADMIN
from hub.domain.delivery import Planned, Status
from hub.domain.events import EventType
from hub.domain.phones import country_of
from hub.domain.preferences import NONE, OFF, Wishes, zone_of
from hub.domain.timing import quiet_until

ADMINS = f"role:{ADMIN}"
IN_APP = "inApp"
NO_ADDRESS = "no address"
NOT_CONFIGURED = "channel not configured"
SUPPRESSED = "suppressed"
MUTED = "muted"
COUNTRY = "country not allowed"
ALREADY_READ = "already read"
THROTTLED = "throttled"
EXCLUDED = "excluded"
EXPIRED = "expired"
CRITICAL = "critical"  # the severity that neither quiet hours nor digests hold up
# A push goes to one browser of several, so it cannot speak for what another one missed.
_DIGESTED = frozenset({"email", "sms", "discord"})
_MAIL = "email"  # what a person's own digest gathers


class Person(Protocol):
    """What routing reads of a stored contact."""

    @property
    def email(self) -> str | None: ...
    @property
    def phone(self) -> str | None: ...
    @property
    def discord_webhook(self) -> str | None: ...
    @property
    def webpush(self) -> tuple[str, ...]: ...
    @property
    def timezone(self) -> str | None: ...


@dataclass(slots=True)  # not frozen: that doubles the price of making one
class Reachable:
    """One person and where each outside channel reaches them; a channel without an address is missing."""

    user: str
    email: str | None = None
    sms: str | None = None
    discord: str | None = None
    webpush: tuple[str, ...] = ()  # a subscription for each browser
    timezone: str | None = None

    @classmethod
    def of(cls, user: str, person: Person | None) -> Self:
        """`person` None: nobody has told the hub about this user."""
        if person is None:
            return cls(user)
        return cls(
            user,
            email=person.email,
            sms=person.phone,
            discord=person.discord_webhook,
            webpush=person.webpush,
            timezone=person.timezone,
        )

    def address(self, channel: str) -> str | None:
        return {"email": self.email, "sms": self.sms, "discord": self.discord}.get(channel)

    def places(self, channels: Iterable[str]) -> Iterator[tuple[str, str | None]]:
        """Each channel with each of its addresses: one, or one for each browser; None where there is none."""
        for channel in channels:
            if channel == "webpush" and self.webpush:
                yield from ((channel, browser) for browser in self.webpush)
            else:
                yield channel, self.address(channel)


@dataclass(frozen=True, slots=True)
class Reach:
    """Where this installation sends: channels that have a provider, countries that get SMS (None: all)."""

    channels: Collection[str]
    countries: Collection[str] | None = None


@dataclass(slots=True, kw_only=True)  # not frozen: that doubles the price of making one
class Asked:
    """What a notification asks for outside. `later`: channels to be tried after so many seconds, unless the
    person has seen it by then."""

    kind: EventType
    channels: tuple[str, ...]
    at: datetime
    severity: str = "info"
    data: Mapping[str, Any] = field(default_factory=dict)
    later: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        kind: EventType,
        named: Iterable[str] | None,
        *,
        at: datetime,
        severity: str,
        data: Mapping[str, Any],
    ) -> Self:
        """`named`: the channels that the sender names; None: what the type says, escalation among it."""
        later = kind.escalate if named is None else {}
        channels = outside(kind.channels if named is None else named)
        if later:
            channels = tuple(channel for channel in channels if channel not in later)
        return cls(kind=kind, channels=channels, at=at, severity=severity, data=data, later=later)

    def words(self, reach: Reach) -> tuple[str, ...]:
        """What of it can be sent, as it is kept for a crowd: `email`, `sms+900`."""
        later = (
            f"{channel}+{seconds}" for channel, seconds in self.later.items() if channel in reach.channels
        )
        return (*(channel for channel in self.channels if channel in reach.channels), *later)

    @property
    def every(self) -> tuple[str, ...]:
        return (*self.channels, *self.later) if self.later else self.channels


def of_words(words: Iterable[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """`Asked.words` read back: the channels, and those for later."""
    parts = [word.partition("+") for word in words]
    channels = tuple(channel for channel, plus, _ in parts if not plus)
    return channels, {channel: int(seconds) for channel, plus, seconds in parts if plus}


def outside(channels: Iterable[str]) -> tuple[str, ...]:
    """The channels that make deliveries, each once, in the order they were named."""
    return _outside(tuple(channels))


@lru_cache(1024)  # there are few ways to name five channels
def _outside(channels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(channel for channel in channels if channel != IN_APP))


def left_out(exclude: Collection[str], tenant: str, user: str, roles: Iterable[str]) -> bool:
    """Whether somebody is in one of the rooms that a notification is not for."""
    if not exclude:
        return False
    rooms = {f"user:{user}", f"tenant:{tenant}", *(f"role:{role}" for role in roles)}
    return not rooms.isdisjoint(exclude)


def tells_admins(room: str, channels: Collection[str], exclude: Collection[str]) -> bool:
    """Whether a crowd's notification goes to the admins' common webhook, too."""
    among = room == ADMINS or room.startswith("tenant:")
    return among and "discord" in channels and ADMINS not in exclude


def plan(
    asked: Asked,
    who: Reachable,
    wishes: Wishes = NONE,
    *,
    reach: Reach,
    now: datetime,
    new_id: Callable[[], str],
) -> list[Planned]:
    """One delivery for each outside channel that is asked for (web push: each browser), due in its time or
    skipped with its reason."""
    deliveries = []
    for channel, address in who.places(asked.every):
        reason = why_not(asked.kind, channel, address, wishes, reach)
        due, digest, held = now, None, None
        if reason is None:
            zone = zone_of(wishes.zone, who.timezone)
            due, digest, held = when(asked, channel, wishes, zone, now)
        deliveries.append(
            Planned(
                id=new_id(),
                user=who.user,
                channel=channel,
                address=address,
                status=Status.SKIPPED if reason else Status.PLANNED,
                due_at=due,
                reason=reason or held,
                digest=digest,
                unless_seen=reason is None and channel in asked.later,
            )
        )
    return deliveries


def why_not(kind: EventType, channel: str, address: str | None, wishes: Wishes, reach: Reach) -> str | None:
    """Why nothing of this type is sent to this address on this channel; None: it may be sent."""
    if channel not in reach.channels:
        return NOT_CONFIGURED
    if kind.mutable and not wishes.wants(channel, kind.name):
        return MUTED
    if not address:
        return NO_ADDRESS
    if channel == "sms" and reach.countries is not None and country_of(address) not in reach.countries:
        return COUNTRY
    return None


def when(
    asked: Asked, channel: str, wishes: Wishes, zone: tzinfo, now: datetime
) -> tuple[datetime, str | None, str | None]:
    """When a delivery is due, with which others it leaves in one message, and why it waits if for quiet."""
    if channel in asked.later:
        due, digest = max(now, asked.at + timedelta(seconds=asked.later[channel])), None
    else:
        due, digest = gathered(asked, channel, wishes, zone, now)
    ends = held_until(asked.severity, wishes, zone, due)
    return (due, digest, None) if ends is None else (ends, digest, quiet_reason(ends))


def gathered(
    asked: Asked, channel: str, wishes: Wishes, zone: tzinfo, now: datetime
) -> tuple[datetime, str | None]:
    """When what is gathered with this goes out, and under which name; now and None: it goes by itself.

    The person's own digest comes before the type's; `off` ends both.
    """
    if asked.severity == CRITICAL or channel not in _DIGESTED:
        return now, None
    if channel == _MAIL and (due := wishes.gathered(zone, now)) is not None:
        return due, wishes.digest
    rule = asked.kind.digest
    if rule is None or wishes.digest == OFF:
        return now, None
    window, key = rule
    value = str(asked.data.get(key, "")) if key else ""
    mark = hashlib.sha256(value.encode()).hexdigest()[:24] if value else ""
    return now + timedelta(seconds=window), f"{asked.kind.name}:{mark}"


def held_until(severity: str, wishes: Wishes, zone: tzinfo, now: datetime) -> datetime | None:
    """When the quiet hours end that hold something up which is due at `now`; None: nothing does."""
    if wishes.quiet is None or severity == CRITICAL:
        return None
    return quiet_until(wishes.quiet, zone, now)


def quiet_reason(ends: datetime) -> str:
    return f"quiet hours until {ends:%Y-%m-%dT%H:%M:%SZ}"
