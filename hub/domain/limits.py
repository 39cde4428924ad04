"""How often somebody may do something. Pure: the time is told."""

from __future__ import annotations


class Allowance:
    """`most` events in `window` seconds, as a bucket that refills steadily.

    Who goes on asking while the bucket is empty runs up strikes; `most` of them without a pause are abuse.
    """

    __slots__ = ("_left", "_most", "_seen", "_strikes", "_window")

    def __init__(self, most: int, window: float, now: float) -> None:
        self._most = most
        self._window = window
        self._left = float(most)
        self._seen = now
        self._strikes = 0

    def take(self, now: float, cost: float = 1.0) -> float:
        """0 when allowed, else the seconds to wait. `now` is monotonic; `cost` is at most `most`."""
        refill = (now - self._seen) * self._most / self._window
        self._left = min(float(self._most), self._left + refill)
        self._seen = now
        if self._left >= cost:
            self._left -= cost
            self._strikes = 0
            return 0.0
        self._strikes += 1
        return (cost - self._left) * self._window / self._most

    @property
    def abused(self) -> bool:
        """Whether the sender ignores being told to wait."""
        return self._strikes >= self._most
