"""The paths under which there are streams, and how each of them speaks when the client does not say.

Older programs have their own path and dialect; the stream behind it is the same. Does not know what a
dialect looks like.
"""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import hdrs, web

from hub.domain.errors import Invalid, Unauthorized
from hub.realtime.frames import NOTIFICATIONS, Profile
from hub.services import dialects
from hub.services.wire import dumps
from hub.web import problems

FORMATS = {
    "named": dialects.NAMED,
    "message": dialects.MESSAGE,
    "envelope": dialects.ENVELOPE,
}


class StreamPath(NamedTuple):
    """`only`: which events are shown (see `Profile`). `brief`: a 401 says `{"error": "Unauthorized"}`."""

    dialect: str = dialects.NAMED
    only: str = ""
    brief: bool = False


EVENTS = StreamPath()
NOTIFICATION_MESSAGES = StreamPath(dialects.MESSAGE, NOTIFICATIONS)
BOOKING_MESSAGES = StreamPath(dialects.BOOKING, "booking.*")
NOTIFICATION_ENVELOPES = StreamPath(dialects.ENVELOPE, NOTIFICATIONS, brief=True)


def profile(request: web.Request, path: StreamPath) -> Profile:
    """What the stream speaks: the path's dialect, or that of `?format=`. Raises `Invalid`."""
    asked = request.query.get("format")
    if asked is not None and asked not in FORMATS:
        raise Invalid(f"'format' is one of {', '.join(FORMATS)}")
    return Profile("sse", dialect=FORMATS[asked] if asked else path.dialect, only=path.only)


def brief(refusal: Unauthorized) -> web.Response:
    """The 401 that readers of `/api/notifications/stream` expect; its header says as much as any."""
    header = problems.answer(refusal).headers[hdrs.WWW_AUTHENTICATE]
    return web.Response(
        status=401,
        body=dumps({"error": "Unauthorized"}),
        content_type="application/json",
        headers={hdrs.WWW_AUTHENTICATE: header},
    )
