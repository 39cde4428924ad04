"""How much may be sent: to one address, by one tenant, of one type to one person.

A budget is counted in windows that follow one another, at the first call of a delivery; what is tried again
was counted already. This file says which budgets a message draws on, and keeps no count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hub.domain.events import EventType
from hub.domain.timing import window_of

DAY = 86400
_NAMES = {"email": "mail", "sms": "SMS", "discord": "Discord", "webpush": "push"}


@dataclass(frozen=True, slots=True)
class Budgets:
    """By channel, each for a day (UTC). A channel that is missing has no limit."""

    per_tenant: Mapping[str, int] = field(default_factory=dict)
    per_address: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spend:
    """One message out of at most `most` between `window` and `ends_at`, under the name `budget`."""

    budget: str
    window: datetime
    ends_at: datetime
    most: int
    said: str


@dataclass(frozen=True, slots=True)
class Over:
    """A budget is spent; which one, for people to read."""

    said: str


def spends(
    budgets: Budgets, kind: EventType, *, channel: str, address: str, user: str, alone: bool, now: datetime
) -> tuple[Spend, ...]:
    """What a message draws on. Not `alone`: it holds several notifications, which is moderation enough."""
    return tuple(_spends(budgets, kind, channel, address, user, alone, now))


def _spends(
    budgets: Budgets, kind: EventType, channel: str, address: str, user: str, alone: bool, now: datetime
) -> Iterator[Spend]:
    name = _NAMES.get(channel, channel)
    if kind.throttle is not None and alone:
        most, seconds = kind.throttle
        said = f"at most {most} {name} of {kind.name} to one person in {seconds} s"
        yield _spend(f"type:{channel}:{kind.name}:{_digest(user)}", most, seconds, said, now)
    if (most_to := budgets.per_address.get(channel)) is not None:
        said = f"at most {most_to} {name} a day to one address"
        yield _spend(f"to:{channel}:{_digest(address.casefold())}", most_to, DAY, said, now)
    if (most_in_all := budgets.per_tenant.get(channel)) is not None:
        yield _spend(f"all:{channel}", most_in_all, DAY, f"at most {most_in_all} {name} a day", now)


def _spend(budget: str, most: int, seconds: int, said: str, now: datetime) -> Spend:
    window = window_of(now, seconds)
    return Spend(budget, window, window + timedelta(seconds=seconds), most, said)


def _digest(text: str) -> str:
    """Addresses and names are not for reading in a table of counts, and may be long."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
