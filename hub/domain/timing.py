"""When to try again, when to leave somebody in peace, and when what was gathered goes out.

Backoff is exponential with full jitter. Quiet hours and digests follow a person's wall clock; what a zone
skips or repeats when its clocks change is judged so that nobody is disturbed too early. Pure: chance is a
number from 0 to 1 that the caller draws, durations are seconds, `now` is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

# An instruction to wait is followed and never undercut; this much is added at most, so that deliveries
# told the same thing at the same moment do not come back at the same moment.
RETRY_AFTER_SPREAD = 0.1
# Beyond this the doubling has long met any ceiling; it keeps the power a small number.
_MOST_DOUBLINGS = 30
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def backoff(attempt: int, *, first: float, longest: float, chance: float) -> float:
    """Seconds to wait after attempt number `attempt` (from 1) has failed.

    Anything from 0 to `first`, doubled with each attempt up to `longest`: full jitter, as in "Exponential
    Backoff And Jitter" (AWS Architecture Blog, 2015), which spreads a crowd of retries best.
    """
    if attempt < 1:
        raise ValueError(f"attempts are counted from 1, not {attempt}")
    return chance * min(longest, first * (1 << min(attempt - 1, _MOST_DOUBLINGS)))


def retry_in(
    attempt: int, *, retry_after: float | None, first: float, longest: float, chance: float
) -> float:
    """Seconds until the next attempt. What the provider asked for (`Retry-After`) wins over our own."""
    if retry_after is not None and retry_after > 0:
        return retry_after * (1 + RETRY_AFTER_SPREAD * chance)
    return backoff(attempt, first=first, longest=longest, chance=chance)


class Daily(NamedTuple):
    """A stretch of every day by the wall clock; over midnight when `end` is not later than `start`. The
    same time twice: never."""

    start: time
    end: time


def quiet_until(hours: Daily, zone: tzinfo, now: datetime) -> datetime | None:
    """When the quiet hours end in which `now` lies; None outside them.

    Where the clocks jump over an end, it is the jump; where they show it twice, the second time.
    """
    if hours.start == hours.end:
        return None
    for day in _days_around(zone, now):
        starts = moment(day, hours.start, zone)
        last = day if hours.end > hours.start else day + _DAY
        ends = moment(last, hours.end, zone, latest=True)
        if starts <= now < ends:
            return ends
    return None


def next_hour(now: datetime) -> datetime:
    """The next full hour after `now`."""
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + _HOUR


def next_time(at: time, zone: tzinfo, now: datetime) -> datetime:
    """The next moment after `now` at which clocks in `zone` show `at`."""
    return next(when for day in _days_around(zone, now) if (when := moment(day, at, zone)) > now)


def window_of(now: datetime, seconds: int) -> datetime:
    """The start of the window of that length in which `now` lies; windows follow one another since 1970."""
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)


def moment(day: date, at: time, zone: tzinfo, *, latest: bool = False) -> datetime:
    """When clocks in `zone` show `at` on that day; the first time, or the `latest`.

    A time that is skipped on that day (PEP 495 calls it a gap) is the moment of the jump.
    """
    wall = datetime.combine(day, at, tzinfo=zone)
    first, second = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first > second:
        return _jump(zone, second, first)
    return second if latest else first


def _jump(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The one change of the zone's clocks between two moments, to the second."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _days_around(zone: tzinfo, now: datetime) -> Iterator[date]:
    """Yesterday, today and the two days that follow, by the zone's calendar."""
    today = now.astimezone(zone).date()
    return (today + number * _DAY for number in range(-1, 3))
