"""An event of each type, to try templates out with: what previews and tests show.

The data stands in `hub/templates/_samples.toml`; types that tell of the same thing share it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from hub.domain.events import Event, EventType
from hub.services.shipped import DEFAULT, DIGEST, TEMPLATES

AT = datetime(2015, 8, 3, 10, 15, tzinfo=UTC)
LINK = "/bookings/CH-00001"
_IN_DIGEST = ("booking.created", "payment.received", "review.created")
_SAME = {
    **dict.fromkeys(
        ("updated", "confirmed", "cancelled", "completed", "no_show", "reminder"), "booking.created"
    ),
    "checkin.reminder": "booking.created",
    "payment.created": "payment.received",
}

Words = Callable[[str, str, Mapping[str, Any], str | None], tuple[str | None, str | None]]


@cache
def _samples() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((TEMPLATES / "_samples.toml").read_text(encoding="utf-8"))


def data_of(type: str) -> Mapping[str, Any] | None:
    """What an event of this type might hold. None: nobody knows."""
    if type == DEFAULT:
        return {}
    noun, _, verb = type.partition(".")
    same = _SAME.get(verb if noun == "booking" else type, type)
    return _samples().get(same)


def events_of(
    tenant: str, kind: EventType, words: Words, data: Mapping[str, Any] | None = None
) -> list[Event]:
    """One event of a type, with its words; for the digest several of different types."""
    if kind.name == DIGEST:
        return [
            replace(
                _event(tenant, name, "info", words, data_of(name) or {}), id=f"sample-{place}", offset=place
            )
            for place, name in enumerate(_IN_DIGEST, 1)
        ]
    return [
        _event(tenant, kind.name, kind.severity, words, (data_of(kind.name) or {}) if data is None else data)
    ]


def _event(tenant: str, type: str, severity: str, words: Words, data: Mapping[str, Any]) -> Event:
    title, message = words(tenant, type, data, None)
    return Event(
        tenant=tenant,
        id="sample",
        type=type,
        wire=type,
        created_at=AT,
        rooms=("user:sample",),
        title=title,
        message=message,
        link=LINK,
        data=data,
        severity=severity,
        actor="user:sample",
    )
