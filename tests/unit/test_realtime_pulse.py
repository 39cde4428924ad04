"""Heartbeats on a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.pulse import Heartbeat

INTERVAL, TIMEOUT = 25.0, 20.0


class Heart:
    def __init__(self) -> None:
        self.beat = 0
        self.awaiting_pong = False
        self.deadline = 0.0


def make() -> tuple[Heartbeat[Heart], Heart]:
    return Heartbeat(INTERVAL, TIMEOUT), Heart()


def test_a_peer_is_pinged_every_interval_and_dead_a_timeout_later() -> None:
    beat, heart = make()
    beat.start(heart, 0)
    assert beat.next_deadline() == 25
    assert beat.due(24.9) == ([], [])
    assert beat.due(25) == ([heart], [])
    beat.pong(heart, 30)
    assert beat.next_deadline() == 55
    assert beat.due(55) == ([heart], [])
    assert not beat.expired(heart, 74.9)
    assert beat.expired(heart, 75)
    assert beat.due(75) == ([], [heart])


def test_a_pong_that_answers_no_ping_postpones_nothing() -> None:
    beat, heart = make()
    beat.start(heart, 0)
    beat.pong(heart, 10)
    assert beat.due(25) == ([heart], [])


def test_a_ping_that_was_sent_late_gets_its_full_timeout() -> None:
    beat, heart = make()
    beat.start(heart, 0)
    assert beat.due(60) == ([heart], [])
    assert beat.due(79.9) == ([], [])
    assert beat.due(80) == ([], [heart])


def test_who_has_stopped_is_neither_pinged_nor_dead() -> None:
    beat, heart = make()
    beat.start(heart, 0)
    beat.stop(heart)
    assert beat.next_deadline() is None
    assert beat.due(1000) == ([], [])


@given(st.lists(st.tuples(st.floats(0.001, 30), st.integers(0, 4), st.booleans()), max_size=60))
def test_only_who_does_not_answer_dies(steps: list[tuple[float, int, bool]]) -> None:
    """Five hearts; in each step time passes and one of them answers, if it was asked."""
    beat: Heartbeat[Heart] = Heartbeat(INTERVAL, TIMEOUT)
    hearts = [Heart() for _ in range(5)]
    asked: dict[int, float] = {}
    dead: set[int] = set()
    for heart in hearts:
        beat.start(heart, 0)
    now = 0.0
    for passed, index, answers in steps:
        now += passed
        to_ping, gone = beat.due(now)
        for heart in gone:
            number = hearts.index(heart)
            assert now >= asked[number] + TIMEOUT - Heartbeat.LATE
            dead.add(number)
            beat.stop(heart)
        for heart in to_ping:
            number = hearts.index(heart)
            assert number not in dead
            asked[number] = now
        if answers and index not in dead and hearts[index].awaiting_pong:
            beat.pong(hearts[index], now)
            asked.pop(index)
    assert all(now < when + TIMEOUT for number, when in asked.items() if number not in dead)
