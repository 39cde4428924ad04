"""When to try again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.timing import RETRY_AFTER_SPREAD, backoff, retry_in

chances = st.floats(0, 1)


def test_the_longest_wait_doubles_with_each_attempt_up_to_the_ceiling() -> None:
    waits = [backoff(attempt, first=10, longest=100, chance=1) for attempt in range(1, 7)]
    assert waits == [10, 20, 40, 80, 100, 100]


@given(attempt=st.integers(1, 10_000), chance=chances)
def test_the_jitter_is_full(attempt: int, chance: float) -> None:
    longest = backoff(attempt, first=10, longest=3600, chance=1)
    assert backoff(attempt, first=10, longest=3600, chance=chance) == pytest.approx(chance * longest)
    assert backoff(attempt, first=10, longest=3600, chance=0) == 0


@given(asked=st.floats(0.1, 86_400), attempt=st.integers(1, 20), chance=chances)
def test_a_wait_the_provider_asks_for_is_kept_within_a_tenth(
    asked: float, attempt: int, chance: float
) -> None:
    wait = retry_in(attempt, retry_after=asked, first=10, longest=60, chance=chance)
    assert asked <= wait <= asked * (1 + RETRY_AFTER_SPREAD)


@pytest.mark.parametrize("asked", [None, 0, -5])
def test_without_a_wait_asked_for_the_backoff_rules(asked: float | None) -> None:
    assert retry_in(3, retry_after=asked, first=10, longest=3600, chance=0.5) == 20


def test_attempts_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        backoff(0, first=1, longest=2, chance=1)
