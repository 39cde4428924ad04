"""The notification that most backends send most of the time, read without a form.

It has rooms, and besides a type only what people see of it. What is plainly good becomes the draft that the
form would make of it, for a fifth of the work; for everything else the answer is None, and the form judges
it and words its faults. So there is one rule for each field, and only the form says what is wrong.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticCustomError

from hub.domain.access import require_room
from hub.domain.drafts import Draft
from hub.domain.errors import RoomInvalid
from hub.domain.events import CHANNELS, SEVERITIES
from hub.services.wire import dumps
from hub.web.context import WebOptions
from hub.web.fields import (
    MAX_LINE,
    MAX_LINES,
    MAX_LINK,
    MAX_TYPE,
    require_lines,
    require_link,
    require_type,
)

_NAMES = frozenset({"type", "to", "title", "message", "link", "data", "severity", "channels", "tenantId"})


def usual(body: dict[str, Any], *, tenant: str, options: WebOptions) -> Draft | None:
    """The draft of a body that is plainly good; None: the form has to look at it."""
    if not body.keys() <= _NAMES:
        return None
    get = body.get
    kind, title, message, link, data = get("type"), get("title"), get("message"), get("link"), get("data")
    if type(kind) is not str or not 1 <= len(kind) <= MAX_TYPE:
        return None
    if title is not None and not (type(title) is str and len(title) <= MAX_LINE and title.isprintable()):
        return None
    if message is not None and not (type(message) is str and len(message) <= MAX_LINES):
        return None
    if link is not None and not (type(link) is str and 1 <= len(link) <= MAX_LINK):
        return None
    if data is None:
        data = {}
    elif type(data) is not dict or (data and len(dumps(data)) > options.max_data_bytes):
        return None
    if get("tenantId", tenant) != tenant:
        return None
    severity, channels = get("severity"), get("channels")
    if severity is not None and not (type(severity) is str and severity in SEVERITIES):
        return None
    if channels is not None:
        if type(channels) is not list or not 1 <= len(channels) <= len(CHANNELS):
            return None
        if not all(type(channel) is str and channel in CHANNELS for channel in channels):
            return None
        channels = tuple(dict.fromkeys(channels))
    to = get("to")
    if type(to) is not list:
        to = [to]
    elif not 1 <= len(to) <= options.max_rooms:
        return None
    try:
        require_type(kind)
        if message is not None:
            require_lines(message)
        if link is not None:
            require_link(link)
        rooms = [require_room(tenant, room) for room in to]
    except (PydanticCustomError, RoomInvalid):
        return None
    return Draft(
        tenant=tenant,
        type=kind,
        to=tuple(rooms) if len(rooms) == 1 else tuple(dict.fromkeys(rooms)),
        title=title,
        message=message,
        link=link,
        data=data,
        severity=severity,
        channels=channels,
    )
