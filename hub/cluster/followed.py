"""The tenants that this process follows: who is counted, and when SQL is asked where their logs stand.

A tenant is followed from its first `follow` until a while after its last `unfollow`: subscribed first, then
its position is read from SQL, so nothing falls between. A slow poll asks for all positions at once. This
file does not know records, and Redis only as the listener.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping

import structlog

from hub.cluster.following import Following
from hub.cluster.listener import Listener
from hub.domain.errors import Draining, TenantUnknown
from hub.domain.events import Position

Positions = Callable[[Collection[str]], Awaitable[Mapping[str, Position]]]

log = structlog.get_logger(__name__)


class Followed:
    """`begin(tenant)` makes a `Following`; `channel(tenant)` names its channel; `positions` reads SQL."""

    def __init__(
        self,
        *,
        begin: Callable[[str], Following],
        channel: Callable[[str], bytes],
        positions: Positions,
        listener: Listener | None,
        poll_seconds: float,
        linger: float,
    ) -> None:
        self._begin = begin
        self._channel = channel
        self._positions = positions
        self._listener = listener
        self._poll_seconds = poll_seconds
        self._linger = linger
        self._tenants: dict[str, Following] = {}
        self._asked: set[str] = set()  # tenants whose epoch is being looked up
        self._failing = False
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        self._spawn(self._poll(), "bus-poll")

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for following in self._tenants.values():
            following.close()
        self._tenants.clear()

    def get(self, tenant: str) -> Following | None:
        return self._tenants.get(tenant)

    async def follow(self, tenant: str) -> Position:
        """Counts one more follower. Returns what was dispatched so far; what comes after will be.

        Raises `TenantUnknown`, or what `positions` raises; then this follower is not counted.
        """
        following = self._tenants.get(tenant)
        if following is None:
            following = self._tenants[tenant] = self._begin(tenant)
            following.opening = self._spawn(self._open(following), f"bus-follow-{tenant}")
        following.followers += 1
        if following.linger is not None:
            following.linger.cancel()
            following.linger = None
        try:
            if opening := following.opening:
                # Shared by all who come while it runs; one of them leaving does not stop it.
                await asyncio.wait([opening])
                if opening.cancelled():
                    raise Draining
                opening.result()
        except BaseException:
            self._leave(following)
            raise
        position = following.position
        assert position is not None
        return position

    def unfollow(self, tenant: str) -> None:
        """Takes back one `follow`. The last one ends the subscription after a while."""
        if following := self._tenants.get(tenant):
            self._leave(following)

    async def catch_up(self, tenant: str) -> Position:
        """Reads SQL now and dispatches what was missed. Raises what SQL raises; LookupError: not followed."""
        following = self._tenants.get(tenant)
        if following is None:
            raise LookupError(f"tenant {tenant!r} is not followed here")
        for position in (await self._positions([tenant])).values():
            following.note(position)
        if error := await following.fill():
            raise error
        reached = following.position
        if reached is None:
            raise TenantUnknown(f"unknown tenant: {tenant}")
        return reached

    def catch_up_all(self) -> None:
        """Looks at SQL for every tenant now: something may have been lost."""
        self._spawn(self._look(self._opened(), at_once=True), "bus-catch-up")

    def ask(self, tenant: str) -> None:
        """A record of another epoch came: SQL knows which one counts. One question at a time."""
        if tenant not in self._asked:
            self._asked.add(tenant)
            task = self._spawn(self._look([tenant]), f"bus-epoch-{tenant}")
            task.add_done_callback(lambda _: self._asked.discard(tenant))

    async def _open(self, following: Following) -> None:
        tenant, channel = following.tenant, self._channel(following.tenant)
        try:
            # Subscribed first: what is committed after the position was read arrives by the channel.
            if self._listener is not None:
                self._listener.want(channel)
                await self._listener.confirmed(channel)
            position = (await self._positions([tenant])).get(tenant)
            if position is None:
                raise TenantUnknown(f"unknown tenant: {tenant}")
            following.note(position)
        except BaseException:
            self._forget(following)
            raise
        finally:
            following.opening = None

    def _leave(self, following: Following) -> None:
        following.followers = max(0, following.followers - 1)
        if following.followers == 0 and following.linger is None:
            loop = asyncio.get_running_loop()
            following.linger = loop.call_later(self._linger, self._forget, following)

    def _forget(self, following: Following) -> None:
        following.close()
        if self._tenants.get(following.tenant) is following:
            del self._tenants[following.tenant]
            if self._listener is not None:
                self._listener.forget(self._channel(following.tenant))

    def _opened(self) -> list[str]:
        return [tenant for tenant, following in self._tenants.items() if following.position]

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            await self._look(self._opened())

    async def _look(self, tenants: Collection[str], *, at_once: bool = False) -> None:
        """One question for all tenants; who is behind reads the rest, `at_once` or after a moment."""
        if not tenants:
            return
        try:
            positions = await self._positions(tenants)
        except Exception as error:
            # The next poll tries again.
            if not self._failing:
                log.warning("cannot read the logs' positions", action="bus.poll_failed", error=repr(error))
            self._failing = True
            return
        self._failing = False
        for tenant, position in positions.items():
            if following := self._tenants.get(tenant):
                following.note(position)
                if at_once:
                    following.start_fill()

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever waits for the task gets its error; without anybody it is no news.
            task.exception()
