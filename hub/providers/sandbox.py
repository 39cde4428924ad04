"""The sandbox: keeps what would have been sent. Development's provider for every channel.

Nothing leaves the machine. Where the messages are kept is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hub.domain.message import Message
from hub.providers.receipt import Receipt


class Sandbox:
    name = "sandbox"

    def __init__(self, keep: Callable[[Message], Awaitable[None]]) -> None:
        self._keep = keep

    async def send(self, message: Message) -> Receipt:
        await self._keep(message)
        return Receipt(message.id)

    async def close(self) -> None:
        """Holds nothing."""
