"""Times as everybody sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.services.wire import iso


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        (datetime(2026, 11, 20, 10, 0, 0, 123_999, UTC), "2026-11-20T10:00:00.123Z"),
        (datetime(2026, 11, 20, 10, 0, 0, 0, UTC), "2026-11-20T10:00:00.000Z"),
        (datetime(2026, 11, 20, 10, 0, 0, 7, UTC), "2026-11-20T10:00:00.000Z"),
        (datetime(2026, 1, 1, 3, 30, 0, 0, timezone(timedelta(hours=7))), "2025-12-31T20:30:00.000Z"),
        (datetime(99, 1, 1, 0, 0, 0, 1000, UTC), "0099-01-01T00:00:00.001Z"),
        (None, None),
    ],
)
def test_a_time_is_utc_with_milliseconds(when: datetime | None, shown: str | None) -> None:
    assert iso(when) == shown


@given(when=st.datetimes(min_value=datetime(2, 1, 1), timezones=st.timezones() | st.just(UTC)))
def test_every_time_is_shown_as_isoformat_would(when: datetime) -> None:
    utc = when.astimezone(UTC).replace(tzinfo=None)
    assert iso(when) == f"{utc.isoformat(timespec='milliseconds')}Z"
