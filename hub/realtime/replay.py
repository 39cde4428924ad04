"""The recent past in memory, per tenant: what a client that was away for a moment has missed.

A ring holds the newest entries of a contiguous log. It answers only when it holds everything after the
asked offset; else the log itself has to be read. What an entry is, is for its users to know.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Ring(Generic[T]):
    """At most `size` entries per tenant, and at most `tenants` tenants, the most recently active ones."""

    def __init__(self, size: int, *, tenants: int = 1000) -> None:
        self._size = size
        self._tenants = tenants
        self._recent: OrderedDict[str, deque[tuple[int, T]]] = OrderedDict()

    def remember(self, tenant: str, offset: int, entry: T) -> None:
        """Offsets of a tenant come in order; a gap or a step back begins anew."""
        if self._size == 0:
            return
        recent = self._recent.get(tenant)
        if recent is None:
            recent = self._recent[tenant] = deque(maxlen=self._size)
            if len(self._recent) > self._tenants:
                self._recent.popitem(last=False)
        else:
            self._recent.move_to_end(tenant)
        if recent and recent[-1][0] + 1 != offset:
            recent.clear()
        recent.append((offset, entry))

    def first(self, tenant: str) -> int | None:
        """The oldest offset that is here; None: nothing is."""
        recent = self._recent.get(tenant)
        return recent[0][0] if recent else None

    def has_room(self, tenant: str, count: int) -> bool:
        """Whether so many older entries fit before what is here."""
        return len(self._recent.get(tenant, ())) + count <= self._size

    def recall(self, tenant: str, entries: Sequence[tuple[int, T]]) -> None:
        """Put older entries, in order and without a gap, before what is here; nothing when they do not fit
        or do not lead up to it."""
        first = self.first(tenant)
        if not entries or not self.has_room(tenant, len(entries)):
            return
        if first is None:
            for offset, entry in entries:
                self.remember(tenant, offset, entry)
        elif entries[-1][0] + 1 == first:
            self._recent[tenant].extendleft(reversed(entries))

    def since(self, tenant: str, offset: int) -> list[tuple[int, T]] | None:
        """Every entry after `offset`, oldest first; None: not all of them are here."""
        recent = self._recent.get(tenant)
        if not recent or offset + 1 < recent[0][0]:
            return None
        return list(islice(recent, max(0, offset + 1 - recent[0][0]), None))

    def forget(self, tenant: str) -> None:
        """Drop a tenant's entries (its log has begun anew)."""
        self._recent.pop(tenant, None)
