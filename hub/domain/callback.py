"""What a provider says of a message after it took it, and how far that is believed.

A delivery only moves forward: to arrived, to opened, to given up. What comes twice, late, or about an
earlier call changes nothing. This file knows no provider's words, no SQL and no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hub.domain.delivery import TRANSITIONS, Status

BOUNCED, COMPLAINED, UNSUBSCRIBED, GONE, MANUAL = "bounced", "complained", "unsubscribed", "gone", "manual"

_ARRIVED = (Status.SENT, Status.DELIVERED, Status.OPENED)
# From here a message that was sent may be said to have arrived.
_OPEN_TO_GOOD = frozenset({Status.SENDING, Status.UNKNOWN, Status.FAILED, *_ARRIVED})
# From here it may be said to be lost. What has failed is tried again anyway.
_OPEN_TO_BAD = frozenset({Status.SENDING, Status.UNKNOWN, Status.SENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One thing that was said. It names our delivery, or the provider's own id of the message, or both.

    `status`: where it leads; `suppress`: why nothing more is to be sent to that address. `at` is the
    provider's time.
    """

    provider: str
    channel: str
    delivery: str | None
    provider_id: str | None
    at: datetime
    status: Status | None = None
    suppress: str | None = None
    detail: str | None = None


def forward(standing: Status, said: Status | None, *, same_call: bool) -> Status | None:
    """Where `said` moves a delivery that is `standing`. None: nowhere.

    `same_call`: it is about the call that the delivery stands by. That an earlier one failed says nothing of
    a later one; that it arrived does.
    """
    if said is None or said not in TRANSITIONS[standing]:
        return None
    if said is Status.DEAD:
        return said if same_call and standing in _OPEN_TO_BAD else None
    return said if standing in _OPEN_TO_GOOD else None


def rank(report: Report) -> int:
    """The order of what is said to have happened in the same second."""
    return _ARRIVED.index(report.status) if report.status in _ARRIVED else len(_ARRIVED)
