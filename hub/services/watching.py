"""Keeping up with what other processes store: a look every second, and at once when one of them says so.

So nothing is lost with the bus, and everything is known everywhere within two seconds. `Watch` does not know
what is looked for; `Newest` reads rows whose versions follow the order of the commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import structlog

from hub.domain.errors import StoreUnavailable
from hub.services.publish import Publish

LOOK_SECONDS = 1.0
PAGE = 200

log = structlog.get_logger(__name__)


class Versioned(Protocol):
    @property
    def version(self) -> int: ...


Row = TypeVar("Row", bound=Versioned)
Found = TypeVar("Found", bound=Versioned, covariant=True)


class Rows(Protocol[Found]):
    async def since(self, version: int, *, limit: int) -> Sequence[Found]:
        """Those after `version`, in the order of their versions."""


class Watch:
    """`order` is what processes tell each other; `look` reads what is new."""

    def __init__(self, publish: Publish, order: str, look: Callable[[], Awaitable[None]]) -> None:
        self._publish = publish
        self._order = order
        self._look = look
        self._hint = asyncio.Event()
        publish.on_order(order, lambda _: self._hint.set())

    def tell(self) -> None:
        """Have every process look now."""
        self._publish.order(self._order)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._hint.wait()
            except TimeoutError:
                pass
            self._hint.clear()
            try:
                await self._look()
            except StoreUnavailable:
                pass  # the store has said so itself; what is known stays in force
            except Exception:
                log.exception("what is new cannot be read", action=f"{self._order}.look_failed")


class Newest(Generic[Row]):
    """Keeps a process up with `rows`: `put` is told of each, older ones first."""

    def __init__(self, rows: Rows[Row], put: Callable[[Row], None], publish: Publish, order: str) -> None:
        self._rows = rows
        self._put = put
        self._seen = 0  # the newest version that was read
        self._looking = asyncio.Lock()
        self._watch = Watch(publish, order, self.look)

    def keep(self, row: Row) -> None:
        """What was stored just now: in force here at once, elsewhere soon."""
        self._put(row)
        self._watch.tell()

    async def look(self) -> None:
        """Read what was stored since the last look. Raises `StoreUnavailable`."""
        async with self._looking:
            while True:
                found = await self._rows.since(self._seen, limit=PAGE)
                for row in found:
                    self._put(row)
                if found:
                    self._seen = found[-1].version
                if len(found) < PAGE:
                    return

    async def watch(self) -> None:
        """Look for ever."""
        await self._watch.run()
