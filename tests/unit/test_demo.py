"""The demo's bookings: made of chance, but always of a hotel, for its guest and its desk."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest

from hub.domain.errors import ValidationFailed
from hub.web.demo import HOTELS, draft_of

TODAY = date(2026, 11, 20)


def draft(body: Any, seed: int = 1) -> Any:
    return draft_of(body, chance=random.Random(seed), today=TODAY)


def test_a_booking_goes_to_the_guest_by_mail_and_to_the_desk() -> None:
    made = draft({"tenant": "resort-hotel", "guest": "david", "type": "booking.confirmed"})
    assert (made.tenant, made.type, made.to) == (
        "resort-hotel",
        "booking.confirmed",
        ("user:david", "role:ADMIN"),
    )
    assert (made.contact.user, made.contact.email) == ("david", "david@example.com")
    assert "email" in made.channels


def test_without_a_guest_and_a_type_it_is_a_new_booking_of_the_first_guest() -> None:
    made = draft({"tenant": "city-hotel"})
    assert (made.type, made.contact.user) == ("booking.created", HOTELS[0].guests[0].id)


@pytest.mark.parametrize("seed", range(20))
def test_a_stay_begins_after_today_and_ends_after_it_begins(seed: int) -> None:
    data = draft({"tenant": "city-hotel"}, seed).data
    assert TODAY < date.fromisoformat(data["checkIn"]) < date.fromisoformat(data["checkOut"])


def test_a_reminder_is_about_tomorrow() -> None:
    assert draft({"tenant": "city-hotel", "type": "checkin.reminder"}).data["checkIn"] == "2026-11-21"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (None, "tenant"),
        ([], "tenant"),
        ({"tenant": ["city-hotel"]}, "tenant"),
        ({"tenant": "elsewhere"}, "tenant"),
        ({"tenant": "city-hotel", "guest": "clara"}, "guest"),
        ({"tenant": "city-hotel", "guest": "marta"}, "guest"),
        ({"tenant": "city-hotel", "guest": {}}, "guest"),
        ({"tenant": "city-hotel", "type": 7}, "type"),
    ],
)
def test_a_wrong_field_is_named(body: Any, field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        draft(body)
    assert [fault["field"] for fault in refused.value.errors] == [field]
