"""Connections whose end is under way, and the wait for the last of them.

Does not know what they are or how they end.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Ending(Protocol):
    def cut(self) -> None:
        """End at once."""


class Departures:
    """Those who leave are added, and discarded when they are gone."""

    def __init__(self) -> None:
        self._links: set[Ending] = set()
        self._empty: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._links)

    def add(self, link: Ending) -> None:
        self._links.add(link)

    def discard(self, link: Ending) -> None:
        self._links.discard(link)
        if not self._links and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def over(self, timeout: float) -> None:
        """Wait until all are gone; who is not after `timeout` seconds is cut."""
        if self._links:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=timeout)
        for link in tuple(self._links):
            link.cut()
