"""The ring of recent events: all of what was asked for, or nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.replay import Ring


def filled(size: int, first: int, last: int) -> Ring[str]:
    ring: Ring[str] = Ring(size)
    for offset in range(first, last + 1):
        ring.remember("acme", offset, f"e{offset}")
    return ring


@given(st.integers(1, 20), st.integers(1, 50), st.integers(0, 60), st.integers(0, 120))
def test_it_knows_everything_after_an_offset_or_says_that_it_does_not(
    size: int, first: int, count: int, asked: int
) -> None:
    last = first + count
    ring = filled(size, first, last)
    kept = range(max(first, last - size + 1), last + 1)
    answer = ring.since("acme", asked)
    if asked + 1 < kept[0]:
        assert answer is None
    else:
        assert answer == [(offset, f"e{offset}") for offset in kept if offset > asked]


def test_tenants_are_strangers() -> None:
    ring = filled(5, 1, 3)
    assert ring.since("other", 0) is None
    ring.remember("other", 1, "theirs")
    assert ring.since("acme", 2) == [(3, "e3")]
    assert ring.since("other", 0) == [(1, "theirs")]


def test_a_gap_makes_it_forget_what_was_before() -> None:
    ring = filled(5, 1, 3)
    ring.remember("acme", 5, "e5")
    assert ring.since("acme", 3) is None
    assert ring.since("acme", 4) == [(5, "e5")]


def test_a_log_that_begins_anew_makes_it_forget_the_old_one() -> None:
    ring = filled(5, 1, 3)
    ring.remember("acme", 1, "new")
    assert ring.since("acme", 0) == [(1, "new")]


def test_the_tenant_that_was_quiet_longest_goes_first() -> None:
    ring: Ring[str] = Ring(5, tenants=2)
    for tenant in ("a", "b", "a", "c"):
        offset = 2 if ring.since(tenant, 0) else 1
        ring.remember(tenant, offset, tenant)
    assert ring.since("b", 0) is None
    assert ring.since("a", 0) == [(1, "a"), (2, "a")]


def test_forgetting_a_tenant_and_keeping_nothing_at_all() -> None:
    ring = filled(5, 1, 3)
    ring.forget("acme")
    ring.forget("acme")
    assert ring.since("acme", 2) is None
    assert filled(0, 1, 3).since("acme", 3) is None


def test_what_was_before_can_be_put_back_when_it_leads_up_to_what_is_there() -> None:
    ring = filled(6, 5, 6)
    assert ring.first("acme") == 5
    ring.recall("acme", [(2, "e2"), (3, "e3")])  # 4 is missing
    assert ring.since("acme", 3) is None
    ring.recall("acme", [(3, "e3"), (4, "e4")])
    assert ring.since("acme", 2) == [(3, "e3"), (4, "e4"), (5, "e5"), (6, "e6")]
    ring.remember("acme", 7, "e7")
    assert [offset for offset, _ in ring.since("acme", 2) or ()] == [3, 4, 5, 6, 7]


def test_what_does_not_fit_is_not_put_back_and_takes_nothing_away() -> None:
    ring = filled(3, 5, 6)
    assert not ring.has_room("acme", 2)
    ring.recall("acme", [(3, "e3"), (4, "e4")])
    assert ring.since("acme", 4) == [(5, "e5"), (6, "e6")]


def test_an_empty_ring_takes_what_is_put_back_and_goes_on_from_there() -> None:
    ring: Ring[str] = Ring(5)
    assert ring.first("acme") is None
    ring.recall("acme", [(1, "e1"), (2, "e2")])
    ring.remember("acme", 3, "e3")
    assert ring.since("acme", 0) == [(1, "e1"), (2, "e2"), (3, "e3")]
