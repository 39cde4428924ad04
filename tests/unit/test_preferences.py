"""What people want: partial words over a tenant's, and what of it is kept from their screens."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import ValidationFailed
from hub.domain.preferences import (
    NONE,
    Mute,
    Wishes,
    canonical,
    merged,
    mutes,
    require_bounded,
    shown,
    zone_of,
)
from hub.domain.timing import Daily, next_time, quiet_until

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Daily(time(22), time(7))


def local(text: str, *, fold: int = 0) -> datetime:
    """A moment by the clocks of Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


def test_a_word_for_a_type_wins_over_the_channel_and_a_persons_over_the_tenants() -> None:
    tenant = {"email": False, "types": {"payment.due": {"email": True, "sms": False}}}
    person = {"sms": True, "types": {"review.created": {"email": True}}}
    wishes = Wishes.of(person, tenant)
    assert not wishes.wants("email", "booking.created")  # the tenant's channel
    assert wishes.wants("email", "payment.due")  # the tenant's type
    assert wishes.wants("email", "review.created")  # the person's type
    assert wishes.wants("sms", "payment.due")  # the person's channel speaks of all types
    assert wishes.wants("discord", "anything")
    assert Wishes.of({}, None) is NONE


def test_null_takes_a_word_back_and_what_is_empty_is_gone() -> None:
    said = merged({}, {"email": False, "types": {"a": {"email": False, "sms": False}}})
    said = merged(said, {"types": {"a": {"email": None}, "b": {"sms": False}}})
    assert said == {"email": False, "types": {"a": {"sms": False}, "b": {"sms": False}}}
    assert merged(said, {"email": None, "types": {"a": None, "b": None}}) == {}


def test_quiet_hours_are_said_as_a_whole() -> None:
    before = {"quietHours": {"start": "22:00", "end": "07:00", "timezone": "Asia/Tokyo"}}
    after = merged(before, {"quietHours": {"start": "23:00", "end": "06:00"}})
    assert shown(after, {})["quietHours"] == {"start": "23:00", "end": "06:00", "timezone": None}


def test_types_that_come_one_by_one_are_bounded_too() -> None:
    said = {"types": {f"t{number}": {"sms": False} for number in range(200)}}
    require_bounded(said)
    with pytest.raises(ValidationFailed, match="at most 200 types"):
        require_bounded(merged(said, {"types": {"one.more": {"sms": False}}}))


def test_types_are_known_by_all_their_names_and_some_cannot_be_muted() -> None:
    names = {"NEW": "booking.created"}
    change = canonical(
        {"types": {"NEW": {"sms": False}, "own.thing": {"email": False}}},
        lambda said: names.get(said, said),
        frozenset({"system.maintenance"}),
    )
    assert set(change["types"]) == {"booking.created", "own.thing"}
    with pytest.raises(ValidationFailed, match=r"types\.system\.maintenance cannot be muted"):
        canonical({"types": {"system.maintenance": {"email": False}}}, str, frozenset({"system.maintenance"}))


def test_who_mutes_the_app_keeps_what_they_name_and_what_cannot_be_muted() -> None:
    rows = mutes({"inApp": False, "types": {"payment.due": {"inApp": True}, "test": {"inApp": False}}})
    mute = Mute(rows, frozenset({"system.maintenance"}))
    hidden = [name for name in ("test", "payment.due", "system.maintenance", "own") if mute.hides(name)]
    assert hidden == ["test", "own"]
    assert mutes({"types": {"test": {"inApp": False}, "other": {"inApp": True}}}) == {"test"}
    assert mutes({"email": False}) == frozenset()


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-11-20T22:00", "2026-11-21T07:00"),
        ("2026-11-21T06:59:59", "2026-11-21T07:00"),
        ("2026-11-21T07:00", None),
        ("2026-11-21T21:59:59", None),
    ],
)
def test_quiet_hours_go_over_midnight(now: str, ends: str | None) -> None:
    assert quiet_until(NIGHT, BERLIN, local(now)) == (ends and local(ends))


def test_quiet_hours_end_at_the_jump_where_the_clocks_skip_their_end() -> None:
    hours = Daily(time(23), time(2, 30))  # on 29 March 2026 clocks go from 2:00 to 3:00
    assert quiet_until(hours, BERLIN, local("2026-03-29T01:00")) == local("2026-03-29T03:00")


def test_quiet_hours_end_the_second_time_where_the_clocks_show_it_twice() -> None:
    hours = Daily(time(23), time(2, 30))  # on 25 October 2026 clocks go from 3:00 back to 2:00
    last = local("2026-10-25T02:30", fold=1)
    assert last - local("2026-10-25T02:30", fold=0) == timedelta(hours=1)
    assert quiet_until(hours, BERLIN, local("2026-10-25T02:45", fold=0)) == last


def test_the_same_time_twice_is_never_quiet() -> None:
    assert quiet_until(Daily(time(8), time(8)), BERLIN, local("2026-11-20T08:00")) is None


@given(
    moment=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    start=st.times(),
    end=st.times(),
    zone=st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
    ),
)
def test_at_the_end_of_quiet_hours_it_is_not_quiet(
    moment: datetime, start: time, end: time, zone: str
) -> None:
    hours, where = (
        Daily(start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)),
        zone_of(zone),
    )
    ends = quiet_until(hours, where, moment)
    if ends is not None:
        assert moment < ends <= moment + timedelta(hours=26)
        assert quiet_until(hours, where, ends) is None


def test_a_digest_goes_out_at_the_persons_own_time() -> None:
    now = local("2026-11-20T18:30")
    assert Wishes.of({"digest": "daily@18:30"}, None).gathered(BERLIN, now) == local("2026-11-21T18:30")
    assert Wishes.of({"digest": "daily"}, None).gathered(BERLIN, now) == local("2026-11-21T08:00")
    assert Wishes.of({"digest": "hourly"}, None).gathered(BERLIN, now) == local("2026-11-20T19:00")
    assert Wishes.of({"digest": "off"}, {"digest": "daily"}).gathered(BERLIN, now) is None
    assert next_time(time(2, 30), BERLIN, local("2026-03-28T12:00")) == local("2026-03-29T03:00")
