"""What comes in at the doors, counted: requests by route and status, handshakes that were refused.

Plain numbers; whoever shows them reads them. Only names from our own tables are kept, so that no client
can make the counters grow.
"""

from __future__ import annotations

from collections import Counter

from hub.domain.errors import Refusal
from hub.domain.spread import Spread

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Traffic:
    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], Spread] = {}  # by method, route, status
        self.refused: Counter[tuple[str, str]] = Counter()  # handshakes, by transport and code

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        key = (method, route, status)
        spread = self.requests.get(key)
        if spread is None:
            if method not in METHODS:
                key = ("other", route, status)
            spread = self.requests.setdefault(key, Spread(SECONDS))
        spread.add(seconds)

    def turned_away(self, transport: str, refusal: Refusal) -> None:
        """A client was not let in."""
        self.refused[transport, refusal.code] += 1
