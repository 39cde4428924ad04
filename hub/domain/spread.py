"""How values are spread: so many up to each bound. Plain numbers, cheap enough for every request.

Does not know what is counted, nor how it is shown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Spread:
    """`counts` has one place per bound (up to and with it) and a last one for what is above all of them."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
