"""Listening to Redis: one subscribed connection that is kept alive, watched and replaced.

It pings its own connection and replaces it when nothing came back for a while, so a Redis that hangs is
noticed like one that is gone. After every reconnect all channels are subscribed again, and only then
`restored` is called: from that moment on nothing more is lost, and the owner looks for what was. This
file does not know what the messages mean.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator

import hiredis
import structlog

from hub.cluster.link import Line, Pace, connect, new_connection

CHANNELS_PER_COMMAND = 500

log = structlog.get_logger(__name__)


class Listener:
    """`connected`: the connection is up and every wanted channel was subscribed on it.

    `receive(channel, data)` is called for every message and must not raise; `restored()` whenever
    `connected` has become true. `reconnects` counts connections that were lost.
    """

    def __init__(
        self,
        url: str,
        *,
        pace: Pace,
        receive: Callable[[bytes, bytes], None],
        restored: Callable[[], None],
    ) -> None:
        self.connected = False
        self.reconnects = 0
        self._url = url
        self._pace = pace
        self._receive = receive
        self._restored = restored
        self._wanted: set[bytes] = set()
        self._changed: dict[bytes, None] = {}  # wishes that the server was not told of, in order
        self._unconfirmed: set[bytes] = set()
        self._confirmations: dict[bytes, asyncio.Future[None]] = {}
        self._wake = asyncio.Event()
        self._attempted = asyncio.Event()
        self._heard = 0.0
        self._fault: Exception | None = None  # what has ended the connection
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Starts listening. Returns when the first attempt to connect has ended, well or not."""
        self._task = asyncio.create_task(self._run(), name="bus-listener")
        await self._attempted.wait()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._lost()

    def want(self, channel: bytes) -> None:
        """Subscribes to the channel, now or as soon as there is a connection."""
        self._wanted.add(channel)
        self._changed[channel] = None
        self._unconfirmed.add(channel)
        self._wake.set()

    async def confirmed(self, channel: bytes) -> bool:
        """Whether the channel is subscribed; waits for it for `Pace.subscribe` seconds at most."""
        if not self.connected or channel not in self._unconfirmed:
            return self.connected
        loop = asyncio.get_running_loop()
        confirmation = self._confirmations.setdefault(channel, loop.create_future())
        done, _ = await asyncio.wait([confirmation], timeout=self._pace.subscribe)
        return bool(done) and self.connected

    def forget(self, channel: bytes) -> None:
        """Unsubscribes from the channel."""
        self._wanted.discard(channel)
        self._unconfirmed.discard(channel)
        self._changed[channel] = None
        self._wake.set()

    async def _run(self) -> None:
        failures = 0
        while True:
            reason: BaseException | None = None
            try:
                await self._session()
            # Whatever it was, listening goes on with a new connection.
            except Exception as error:
                reason = error
            if self.connected:
                failures = 0
                self.reconnects += 1
            if failures == 0:
                log.warning(
                    "lost Redis", action="bus.disconnected", error=f"{type(reason).__name__}: {reason}"
                )
            self._lost()
            self._attempted.set()
            delay = min(self._pace.backoff * 2**failures, self._pace.backoff_max)
            failures = min(failures + 1, 16)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))

    async def _session(self) -> None:
        connection = new_connection(self._url, "hub-listener", self._pace)
        line: Line | None = None
        self._fault = None
        try:
            line = await connect(connection, self._pace, self._hear, self._fail)
            self._heard = time.monotonic()
            self._unconfirmed = set(self._wanted)
            self._changed = dict.fromkeys(self._wanted)
            await self._keep(line)
        finally:
            if line is not None:
                line.close()
            await connection.disconnect(nowait=True)

    def _hear(self, reply: object) -> None:
        self._heard = time.monotonic()
        match reply:
            case [b"message", bytes(channel), bytes(data)]:
                self._receive(channel, data)
            case [b"subscribe", bytes(channel), _]:
                self._confirm(channel)
            case [b"unsubscribe", _, _]:
                self._complete()

    def _fail(self, error: Exception) -> None:
        self._fault = error
        self._wake.set()

    async def _keep(self, line: Line) -> None:
        """Tells the server what changed, and pings it. Raises what has ended the line, or ConnectionError
        when the server is silent."""
        pace = self._pace
        ping_at = time.monotonic() + pace.ping
        while True:
            if self._fault is not None:
                raise self._fault
            now = time.monotonic()
            silent_at = self._heard + pace.silence
            if now >= silent_at:
                raise ConnectionError(f"nothing came from Redis for {pace.silence:g} s")
            commands: list[tuple[bytes, ...]] = list(self._requests())
            if now >= ping_at:
                commands.append((b"PING",))
                ping_at = now + pace.ping
            if commands:
                line.write(b"".join([hiredis.pack_command(command) for command in commands]))  # type: ignore[arg-type]
            try:
                async with asyncio.timeout(max(0.0, min(ping_at, silent_at) - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _requests(self) -> Iterator[tuple[bytes, ...]]:
        """The commands that tell the server every changed wish."""
        self._wake.clear()
        changed, self._changed = list(self._changed), {}
        for verb, channels in (
            (b"SUBSCRIBE", [channel for channel in changed if channel in self._wanted]),
            (b"UNSUBSCRIBE", [channel for channel in changed if channel not in self._wanted]),
        ):
            for start in range(0, len(channels), CHANNELS_PER_COMMAND):
                yield (verb, *channels[start : start + CHANNELS_PER_COMMAND])

    def _confirm(self, channel: bytes) -> None:
        self._unconfirmed.discard(channel)
        if confirmation := self._confirmations.pop(channel, None):
            confirmation.set_result(None)
        self._complete()

    def _complete(self) -> None:
        if not self.connected and not self._unconfirmed:
            self.connected = True
            self._attempted.set()
            log.info("listening to Redis", action="bus.connected", channels=len(self._wanted))
            self._restored()

    def _lost(self) -> None:
        """Whoever waits for a confirmation goes on without."""
        self.connected = False
        for confirmation in self._confirmations.values():
            confirmation.set_result(None)
        self._confirmations.clear()
