"""What came, what was taken, and what was said about it later. In memory, the newest MOST requests.

Whoever waits for something to happen is woken by it. Knows no provider.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request. `answer`: the status it got, 0 for none. `taken`: the provider has the message.

    `again` is a repetition that the provider recognised: no second message.
    """

    number: int
    provider: str
    at: float
    word: str
    answer: int
    taken: bool
    again: bool = False
    deliveries: tuple[str, ...] = ()
    to: str = ""
    id: str = ""
    message: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One callback and what the hub answered; 0: nobody did."""

    provider: str
    event: str
    at: float
    deliveries: tuple[str, ...]
    answer: int


class Ledger:
    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=MOST)
        self.callbacks: deque[Said] = deque(maxlen=MOST)
        self._count = 0
        self._news = asyncio.Event()

    def next_number(self) -> int:
        self._count += 1
        return self._count

    def note(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._news.set()

    def said(self, said: Said) -> None:
        self.callbacks.append(said)
        self._news.set()

    def taken(self, provider: str | None = None) -> list[Entry]:
        """The requests that were taken, each message once, oldest first."""
        return [entry for entry in self.of(provider) if entry.taken and not entry.again]

    def of(self, provider: str | None = None) -> Iterator[Entry]:
        return (entry for entry in list(self.entries) if provider in (None, entry.provider))

    def accepts(self, provider: str | None = None) -> Counter[str]:
        """How often the message of each delivery was taken."""
        return Counter(id for entry in self.taken(provider) for id in entry.deliveries)

    async def until(self, reached: Callable[[Ledger], object], *, timeout: float = 30.0) -> None:
        """Returns when `reached(ledger)` is true; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while not reached(self):
                self._news.clear()
                await self._news.wait()

    def clear(self) -> None:
        self.entries.clear()
        self.callbacks.clear()
