"""The breaker: when a provider rests, for how long, and who looks after it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.domain.breaker import Breaker, Rules, State

RULES = Rules(failures=5, rest=30, longest=100, probe=20)


def broken(now: float = 0.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(RULES.failures):
        assert breaker.wait(now) == 0
        probe = breaker.begin(now)
        breaker.unwell(now, probe=probe)
    return breaker


def test_five_failures_in_a_row_open_it_and_four_do_not() -> None:
    breaker = Breaker(RULES)
    for _ in range(4):
        breaker.unwell(0, probe=breaker.begin(0))
    assert (breaker.state, breaker.wait(0)) == (State.CLOSED, 0)
    breaker.well()
    for _ in range(4):
        breaker.unwell(0, probe=breaker.begin(0))
    assert breaker.wait(0) == 0
    breaker.unwell(0, probe=breaker.begin(0))
    assert (breaker.state, breaker.wait(0), breaker.wait(29)) == (State.OPEN, 30, 1)


def test_after_the_rest_one_call_looks_and_the_others_wait() -> None:
    breaker = broken()
    assert breaker.wait(30) == 0
    assert breaker.begin(30)
    assert breaker.state is State.HALF_OPEN
    assert breaker.wait(31) == 19
    breaker.well()
    assert (breaker.state, breaker.wait(31)) == (State.CLOSED, 0)
    assert not breaker.begin(31)


def test_each_look_in_vain_doubles_the_rest_up_to_the_longest() -> None:
    breaker, now, rests = broken(), 0.0, []
    for _ in range(5):
        now += breaker.wait(now)
        breaker.unwell(now, probe=breaker.begin(now))
        rests.append(breaker.wait(now))
    assert rests == [60, 100, 100, 100, 100]


def test_a_look_that_was_lost_is_repeated() -> None:
    breaker = broken()
    breaker.begin(30)
    assert breaker.wait(50) == 0
    assert breaker.begin(50)


def test_calls_from_before_the_rest_do_not_make_it_longer_and_may_end_it() -> None:
    breaker = broken()
    for _ in range(20):
        breaker.unwell(10)
    assert breaker.wait(10) == 20
    breaker.well()
    assert breaker.wait(10) == 0


def test_a_wait_that_was_asked_for_is_kept_whatever_else_happens() -> None:
    breaker = Breaker(RULES)
    breaker.unwell(0, retry_after=7)
    assert breaker.wait(0) == 7
    breaker.well()
    assert breaker.wait(1) == 6
    assert breaker.wait(7) == 0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 200)), max_size=60))
def test_never_more_than_the_failures_in_a_row_without_a_rest(calls: list[tuple[bool, float]]) -> None:
    breaker, now, in_a_row = Breaker(RULES), 0.0, 0
    for well, passes in calls:
        if breaker.wait(now) == 0:
            assert in_a_row < RULES.failures or breaker.state is State.OPEN
            probe = breaker.begin(now)
            assert probe == (in_a_row >= RULES.failures)
            if well:
                breaker.well()
                in_a_row = 0
            else:
                breaker.unwell(now, probe=probe)
                in_a_row += 1
        else:
            assert in_a_row >= RULES.failures
        now += passes
