"""What time it is, for a whole process. Below the top floor nobody asks: parts are given a clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime

_last = (-1, datetime.min)  # the last millisecond that anybody asked in, and its time


def utc_now() -> datetime:
    """To the millisecond, which is as exact as anybody is told. Who asks within one gets the same object, so
    that it is put into words once."""
    global _last
    milliseconds = time.time_ns() // 1_000_000
    last, now = _last
    if milliseconds != last:
        seconds, rest = divmod(milliseconds, 1000)
        now = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
        _last = milliseconds, now
    return now
