"""Who gets what on which outside channel, and why not.

A pure decision: the channels that are wanted, what is known of a person, which channels this
installation can send on. The answer is data: `planned` deliveries with their address, and `skipped` ones
with a reason that the sender of the notification reads. In-app is not a delivery: it is the log itself.
This file knows no event types, no providers and no SQL; ids and the time are told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from hub.domain.delivery import Planned, Status

IN_APP = "inApp"
NO_ADDRESS = "no address"
NOT_CONFIGURED = "channel not configured"
SUPPRESSED = "suppressed"


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


@dataclass(frozen=True, slots=True)
class Reachable:
    """One person and where each outside channel reaches them; a channel without an address is missing."""

    user: str
    email: str | None = None
    sms: str | None = None
    discord: str | None = None
    webpush: tuple[str, ...] = ()  # a subscription for each browser

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


def outside(channels: Iterable[str]) -> tuple[str, ...]:
    """The channels that make deliveries, each once, in the order they were named."""
    return tuple(dict.fromkeys(channel for channel in channels if channel != IN_APP))


def plan(
    channels: Iterable[str],
    who: Reachable,
    *,
    configured: Collection[str],
    now: datetime,
    new_id: Callable[[], str],
) -> list[Planned]:
    """One delivery for each outside channel in `channels` (web push: each browser), due at `now` or skipped
    with its reason."""
    deliveries = []
    for channel, address in who.places(outside(channels)):
        reason = NOT_CONFIGURED if channel not in configured else None if address else NO_ADDRESS
        deliveries.append(
            Planned(
                id=new_id(),
                user=who.user,
                channel=channel,
                address=address,
                status=Status.SKIPPED if reason else Status.PLANNED,
                due_at=now,
                reason=reason,
            )
        )
    return deliveries
