"""Reading past the form: the same draft as by the form, or none at all."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain.errors import ValidationFailed
from hub.web.bodies import by_form
from hub.web.usual import usual
from tests.doors import OPTIONS

GOOD: dict[str, Any] = {
    "type": "booking.created",
    "to": ["user:42", "role:ADMIN", "user:42"],
    "title": "New booking",
    "message": "Two nights\nin Room 4",
    "link": "/bookings/17",
    "data": {"bookingId": "17"},
    "severity": "success",
    "channels": ["inApp", "email", "email"],
    "tenantId": "acme",
}
# What is at the edge of being good, field by field, and what is not good anywhere.
EDGES: dict[str, list[Any]] = {
    "type": ["", "t" * 128, "t" * 129, "connect", "notification:x", "a\x00", "a b"],
    "to": [
        *(
            "user:1",
            "user:",
            "tenant:acme",
            "tenant:other",
            "room:1",
            "user:a b",
            "user:" + "x" * 129,
            "user:x\n",
        ),
        *([], ["user:1", 7], ["user:1"] * (OPTIONS.max_rooms + 1), {"id": "42"}, [{"near": {}}], "x:user:1"),
    ],
    "title": ["", "t" * 256, "t" * 257, "two\nlines", "\u2028", "\x7f"],
    "message": ["", "m" * 8192, "m" * 8193, "a\tb", "a\x0b", "\u2028"],
    "link": [
        "",
        "l" * 2048,
        "l" * 2049,
        "javascript:1",
        "JAVA script:1",
        "https://x",
        "/a b",
        "/a\u00a0b",
        "/\x85",
    ],
    "data": [{}, {"a": "x" * OPTIONS.max_data_bytes}, [], [["a", 1]]],
    "severity": ["info", "fatal", ["info"]],
    "channels": [[], ["push"], ["inApp"] * 6, ["inApp", None], [["email"]], ("email",)],
    "tenantId": ["other", 7],
    "sendAt": ["2026-11-21T12:00:00Z", "soon"],
    "collapseKey": ["booking-17", ""],
    "exclude": ["user:7"],
    "recipientId": ["42"],
    "titel": ["x"],
}
ANYTHING = [None, True, 0, 1.5, "", "x", [], {}]
CHANGES = [(name, value) for name, values in EDGES.items() for value in (*values, *ANYTHING)]


def formed(body: dict[str, Any]) -> Any:
    try:
        return by_form(body, tenant="acme", options=OPTIONS)
    except ValidationFailed:
        return None


@settings(max_examples=400)
@given(st.sets(st.sampled_from(sorted(GOOD))), st.lists(st.sampled_from(CHANGES), max_size=3))
def test_past_the_form_comes_what_comes_by_the_form_or_nothing(
    without: set[str], changes: list[tuple[str, Any]]
) -> None:
    body = {name: value for name, value in GOOD.items() if name not in without} | dict(changes)
    draft = usual(body, tenant="acme", options=OPTIONS)
    assert draft is None or draft == formed(body)


def test_no_single_change_makes_a_difference() -> None:
    for name, value in CHANGES:
        body = GOOD | {name: value}
        draft = usual(body, tenant="acme", options=OPTIONS)
        assert draft is None or draft == formed(body), (name, repr(value)[:80])


def test_what_most_send_needs_no_form() -> None:
    for body in (GOOD, {"type": "t", "to": "user:1"}, GOOD | {"data": None, "title": None}):
        assert usual(body, tenant="acme", options=OPTIONS) == formed(body) is not None
