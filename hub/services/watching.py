"""Keeping up with what other processes store: a look every second, and at once when one of them says so.

So nothing is lost with the bus, and everything is known everywhere within two seconds. Knows not what is
looked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from hub.domain.errors import StoreUnavailable
from hub.services.publish import Publish

LOOK_SECONDS = 1.0

log = structlog.get_logger(__name__)


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
