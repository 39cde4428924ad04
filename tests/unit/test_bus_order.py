"""The order of a log in one process: whatever arrives, each offset has its turn once, in sequence."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from hub.cluster.order import Order
from hub.cluster.record import Record


def event(offset: int, epoch: str = "e", size: int = 2) -> Record:
    return Record("acme", "event", offset, epoch, {}, b"x" * size)


def offsets(records: Iterable[Record]) -> list[int]:
    return [record.offset for record in records]


def started(offset: int = 0, **limits: int) -> Order:
    order = Order(**limits)
    order.start("e", offset)
    return order


def test_the_next_offset_has_its_turn_at_once() -> None:
    order = started(4)
    assert offsets(order.arrive(event(5))) == [5]
    assert order.last == 5
    assert order.missing() is None


def test_a_duplicate_is_dropped() -> None:
    order = started(4)
    order.arrive(event(5))
    assert order.arrive(event(5)) == []
    assert order.arrive(event(3)) == []


def test_an_early_record_waits_for_the_ones_before_it() -> None:
    order = started()
    assert order.arrive(event(3)) == []
    assert order.arrive(event(2)) == []
    assert order.missing() == (0, 1)
    assert offsets(order.arrive(event(1))) == [1, 2, 3]
    assert not order.behind


def test_a_known_end_of_the_log_is_a_hole_without_any_arrival() -> None:
    order = started(7)
    order.note(9)
    assert order.missing() == (7, 9)
    assert offsets(order.filled([event(9), event(8)])) == [8, 9]


def test_what_arrives_before_the_place_is_known_waits_for_it() -> None:
    order = Order()
    for offset in (5, 6, 8):
        assert order.arrive(event(offset)) == []
    assert offsets(order.start("e", 5)) == [6]
    assert order.missing() == (6, 7)


def test_a_record_of_another_epoch_never_has_its_turn() -> None:
    order = Order()
    order.arrive(event(2, "old"))
    assert order.start("e", 1) == []
    assert order.arrive(event(2, "old")) == []
    assert offsets(order.arrive(event(2))) == [2]


def test_a_new_epoch_forgets_what_waited() -> None:
    order = started()
    order.arrive(event(5))
    assert order.start("f", 2) == []
    assert order.missing() is None
    assert offsets(order.arrive(event(3, "f"))) == [3]


def test_skipping_goes_on_behind_what_was_removed() -> None:
    order = started()
    for offset in (3, 6, 7):
        order.arrive(event(offset))
    assert offsets(order.skip(5)) == [6, 7]
    assert order.skip(4) == []
    assert order.last == 7


def test_what_waits_is_bounded_by_count_and_forgotten_records_are_missing() -> None:
    order = started(most=2)
    for offset in (5, 4, 3):
        order.arrive(event(offset))
    assert offsets(order.filled([event(1), event(2)])) == [1, 2]
    assert order.missing() == (2, 3)
    assert offsets(order.filled([event(3)])) == [3, 4, 5]


def test_what_waits_is_bounded_by_size_and_room_is_given_back() -> None:
    order = started(most_bytes=10)
    for offset in (3, 3, 4, 5):
        order.arrive(event(offset, size=5))
    assert offsets(order.filled([event(1), event(2)])) == [1, 2, 3, 4]
    assert order.missing() == (4, 5)
    for offset in (7, 8):
        order.arrive(event(offset, size=5))
    assert offsets(order.filled([event(5), event(6)])) == [5, 6, 7, 8]


ARRIVAL = st.tuples(st.just("arrive"), st.integers(1, 25))
FILL = st.tuples(st.just("fill"), st.integers(0, 25))
OTHERS = st.sampled_from([("foreign", 3), ("foreign", 20), ("note", 25), ("start", 0)])


@given(
    begin=st.integers(0, 10),
    most=st.integers(0, 6),
    story=st.lists(st.one_of(ARRIVAL, ARRIVAL, FILL, OTHERS), max_size=60),
)
@example(begin=0, most=6, story=[("arrive", 2), ("start", 0), ("fill", 1)])
def test_whatever_happens_each_offset_has_its_turn_once_and_in_order(
    begin: int, most: int, story: list[tuple[str, int]]
) -> None:
    log = [event(offset) for offset in range(1, 26)]
    order = Order(most=most)
    told: list[int] = []
    has_started = False
    for what, number in [*story, ("start", 0)]:
        if what == "arrive":
            told += offsets(order.arrive(log[number - 1]))
        elif what == "foreign":
            told += offsets(order.arrive(event(number, "other")))
        elif what == "note":
            order.note(number)
        elif what == "start" and not has_started:
            has_started = True
            told += offsets(order.start("e", begin))
        elif what == "fill" and (hole := order.missing()):
            told += offsets(order.filled(log[hole[0] : hole[1]][:number]))
    order.note(len(log))
    while hole := order.missing():
        told += offsets(order.filled(log[hole[0] : hole[1]]))
    assert told == list(range(begin + 1, len(log) + 1))
