"""The example's stories are sound: ordered, complete, and over when they are over."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from examples.bookings import Booking, Moment, booking, read, sample, story, stream

ENDINGS = {"booking.completed", "booking.cancelled", "booking.no_show"}
ROW = {
    "hotel": "City Hotel",
    "lead_time": "20",
    "arrival_date_year": "2015",
    "arrival_date_month": "September",
    "arrival_date_day_of_month": "10",
    "stays_in_weekend_nights": "1",
    "stays_in_week_nights": "2",
    "adults": "2",
    "children": "1",
    "babies": "0",
    "country": "PRT",
    "reserved_room_type": "A",
    "booking_changes": "2",
    "agent": "9",
    "adr": "92.675",
    "reservation_status": "Check-Out",
    "reservation_status_date": "9/13/2015",
}


@pytest.fixture(scope="module")
def bookings() -> list[Booking]:
    return list(read())


@pytest.fixture(scope="module")
def moments(bookings: list[Booking]) -> list[Moment]:
    return stream(bookings)


def kinds(about: Booking) -> list[str]:
    return [moment.type for moment in story(about)]


def test_the_data_has_both_hotels_and_every_way_a_booking_ends(bookings: list[Booking]) -> None:
    assert Counter(about.tenant for about in bookings) == {"city-hotel": 750, "resort-hotel": 750}
    assert {about.end_type for about in bookings} == ENDINGS
    assert any(about.changes for about in bookings)
    assert len({about.id for about in bookings}) == len(bookings)


def test_the_stream_is_in_the_order_of_time(moments: list[Moment]) -> None:
    times = [moment.at for moment in moments]
    assert times == sorted(times)
    assert times[-1] - times[0] > timedelta(days=60)


def test_a_story_begins_with_the_booking_and_nothing_comes_after_its_end(bookings: list[Booking]) -> None:
    for about in bookings:
        told = story(about)
        assert [moment.type for moment in told[:2]] == ["booking.created"] * 2
        assert told[-1].type == about.end_type
        assert not ENDINGS & {moment.type for moment in told[:-1]}
        assert all(about.booked <= moment.at <= about.end for moment in told)
        assert [moment.at for moment in told] == sorted(moment.at for moment in told)


def test_a_full_story_is_told_step_by_step() -> None:
    told = [(moment.type, f"{moment.at:%m-%d %H:%M}") for moment in story(booking(1, ROW))]
    assert told == [
        ("booking.created", "08-21 08:37"),
        ("booking.created", "08-21 08:37"),
        ("booking.updated", "08-28 02:44"),
        ("booking.reminder", "09-03 10:00"),
        ("booking.updated", "09-03 20:52"),
        ("checkin.reminder", "09-09 12:00"),
        ("booking.completed", "09-13 11:00"),
    ]


def test_a_cancelled_booking_is_not_reminded_after_it_is_cancelled() -> None:
    early = ROW | {"reservation_status": "Canceled", "reservation_status_date": "8/25/2015"}
    assert kinds(booking(1, early))[2:] == ["booking.updated", "booking.updated", "booking.cancelled"]
    late = ROW | {"reservation_status": "Canceled", "reservation_status_date": "9/9/2015"}
    assert kinds(booking(1, late))[-2:] == ["checkin.reminder", "booking.cancelled"]


def test_a_booking_made_on_the_day_of_arrival_has_no_reminders() -> None:
    today = ROW | {"lead_time": "0", "booking_changes": "0"}
    assert kinds(booking(1, today)) == ["booking.created", "booking.created", "booking.completed"]


def test_the_price_is_the_rate_times_the_nights_in_whole_cents(bookings: list[Booking]) -> None:
    about = booking(1, ROW)
    assert about.nights == 3
    assert about.data["totalPrice"] == 278.02
    assert about.data["checkIn"] == "2015-09-10"
    assert about.data["checkOut"] == "2015-09-13"
    assert about.data["guests"] == 3
    assert all(other.price == other.price.quantize(Decimal("0.01")) > 0 for other in bookings)


def test_staff_and_guest_are_told_and_only_the_guest_is_mailed() -> None:
    first, second, *rest = story(booking(17, ROW))
    assert first.body["to"] == ["role:ADMIN", "user:agent-9"]
    assert first.body["channels"] == ["inApp"]
    assert second.body["to"] == {"id": "guest-ch-00017", "email": "guest-ch-00017@example.com"}
    assert second.body["channels"] == ["inApp", "email"]
    assert second.rooms == ("user:guest-ch-00017",)
    for moment in rest:
        assert moment.body["to"] == ["role:ADMIN", "user:agent-9", "user:guest-ch-00017"]
        assert moment.mail is None


def test_a_booking_without_an_agent_tells_no_agent() -> None:
    assert story(booking(1, ROW | {"agent": "NULL"}))[0].rooms == ("role:ADMIN",)


def test_keys_are_unique_and_the_same_in_every_run(moments: list[Moment]) -> None:
    keys = [moment.key for moment in moments]
    assert len(set(keys)) == len(keys)
    assert keys == [moment.key for moment in stream(list(read()))]
    assert all(len(key) < 200 and key.isascii() for key in keys)


def test_a_body_is_json_that_names_its_own_hotel_only(moments: list[Moment]) -> None:
    for moment in moments:
        text = json.dumps(moment.body)
        other = {"city-hotel": ("resort-hotel", "Resort Hotel"), "resort-hotel": ("city-hotel", "City Hotel")}
        assert not any(name in text for name in other[moment.tenant])
        assert moment.tenant in text


def test_a_sample_holds_whole_stories_and_fits(bookings: list[Booking]) -> None:
    chosen = sample(bookings, 500)
    told = stream(chosen)
    assert 480 < len(told) <= 500
    assert {moment.type for moment in told} >= ENDINGS - {"booking.no_show"}
    assert {about.tenant for about in chosen} == {"city-hotel", "resort-hotel"}
    assert {about.id for about in sample(bookings, 10**6)} == {about.id for about in bookings}
    assert sample(bookings, 1) == []
