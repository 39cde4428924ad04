"""An open connection of a tenant's, of whatever kind: every byte that comes in is read for secrets.

It keeps the numbers of the events it was shown, and can say an event and wait for the acknowledgement. How
each kind does that is in `callers`. Knows nothing of who should see what.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import aiohttp

from tests.chaos.tenants import Lookout, Person, numbers

PATIENCE = 5.0  # seconds that anything may take
STREAMS = {
    "/notifications/sse": "",
    "/sse/notifications": "notifications",
    "/sse/bookings": "booking.*",
    "/api/notifications/stream": "notifications",
}
SOCKETS = ("websocket", "polling")
KINDS = (*SOCKETS, "plain", *STREAMS)


class Line:
    """One connection of `who`. `due` is what it has to have seen in the end, and nothing else."""

    def __init__(self, http: aiohttp.ClientSession, lookout: Lookout, who: Person, kind: str) -> None:
        self.who = who
        self.kind = kind
        self.only = STREAMS.get(kind, "")
        self.rooms = set(who.rooms)
        self.due: set[int] = set()
        self.seen: list[int] = []
        self.told: set[int] = set()  # deliveries that it heard of
        self.shown_again: set[int] = set()  # events that it may see because somebody marked them
        self.greeting: dict[str, Any] | None = None
        self.token_id = ""
        self.reply: dict[str, Any] = {}
        self.refusal: dict[str, Any] | None = None
        self.closed: dict[str, Any] | None = None  # what `session:closed` has said
        self.over = asyncio.Event()
        self._http = http
        self._lookout = lookout
        self._news = asyncio.Event()
        self._acks: dict[int, Any] = {}
        self._numbers = count(1)
        self._reading: asyncio.Task[None] | None = None

    @property
    def speaks(self) -> bool:
        """Whether it can send anything."""
        return self.kind not in STREAMS

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    assert not self.over.is_set(), f"{self.kind} of {self.who} has ended before {what}"
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{self.kind} of {self.who} never saw {what}") from None

    async def sees(self, number: int) -> None:
        await self.until(lambda: number in self.seen, f"its event {number}")

    async def drop(self) -> None:
        """The transport is gone, without a word."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def ask(self, event: str, data: Any) -> Any:
        """Say it; what the acknowledgement holds."""
        number = next(self._numbers)
        await self._say(event, data, number)
        await self.until(lambda: number in self._acks, f"an answer to {event}")
        return self._acks.pop(number)

    async def open(self) -> None:
        """Returns when it is in, or was refused."""
        raise NotImplementedError

    def present_ticket(self, ticket: str) -> None:
        """Instead of the token."""
        raise NotImplementedError

    async def _say(self, event: str, data: Any, number: int) -> None:
        raise NotImplementedError

    def _begin(self, reading: Any) -> None:
        async def read() -> None:
            try:
                await reading
            except (aiohttp.ClientError, ConnectionError):
                pass
            finally:
                self.over.set()
                self._news.set()

        self._reading = asyncio.create_task(read())

    def _take(self, text: str) -> None:
        """Something came in."""
        self._lookout.look(self.who.tenant, self.kind, text)
        self.told.update(numbers(self.who.tenant, text, "u"))
        new = set(numbers(self.who.tenant, text, "e")).difference(self.seen)
        self.seen += sorted(new)
        self._news.set()

    def _hear(self, event: str, data: Any) -> None:
        if event == "connected":
            self.greeting = data
        elif event == "session:closed":
            self.closed = data
