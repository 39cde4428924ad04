"""The story of a notification's deliveries as steps in time: planned, each attempt, what was said later, and
how it stands.

Pure: no clock and no I/O. Clocks of processes may differ by a little; within one delivery the order is
that in which things happened, whatever the clocks said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.domain.delivery import Delivery, Status, shown
from hub.domain.routing import IN_APP
from hub.store.trail import Story

_ORDER = (Status.SENT, Status.DELIVERED, Status.OPENED)  # of what is said to have happened at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One step. `step`: `planned`, `attempt`, the status a delivery came into, or what a provider said of the
    address (`bounced`, `complained`, `unsubscribed`); the others belong to some.

    `detail`: what the provider said, or why a delivery is where it is. `due_at`: when it goes on. In the
    app there is no delivery, only its arrival.
    """

    delivery: str | None
    channel: str
    step: str
    at: datetime
    attempt: int | None = None
    provider: str | None = None
    outcome: str | None = None
    duration_ms: float | None = None
    detail: str | None = None
    due_at: datetime | None = None
    maybe_duplicate: bool = False


def timeline(stories: Iterable[Story], *, arrived: datetime | None = None) -> list[Moment]:
    """Every step of every delivery, oldest first; `arrived`: when the user's clients said they have it."""
    placed = []
    if arrived is not None:
        step = Moment(delivery=None, channel=IN_APP, step=Status.DELIVERED.value, at=arrived)
        placed.append((arrived, step))
    for story in stories:
        latest = story.created_at
        for moment in _moments(story):
            latest = max(latest, moment.at)
            placed.append((latest, moment))
    return [moment for _, moment in sorted(placed, key=lambda item: item[0])]


def _moments(story: Story) -> Iterator[Moment]:
    one = story.delivery
    untouched = one.updated_at == story.created_at and not story.attempts
    if not (untouched and one.status is not Status.PLANNED):
        yield Moment(
            delivery=one.id,
            channel=one.channel,
            step=Status.PLANNED.value,
            at=story.created_at,
            due_at=one.due_at if untouched else None,
        )
    told: list[Moment] = []  # of the last call
    for call in story.attempts:
        yield Moment(
            delivery=one.id,
            channel=one.channel,
            step="attempt",
            at=call.started_at,
            attempt=call.number,
            provider=call.provider,
            outcome=call.outcome,
            duration_ms=call.duration_ms,
            detail=call.detail,
        )
        told = _told(story, call.number)
        sent = call.outcome == "sent" and (call.number < one.attempts or told or one.status != Status.SENT)
        if sent and all(moment.step != Status.SENT for moment in told):
            at = call.started_at + timedelta(milliseconds=call.duration_ms or 0)
            told.insert(0, _said(one, Status.SENT.value, at, call.provider, None, call.number))
        yield from told
    if not story.attempts:  # it left in another's message
        yield from (told := _told(story, one.attempts))
    untold = all(moment.step != one.status for moment in told)
    if untold and not (untouched and one.status is Status.PLANNED):
        yield Moment(
            delivery=one.id,
            channel=one.channel,
            step=shown(one.status),
            at=one.updated_at,
            provider=one.provider,
            detail=one.error or one.reason,
            due_at=one.due_at,
            maybe_duplicate=one.maybe_duplicate,
        )


def _told(story: Story, attempt: int) -> list[Moment]:
    """What was said of one call, in order."""
    said = [one for one in story.told if one.attempt == attempt]
    said.sort(key=lambda one: (one.at, _ORDER.index(one.step) if one.step in _ORDER else len(_ORDER)))
    return [
        _said(story.delivery, one.step, one.at, one.provider, one.detail, one.attempt or None) for one in said
    ]


def _said(
    one: Delivery, step: str, at: datetime, provider: str | None, detail: str | None, attempt: int | None
) -> Moment:
    return Moment(
        delivery=one.id,
        channel=one.channel,
        step=step,
        at=at,
        attempt=attempt,
        provider=provider,
        detail=detail,
        maybe_duplicate=one.maybe_duplicate,
    )
