"""Parameters of the path and the query: ids, filters, paging, and the link to the next page.

What comes out is safe to look up: no id holds a character that a database would choke on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from yarl import URL

from hub.domain.access import Room
from hub.domain.errors import Invalid, NotificationUnknown, RoomInvalid, ValidationFailed
from hub.domain.events import Cursor
from hub.web.fields import Faults

DEFAULT_LIMIT, MAX_LIMIT = 20, 100
MAX_OFFSET = 1_000_000
MAX_IDS = 100
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_ULID = re.compile(r"[0-9A-Za-z]{26}")
_TYPE = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """Which page of an inbox. None: no such filter."""

    read: bool | None
    archived: bool | None
    type: str | None
    limit: int
    offset: int
    after: Cursor | None


def notification_id(request: web.Request) -> str:
    """The id in the path. Raises `NotificationUnknown` for what cannot be one."""
    return require_id(request.match_info["id"])


def require_id(text: object) -> str:
    """A notification's id, wherever it came from. Raises `NotificationUnknown` for what cannot be one."""
    if not isinstance(text, str) or not _ULID.fullmatch(text):
        raise NotificationUnknown("no such notification")
    return text.upper()


def require_ids(value: object) -> list[str]:
    """Up to `MAX_IDS` ids of notifications, or just one. Raises `Invalid` or `NotificationUnknown`."""
    ids = [value] if isinstance(value, str) else value
    if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_IDS:
        raise Invalid(f"'ids' must be a list of 1 to {MAX_IDS} ids")
    return [require_id(id) for id in ids]


def user_id(request: web.Request) -> str:
    """The user in the path. Raises `ValidationFailed`."""
    try:
        return Room.parse("any", f"user:{request.match_info['id']}").name
    except RoomInvalid:
        message = "must be 1 to 128 characters without spaces, slashes and commas"
        raise ValidationFailed(f"id {message}", errors=[{"field": "id", "message": message}]) from None


@lru_cache(maxsize=256)  # clients ask the same again and again
def url_of(target: str) -> URL:
    """Of a request's target that is a path, with or without a query."""
    path, _, query = target.partition("?")
    return URL.build(path=path, query_string=query, encoded=True)


def page_query(query_string: Mapping[str, str]) -> PageQuery:
    """Raises `ValidationFailed` with every fault, or `CursorInvalid`. An empty parameter is none."""
    given = {name: value for name, value in query_string.items() if value}
    faults = Faults()
    query = PageQuery(
        read=_flag(given.get("read"), "read", faults),
        archived=_flag(given.get("archived"), "archived", faults),
        type=type_named(given, faults),
        limit=_number(given.get("limit"), "limit", faults, least=1, most=MAX_LIMIT, default=DEFAULT_LIMIT),
        offset=_number(given.get("offset"), "offset", faults, least=0, most=MAX_OFFSET, default=0),
        after=Cursor.parse(given["after"]) if "after" in given else None,
    )
    faults.require_none()
    return query


def type_named(given: Mapping[str, str], faults: Faults) -> str | None:
    """The filter `type`: a name or an alias, no pattern."""
    name = given.get("type")
    if name is not None and not _TYPE.fullmatch(name):
        faults.add("type", "must be the name of a type, such as booking.created")
    return name


def next_link(path: str, query: PageQuery, *, count: int, total: int) -> str | None:
    """`Link: rel=next` (RFC 8288), or None on the last page. Carries the filters and no credential."""
    following = query.offset + count
    # `total` knows nothing of `after`, so it is the short page that says it is the last.
    if count < query.limit or following >= total or following > MAX_OFFSET:
        return None
    return _link(path, query, following)


@lru_cache(maxsize=256)
def _link(path: str, query: PageQuery, offset: int) -> str:
    shown: dict[str, Any] = {
        "read": query.read,
        "archived": query.archived,
        "type": query.type,
        "limit": query.limit,
        "offset": offset,
        "after": query.after,
    }
    named = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in shown.items()
        if value is not None
    }
    return f'<{path}?{urlencode(named)}>; rel="next"'


def whole_number(request: web.Request, name: str, *, least: int, most: int, default: int) -> int:
    """One numeric parameter. Raises `ValidationFailed`."""
    faults = Faults()
    value = _number(request.query.get(name) or None, name, faults, least=least, most=most, default=default)
    faults.require_none()
    return value


def _flag(text: str | None, field: str, faults: Faults) -> bool | None:
    if text is None:
        return None
    if text.lower() not in _TRUTH:
        faults.add(field, "must be true or false")
    return _TRUTH.get(text.lower())


def _number(text: str | None, field: str, faults: Faults, *, least: int, most: int, default: int) -> int:
    if text is None:
        return default
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
    if not least <= value <= most:
        faults.add(field, f"must be a whole number from {least} to {most}")
    return value
