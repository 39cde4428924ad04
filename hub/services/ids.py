"""New ids: ULIDs (github.com/ulid/spec), 26 characters that sort by the time they were made.

Promises: each is greater than the one before it in this process, also when the clock is set back; two
processes never make the same one. Not for several threads at once. An id is no secret: who has one can
guess its neighbours.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]


class Ids:
    """Called for each new id. `clock` gives nanoseconds since 1970."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        # Seeded by the system once: it takes longer to answer than all the rest takes here.
        self._chance = random.Random(secrets.randbits(256))
        self._milliseconds = -1
        self._number = 0  # 80 bits; its first is 0 when a millisecond begins, so that there is room to count
        self._head = ""  # all but the last four characters

    def __call__(self) -> str:
        milliseconds = self._clock() // 1_000_000
        if milliseconds > self._milliseconds:
            self._milliseconds = milliseconds
            self._number = number = self._chance.getrandbits(79)
            self._head = _time(milliseconds) + _chance(number)
        else:
            self._number = number = self._number + 1
            if not number & 0xFFFFF:
                self._head = _time(self._milliseconds) + _chance(number)
        return self._head + _PAIRS[number >> 10 & 1023] + _PAIRS[number & 1023]


# Written out: they are called for most ids, and a loop takes three times as long.
def _time(number: int) -> str:
    """The first ten characters."""
    pairs = _PAIRS
    head = pairs[number >> 40 & 1023] + pairs[number >> 30 & 1023] + pairs[number >> 20 & 1023]
    return head + pairs[number >> 10 & 1023] + pairs[number & 1023]


def _chance(number: int) -> str:
    """The next twelve."""
    pairs = _PAIRS
    head = pairs[number >> 70 & 1023] + pairs[number >> 60 & 1023] + pairs[number >> 50 & 1023]
    return head + pairs[number >> 40 & 1023] + pairs[number >> 30 & 1023] + pairs[number >> 20 & 1023]


new_id = Ids()
