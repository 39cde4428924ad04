"""A delivery: one notification to one person on one outside channel, and the states it may take.

`TRANSITIONS` is the whole machine; the documentation draws its diagram from it. A delivery is over
(`TERMINAL`) or has a future `due_at`. This file knows no clock, no provider and no SQL.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hub.domain.events import Event


class Status(enum.StrEnum):
    PLANNED = "planned"  # stored; will be handed to the queue at due_at
    QUEUED = "queued"  # the queue was told
    SENDING = "sending"  # a worker holds the lease
    SENT = "sent"  # the provider took it
    DELIVERED = "delivered"  # the provider says it arrived
    OPENED = "opened"
    FAILED = "failed"  # will be tried again at due_at; shown as `retrying`
    DEAD = "dead"  # given up; an operator may retry it
    SKIPPED = "skipped"  # never to be sent, with the reason
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # a worker died during the call: sent or not, nobody knows yet


S = Status
TRANSITIONS: dict[Status, frozenset[Status]] = {
    S.PLANNED: frozenset({S.QUEUED, S.SENDING, S.SKIPPED, S.CANCELLED, S.DEAD}),
    S.QUEUED: frozenset({S.PLANNED, S.SENDING, S.SKIPPED, S.CANCELLED, S.DEAD}),
    # What a provider says later may be here before its answer, or in its place.
    S.SENDING: frozenset({S.SENT, S.FAILED, S.DEAD, S.SKIPPED, S.UNKNOWN, S.PLANNED, S.DELIVERED, S.OPENED}),
    S.UNKNOWN: frozenset({S.SENDING, S.SENT, S.DEAD, S.FAILED, S.DELIVERED, S.OPENED}),
    S.FAILED: frozenset({S.QUEUED, S.SENDING, S.DEAD, S.SKIPPED, S.CANCELLED, S.SENT, S.DELIVERED, S.OPENED}),
    S.SENT: frozenset({S.DELIVERED, S.OPENED, S.DEAD}),
    S.DELIVERED: frozenset({S.OPENED}),
    S.OPENED: frozenset(),
    S.DEAD: frozenset({S.PLANNED}),
    S.SKIPPED: frozenset(),
    S.CANCELLED: frozenset(),
}
TERMINAL = frozenset({S.SENT, S.DELIVERED, S.OPENED, S.DEAD, S.SKIPPED, S.CANCELLED})
UNSENT = frozenset({S.PLANNED, S.QUEUED, S.FAILED})  # no worker holds it, and no provider has taken it
CLAIMABLE = frozenset({S.PLANNED, S.QUEUED, S.FAILED, S.UNKNOWN})


# When nobody knows whether a call was carried out, a second message is a nuisance and a missing one a loss:
# these channels send again and say `maybe_duplicate`. An SMS costs money, and waits for the provider's word
# or for an operator.
RESENT_WHEN_UNKNOWN = frozenset({"email", "discord", "webpush"})


def shown(status: str) -> str:
    """The word a user reads."""
    return "retrying" if status == S.FAILED else str(status)


@dataclass(slots=True, kw_only=True)  # not frozen: that doubles the price of making one
class Planned:
    """A delivery as routing decides it, before it is stored: `planned`, or `skipped` with the reason.

    Those of one person and channel with the same `digest` leave in one message. `unless_seen`: only if the
    person has not seen the notification by then.
    """

    id: str
    user: str
    channel: str
    address: str | None
    status: Status
    due_at: datetime
    reason: str | None = None
    digest: str | None = None
    unless_seen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A stored delivery as it stands. `attempts` counts calls of a provider; `crew` are the others that
    moved with it, because they are in one message."""

    id: str
    tenant: str
    event_id: str
    user: str
    channel: str
    status: Status
    attempts: int
    due_at: datetime | None
    reason: str | None
    error: str | None
    provider: str | None
    maybe_duplicate: bool
    updated_at: datetime
    crew: tuple[Delivery, ...] = ()

    @property
    def updates(self) -> list[DeliveryUpdate]:
        """What watchers are told of it and of its crew."""
        return [self.update, *(one.update for one in self.crew)]

    @property
    def update(self) -> DeliveryUpdate:
        """What watchers are told of it; why it was skipped stands where errors stand."""
        return DeliveryUpdate(
            id=self.id,
            notification=self.event_id,
            tenant=self.tenant,
            user=self.user,
            channel=self.channel,
            status=shown(self.status),
            attempts=self.attempts,
            error=self.error or self.reason,
            provider=self.provider,
            at=self.updated_at,
            maybe_duplicate=self.maybe_duplicate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryUpdate:
    """What watchers are told when a delivery has moved. `status` is the shown word."""

    id: str
    notification: str
    tenant: str
    user: str
    channel: str
    status: str
    attempts: int
    error: str | None
    provider: str | None
    at: datetime
    maybe_duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A claimed delivery that leaves in the message of another, with a fence of its own."""

    id: str
    fence: int
    event: Event | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery that is ours until the lease ends, and what is needed to send it.

    `fence` is raised by every claim, `attempts` counts the calls made before this one; `past_fence` and
    `past_attempts` are what of them came before an operator's last retry. `event` None: retention has
    removed it. `suppressed`: nothing is to be sent to its address. `crew` are the deliveries that leave in
    the same message. `wanted` is what its person has said about being notified, `default` what their tenant
    has; `seen`: they have seen the notification, and it was not to be sent then. `request`: what it came of.
    """

    id: str
    tenant: str
    user: str
    channel: str
    address: str | None
    fence: int
    attempts: int
    maybe_duplicate: bool
    event: Event | None
    locale: str | None
    timezone: str | None
    past_attempts: int = 0
    past_fence: int = 0
    suppressed: bool = False
    crew: tuple[Member, ...] = ()
    wanted: Mapping[str, Any] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    seen: bool = False
    request: str | None = None

    @property
    def items(self) -> tuple[Event, ...]:
        """The notifications that are in the message, oldest first."""
        events = [self.event, *(one.event for one in self.crew)]
        return tuple(sorted((one for one in events if one is not None), key=lambda event: event.offset))

    @property
    def tries(self) -> int:
        """The calls that patience counts."""
        return self.attempts - self.past_attempts

    @property
    def lost(self) -> int:
        """The claims that ended without a call, this one included while it is not called."""
        return self.fence - self.past_fence - self.tries


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How a call of a provider ended. `outcome`: sent, temporary or permanent."""

    number: int
    outcome: str
    duration_ms: float
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a claimed delivery goes next. `due_at` is for states that are not over.

    `gone`: nothing will ever reach its address, so nothing is to be sent there any more.
    `maybe_duplicate` is only ever added to a delivery, never taken away.
    """

    status: Status
    due_at: datetime | None = None
    reason: str | None = None
    error: str | None = None
    provider_id: str | None = None
    maybe_duplicate: bool = False
    gone: bool = False
    call: Call | None = None
