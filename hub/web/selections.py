"""Which rows of a report: filters, spans of time, pages by a place, and the link to the next page.

A page begins `after` what the one before ended with; the text of that is ours, so whatever else stands
there is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from aiohttp import web

from hub.domain.access import Room
from hub.domain.delivery import Status, shown
from hub.domain.errors import Invalid, Refusal, RoomInvalid
from hub.domain.events import CHANNELS
from hub.services.reports import Rows
from hub.store.reports import Place, Wanted
from hub.web.answers import answer_json
from hub.web.context import HUB
from hub.web.fields import Faults
from hub.web.parameters import DEFAULT_LIMIT, MAX_LIMIT, type_named, whole_number

MAX_SLOTS = 1000
DEFAULT_SPAN = timedelta(days=1)
_PLACE = re.compile(r"([0-9]{1,18})\.([0-9A-Za-z]{26})")
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WORDS = {shown(status): status for status in Status}
_LEAST = datetime(1970, 1, 2, tzinfo=UTC)


def wanted(request: web.Request) -> Wanted:
    """The filters of a report. Raises `ValidationFailed` with every fault."""
    given = {name: value for name, value in request.query.items() if value}
    faults = Faults()
    since, until = _moment(given, "from", faults), _moment(given, "to", faults)
    if since is not None and until is not None and since >= until:
        faults.add("from", "must be earlier than to")
    user, channel, status = given.get("userId"), given.get("channel"), given.get("status")
    if user is not None:
        try:
            Room.parse("any", f"user:{user}")
        except RoomInvalid:
            faults.add("userId", "must be the id of a user")
    if channel is not None and channel not in CHANNELS:
        faults.add("channel", f"must be one of {', '.join(CHANNELS)}")
    if status is not None and status not in _WORDS:
        faults.add("status", f"must be one of {', '.join(_WORDS)}")
    type_ = type_named(given, faults)
    faults.require_none()
    return Wanted(
        user=user,
        type=type_ and request.app[HUB].registry.canonical(type_),
        channel=channel,
        statuses=None if status is None else (_WORDS[status],),
        since=since,
        until=until,
    )


def place_after(request: web.Request) -> Place | None:
    """Where the page begins. Raises `Invalid`."""
    text = request.query.get("after")
    if not text:
        return None
    found = _PLACE.fullmatch(text)
    if found is None:
        raise Invalid("'after' is what the link to the next page says")
    return Place(int(found[1]), found[2].upper())


def span(request: web.Request, now: datetime) -> tuple[datetime, datetime, int]:
    """From, to (default: the day up to `now`), and the seconds of a bucket. Raises `ValidationFailed`."""
    given = {name: value for name, value in request.query.items() if value}
    faults = Faults()
    until = _moment(given, "to", faults) or now
    since = _moment(given, "from", faults) or max(until - DEFAULT_SPAN, _LEAST)
    found = _DURATION.fullmatch(given.get("bucket", "1h"))
    bucket = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not bucket:
        faults.add("bucket", "must be a duration such as 5m, 1h or 1d")
    elif (until - since).total_seconds() / bucket > MAX_SLOTS:
        faults.add("bucket", f"is too small for this span: at most {MAX_SLOTS} buckets")
    if since >= until:
        faults.add("from", "must be earlier than to")
    faults.require_none()
    return since, until, bucket


def limit_of(request: web.Request) -> int:
    """Raises `ValidationFailed`."""
    return whole_number(request, "limit", least=1, most=MAX_LIMIT, default=DEFAULT_LIMIT)


def answer_rows(request: web.Request, rows: Rows, *named: str) -> web.Response:
    """A page as a JSON array, with `Link: rel=next` that carries the filters `named` and no credential."""
    headers = {}
    if rows.next is not None:
        kept = {name: request.query[name] for name in (*named, "limit") if request.query.get(name)}
        query = urlencode(kept | {"after": rows.next})
        headers["Link"] = f'<{request.path}?{query}>; rel="next"'
    return answer_json(rows.items, headers=headers)


def _moment(given: dict[str, str], name: str, faults: Faults) -> datetime | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        # A plus sign that was not escaped arrives as a space.
        when = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        if when.tzinfo is not None and when > _LEAST and when.year < 9999:
            return when.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    faults.add(name, "must be an ISO 8601 time with its zone, such as 2026-11-20T10:00:00Z")
    return None


def require_ulid(text: str, unknown: type[Refusal], what: str) -> str:
    """An id of ours in a path; raises `unknown` for what cannot be one."""
    if not re.fullmatch(r"[0-9A-Za-z]{26}", text):
        raise unknown(f"no such {what}")
    return text.upper()
