"""Ids: ULIDs as the specification wants them, in order whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime

from ulid import ULID

from hub.services.ids import Ids

NOW = 1_795_000_000_123_456_789


def test_an_id_tells_when_it_was_made() -> None:
    made = ULID.from_str(Ids(lambda: NOW)())
    assert made.datetime == datetime.fromtimestamp(NOW // 10**6 / 1000, UTC)


def test_ids_of_one_millisecond_are_in_order_and_all_different() -> None:
    ids = Ids(lambda: NOW)
    made = [ids() for _ in range(3000)]
    assert made == sorted(set(made))
    numbers = [int(ULID.from_str(text)) for text in made]
    assert numbers == list(range(numbers[0], numbers[0] + 3000))


def test_ids_count_on_across_what_is_kept_of_them() -> None:
    ids = Ids(lambda: NOW)
    before = int(ULID.from_str(ids()))
    ids._number |= 0xFFFFF
    full, after = (ids._number, int(ULID.from_str(ids())))
    assert after & (1 << 80) - 1 == full + 1
    assert after > before


def test_a_clock_that_is_set_back_makes_no_smaller_id() -> None:
    times = iter([NOW, NOW - 10**12, NOW + 10**7])
    ids = Ids(lambda: next(times))
    made = [ids() for _ in range(3)]
    assert made == sorted(set(made))


def test_two_processes_share_none() -> None:
    one, two = Ids(lambda: NOW), Ids(lambda: NOW)
    assert not {one() for _ in range(1000)} & {two() for _ in range(1000)}
