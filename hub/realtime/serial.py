"""What a client has sent reaches its handlers one at a time and in order.

A client whose handler is busy waits in its inbox; a full inbox stops the reading from that client. The
task that works an inbox off exists only while there is something in it. The end of a client takes the same
road as its messages, so it cannot overtake a handler that is still running.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import structlog

from hub.realtime.errors import ProtocolError

log = structlog.get_logger(__name__)


class Busy(Protocol):
    """A client with an inbox. Both attributes are None while it is idle."""

    inbox: deque[Any] | None
    worker: asyncio.Task[None] | None

    def pause(self, on: bool, /) -> None:
        """Stop (or go on) reading from it."""


C = TypeVar("C", bound=Busy)


class Last(NamedTuple):
    """The end of a client, which is never forgotten."""

    item: Any


class Serial(Generic[C]):
    """Calls `handle(client, item)` for every item; `broken(client, error)` when it raises ProtocolError."""

    def __init__(
        self,
        handle: Callable[[C, Any], Awaitable[None]],
        broken: Callable[[C, ProtocolError], None],
        *,
        max_inbox: int,
    ) -> None:
        self.max_inbox = max_inbox
        self._handle = handle
        self._broken = broken
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly

    def put_last(self, client: C, item: Any) -> None:
        """The end of the client: handled after what is waiting, whatever becomes of that."""
        self.put(client, Last(item))

    def put(self, client: C, item: Any) -> None:
        if client.inbox is not None:
            client.inbox.append(item)
            if len(client.inbox) > self.max_inbox:
                client.pause(True)
            return
        client.inbox = deque((item,))
        client.worker = task = asyncio.get_running_loop().create_task(self._work(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    def forget_waiting(client: C) -> None:
        """What has not been begun is not done any more; the end of the client is."""
        if client.inbox:
            kept = [item for item in client.inbox if isinstance(item, Last)]
            client.inbox.clear()
            client.inbox.extend(kept)

    async def _work(self, client: C) -> None:
        inbox = client.inbox
        while inbox:
            item = inbox.popleft()
            if len(inbox) == self.max_inbox // 2:
                client.pause(False)
            try:
                await self._handle(client, item.item if isinstance(item, Last) else item)
            except ProtocolError as error:
                self.forget_waiting(client)
                self._broken(client, error)
            except Exception:
                log.exception("a handler failed", action="handler.fail")
        client.inbox = client.worker = None

    async def idle(self, timeout: float) -> None:
        """Wait until no handler runs, at most `timeout` seconds."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=timeout)
