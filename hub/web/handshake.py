"""What a Socket.IO client asks for when it connects: who it is, in its first request; the rest in `auth`.

Only reads and judges the form; whether it is granted is for others to say. Whatever is not of its form is
refused with `Invalid`, except for cursors: those are judged by the replay, which says why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from hub.domain.errors import Invalid
from hub.domain.events import MAX_CURSOR
from hub.realtime.frames import Profile
from hub.web.credentials import Presented

MAX_TYPES = 64
MAX_ROOMS = 64
_MAY_PRESENT = re.compile("token|ticket|%")  # a name may be written with percents


def presented(environ: Mapping[str, Any]) -> Presented:
    """What the transport's first request presented."""
    text = str(environ.get("QUERY_STRING", ""))
    query = parse_qs(text) if _MAY_PRESENT.search(text) else {}
    return Presented(
        authorization=str(environ.get("HTTP_AUTHORIZATION", "")),
        cookies=str(environ.get("HTTP_COOKIE", "")),
        ticket=query.get("ticket", [""])[0],
        token=query.get("token", [""])[0],
    )


def token(auth: Mapping[str, Any]) -> str | None:
    """The token in `auth`, with or without the word Bearer."""
    found = auth.get("token")
    if found is not None and not isinstance(found, str):
        raise Invalid("'auth.token' must be text")
    return found.removeprefix("Bearer ") if found else None


def _recovery(auth: Mapping[str, Any]) -> bool:
    recovery = auth.get("recovery")
    if recovery is not None and not isinstance(recovery, bool):
        raise Invalid("'auth.recovery' is true or false")
    return bool(recovery)


def cursor(auth: Mapping[str, Any], name: str) -> str | None:
    """`?` stands for what is no cursor."""
    found = auth.get(name)
    if found is None or found == "":
        return None
    return found if isinstance(found, str) and len(found) <= MAX_CURSOR else "?"


def rooms(auth: Mapping[str, Any]) -> list[str]:
    """The rooms beyond the automatic ones."""
    return _list(auth, "rooms", MAX_ROOMS)


def types(auth: Mapping[str, Any]) -> list[str]:
    """Patterns of event types; none: all."""
    return _list(auth, "types", MAX_TYPES)


def profile(auth: Mapping[str, Any]) -> Profile:
    """How events are to look."""
    return Profile("socketio", events=_choice(auth), recovery=_recovery(auth))


def _choice(auth: Mapping[str, Any]) -> str:
    events = auth.get("events") or "both"
    if events not in ("both", "generic", "typed"):
        raise Invalid("'auth.events' is one of both, generic, typed")
    return str(events)


def _list(auth: Mapping[str, Any], name: str, most: int) -> list[str]:
    value = auth.get(name)
    words = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > most or not all(isinstance(word, str) for word in words):
        raise Invalid(f"'auth.{name}' is a list of at most {most} texts")
    return words
