"""What envelopes begin with, encoded once: most people's pages show what others' pages show too.

Promises: what is kept was made of the very event at that place, which never changes; all of it together has
at most so many bytes. Does not know who may see what.
"""

from __future__ import annotations

from hub.store.inbox_page import Place

MOST_BYTES = 8 << 20
_EACH = 300  # bytes that keeping one costs beyond its own


class Contents:
    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._size = 0
        self._kept: dict[Place, bytes] = {}
        # Also asked from other threads.
        self.find = self._kept.get

    def keep(self, place: Place, content: bytes) -> None:
        """Who came first goes when there is no room."""
        if place in self._kept:
            return
        self._kept[place] = content
        self._size += len(content) + _EACH
        while self._size > self._most:
            self._size -= len(self._kept.pop(next(iter(self._kept)))) + _EACH
