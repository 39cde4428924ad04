"""Envelopes that are put together of what everybody sees and what one person did: the same as made whole."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hub.domain.events import Event
from hub.services.contents import Contents
from hub.services.wire import FRESH, Marks, completed, content, dumps, envelope
from tests.appends import NOW, an_event

EVENTS = [
    an_event("user:7", epoch="e", offset=3),
    an_event(
        "user:7", "role:ADMIN", epoch="e", offset=3, data={}, title=None, message='",\\"read":1', link="/a"
    ),
    an_event("user:7", data={"read": False, "channels": [], "ü": "\x7f"}),
]
SENT = {"channel": "email", "status": "sent", "attempts": 1, "error": None}
MARKS: list[tuple[Marks, list[dict[str, Any]]]] = [
    (FRESH, []),
    (FRESH, [SENT]),
    (Marks(True, NOW), []),
    (Marks(False, None, NOW, NOW + timedelta(days=1)), [SENT, SENT | {"error": "no_address"}]),
]


@pytest.mark.parametrize("event", EVENTS, ids=["plain", "quoted", "nested"])
@pytest.mark.parametrize(("marks", "channels"), MARKS, ids=["fresh", "sent", "read", "archived"])
def test_an_envelope_in_two_parts_is_the_whole_one(
    event: Event, marks: Marks, channels: list[dict[str, Any]]
) -> None:
    assert completed(content(event), marks, channels) == dumps(envelope(event, marks, channels))


def test_what_is_kept_has_a_bound_and_the_newest_stays() -> None:
    contents = Contents(most_bytes=3000)
    for offset in range(100):
        contents.keep(("acme", "e", offset), b"x" * 700)
        contents.keep(("acme", "e", offset), b"y")  # it never changes
    kept = [offset for offset in range(100) if contents.find(("acme", "e", offset)) is not None]
    assert kept == [97, 98, 99]
    assert contents.find(("acme", "e", 99)) == b"x" * 700
    assert contents.find(("other", "e", 99)) is None
    contents.keep(("acme", "e", 100), b"x" * 4000)
    assert contents.find(("acme", "e", 100)) is None
    contents.keep(("acme", "e", 101), b"x")
    assert contents.find(("acme", "e", 101)) == b"x"
