"""Places: every cap holds to the last one, and each place that is given back can be taken at once."""

from __future__ import annotations

import pytest

from hub.domain.errors import ProcessFull, TooManyConnections
from hub.realtime.places import Limits, Places, neighbourhood


def test_the_total_is_held_and_a_place_that_was_left_is_free_at_once() -> None:
    places = Places(Limits(total=2))
    first, _second = places.take("10.0.0.1"), places.take("10.0.0.2")
    with pytest.raises(ProcessFull, match="at most 2 connections per process") as full:
        places.take("10.0.0.3")
    assert full.value.retry_after == 5.0
    first.leave()
    places.take("10.0.0.3")
    assert places.total == 2


def test_an_address_has_its_own_cap_and_others_do_not_feel_it() -> None:
    places = Places(Limits(per_address=1))
    mine = places.take("10.0.0.1")
    mine.settle()
    with pytest.raises(TooManyConnections, match="at most 1 connections per address"):
        places.take("10.0.0.1")
    places.take("10.0.0.2")
    mine.leave()
    places.take("10.0.0.1")


def test_handshakes_are_capped_until_they_are_settled() -> None:
    places = Places(Limits(handshakes=3, handshakes_per_address=2))
    one, two = places.take("10.0.0.1"), places.take("10.0.0.1")
    with pytest.raises(TooManyConnections, match="2 handshakes per address"):
        places.take("10.0.0.1")
    other = places.take("10.0.0.2")
    with pytest.raises(ProcessFull, match="3 handshakes"):
        places.take("10.0.0.3")
    one.settle()
    places.take("10.0.0.1")
    two.leave()
    places.take("10.0.0.3")
    assert (places.total, places.handshakes) == (4, 3)
    other.leave()
    assert (places.total, places.handshakes) == (3, 2)


def test_settling_and_leaving_twice_count_once_and_nothing_is_left() -> None:
    places = Places()
    taken = [places.take("10.0.0.1") for _ in range(3)]
    for place in taken:
        place.settle()
        place.settle()
        place.leave()
        place.leave()
    assert (places.total, places.handshakes) == (0, 0)
    assert not places._here
    assert not places._beginning


def test_a_place_that_came_to_nothing_is_given_back() -> None:
    places = Places()
    with pytest.raises(KeyError), places.take("10.0.0.1"):
        raise KeyError
    assert places.total == 0
    with places.take("10.0.0.1") as place:
        place.settle()
    assert places.total == 1


def test_a_connection_without_an_address_counts_only_in_all() -> None:
    places = Places(Limits(total=3, per_address=1))
    first = places.take("")
    places.take("")
    first.leave()
    assert places.total == 1


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("not:an:address", "not:an:address"),
        ("", ""),
    ],
)
def test_an_ipv6_host_counts_by_its_subnet(address: str, counted: str) -> None:
    assert neighbourhood(address) == counted
