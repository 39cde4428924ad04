"""The oracle itself: a judge that never objects proves nothing."""

from __future__ import annotations

import pytest

from tests.oracle import Entry, Oracle, Seen


def entry(tenant: str, offset: int, *rooms: str) -> Entry:
    return Entry(tenant, offset, f"{tenant}{offset}", "booking.created", frozenset(rooms))


@pytest.fixture
def oracle() -> Oracle:
    oracle = Oracle()
    for one in (
        entry("a", 1, "role:ADMIN"),
        entry("a", 2, "role:ADMIN", "user:7"),
        entry("a", 3, "user:8"),
        entry("b", 1, "role:ADMIN"),
    ):
        oracle.accepted(one)
    return oracle


ADMIN = {"role:ADMIN", "user:7", "tenant:a"}
RIGHT = [Seen(1, "a1"), Seen(2, "a2")]


def test_exactly_the_entitled_events_in_order_are_right(oracle: Oracle) -> None:
    assert oracle.judge("a", ADMIN, RIGHT) == []
    assert oracle.judge("a", {"user:9"}, []) == []
    assert oracle.holes() == []


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        ([Seen(1, "a1")], "1 missing: a 2 booking.created"),
        ([], "2 missing"),
        ([*RIGHT, Seen(3, "a3")], "1 not entitled to: a 3"),
        ([*RIGHT, Seen(3, "b1")], "1 not entitled to: b 1"),
        ([*RIGHT, Seen(3, "x")], "1 not entitled to: unknown id x"),
        ([Seen(1, "a1"), Seen(1, "a1"), Seen(2, "a2")], "1 more than once: a 1"),
        ([Seen(2, "a2"), Seen(1, "a1")], "1 out of order, the first is offset 1"),
        ([Seen(1, "a1"), Seen(5, "a2")], "1 under another offset: a 2"),
    ],
)
def test_every_fault_is_named(oracle: Oracle, seen: list[Seen], fault: str) -> None:
    faults = oracle.judge("a", ADMIN, seen)
    assert any(fault in line for line in faults), faults


def test_one_answer_may_come_twice_but_a_place_has_one_owner(oracle: Oracle) -> None:
    oracle.accepted(entry("a", 1, "role:ADMIN"))
    with pytest.raises(AssertionError, match="offset 1 was given"):
        oracle.accepted(Entry("a", 1, "other", "x", frozenset()))
    with pytest.raises(AssertionError, match="id a1 was given"):
        oracle.accepted(Entry("a", 9, "a1", "x", frozenset()))


def test_a_hole_in_the_answers_is_named(oracle: Oracle) -> None:
    oracle.accepted(entry("a", 5, "user:7"))
    assert oracle.holes() == ["a: 1 offsets without an answer, the first is 4"]


def test_the_database_must_hold_every_accepted_event_once_and_nothing_else(oracle: Oracle) -> None:
    rows = [("a", 1, "a1"), ("a", 2, "a2"), ("a", 3, "a3"), ("b", 1, "b1")]
    assert oracle.compare(rows) == []
    assert "accepted events are not stored" in oracle.compare(rows[:-1])[0]
    assert "were never accepted" in oracle.compare([*rows, ("b", 2, "b2")])[0]
    assert "not contiguous" in oracle.compare([*rows, ("a", 5, "a5")])[0]
    assert "not contiguous" in oracle.compare([*rows, ("a", 3, "a3")])[0]
