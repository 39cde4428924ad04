"""Light clients for crowds: Socket.IO over one WebSocket, plain WebSocket and SSE, by hand on aiohttp.

A `Watcher` stays connected: whatever cuts it, it comes back to the next address with its cursor, as a real
client would, and writes down what arrives. It judges what one client can judge alone (a frame that names
another tenant, an offset at or below its cursor, a replay that was refused); `tests/oracle.py` does the rest.
The wire is written out here on purpose: a library would repair what it should show.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import aiohttp

from tests.oracle import Seen

CONNECT_SECONDS = 5.0
PAUSE_SECONDS = 0.05  # between two attempts, as a client's backoff


class Broken(Exception):
    """The server broke the protocol, or refused what it must not refuse."""


class Watcher:
    """One client. `mode`: `generic` or `typed` for Socket.IO on `namespace`, `plain`, or `sse`."""

    def __init__(
        self,
        name: str,
        *,
        tenant: str,
        rooms: frozenset[str],
        token: str,
        mode: str,
        addresses: Sequence[str],
        foreign: Sequence[str],
        namespace: str = "/",
    ) -> None:
        self.name = name
        self.tenant = tenant
        self.rooms = rooms
        self.seen: list[Seen] = []
        self.faults: list[str] = []
        self.connects = 0
        self.live = asyncio.Event()
        self.heard: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)  # by event type
        self._token = token
        self._mode = mode
        self._namespace = namespace
        self._addresses = itertools.cycle(addresses)
        self._foreign = tuple(foreign)
        self._cursor: str | None = None
        self._offset = 0
        self._cut: asyncio.Task[None] | None = None
        self._wire: Any = None  # the present connection's socket

    async def run(self, http: aiohttp.ClientSession) -> None:
        """Stays connected until it is cancelled."""
        session = {"sse": self._stream, "plain": self._plain}.get(self._mode, self._socket)
        while True:
            self._cut = asyncio.create_task(session(http, next(self._addresses)))
            try:
                await asyncio.wait([self._cut])
            finally:
                self._cut.cancel()
            self.live.clear()
            if not self._cut.cancelled() and (error := self._cut.exception()):
                if not isinstance(error, aiohttp.ClientError | OSError | TimeoutError):
                    self.faults.append(f"{type(error).__name__}: {error}")
                    raise error
                await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))

    def hop(self, *, politely: bool) -> None:
        """Leaves, with a closing handshake or in the middle of a word; comes back to the next address."""
        self.live.clear()
        if politely and self._cut is not None:
            self._cut.cancel()
        elif self._wire is not None:
            with suppress(OSError):  # it has gone by itself
                self._wire.shutdown(socket.SHUT_RDWR)

    # -- the wires -----------------------------------------------------------------------------------
    async def _socket(self, http: aiohttp.ClientSession, address: str) -> None:
        url = f"{address}/socket.io/?EIO=4&transport=websocket"
        async with asyncio.timeout(CONNECT_SECONDS) as connecting, http.ws_connect(url) as ws:
            self._wire = ws.get_extra_info("socket")
            async for message in ws:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise Broken(f"a frame of type {message.type!r}")
                text = message.data
                self._inspect(text)
                if text[0] == "4":
                    self._packet(text[1:])
                    if self.live.is_set():
                        connecting.reschedule(None)
                elif text[0] == "2":
                    await ws.send_str("3")
                elif text[0] == "0":
                    auth = {"token": self._token, "events": self._mode, "cursor": self._cursor}
                    namespace = "" if self._namespace == "/" else f"{self._namespace},"
                    await ws.send_str(f"40{namespace}{json.dumps(auth)}")
                elif text[0] not in "16":
                    raise Broken(f"an Engine.IO packet {text[:40]!r}")

    def _packet(self, text: str) -> None:
        kind, rest = text[0], text[1:]
        if self._namespace != "/" and rest.startswith(f"{self._namespace},"):
            rest = rest[len(self._namespace) + 1 :]
        if kind == "2":
            name, *args = json.loads(rest)
            self._event(name, args[0] if args else None)
        elif kind == "4":
            refusal = json.loads(rest)
            if refusal.get("data", {}).get("code") not in {"store_unavailable", "draining"}:
                raise Broken(f"refused: {rest}")
            raise aiohttp.ClientError(rest)
        elif kind not in "01":
            raise Broken(f"a Socket.IO packet {text[:40]!r}")

    async def _plain(self, http: aiohttp.ClientSession, address: str) -> None:
        url, query = f"{address}/ws/notifications", {"cursor": self._cursor} if self._cursor else {}
        async with (
            asyncio.timeout(CONNECT_SECONDS) as connecting,
            http.ws_connect(url, params=query, headers=self._bearer()) as ws,
        ):
            self._wire = ws.get_extra_info("socket")
            async for message in ws:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise Broken(f"a frame of type {message.type!r}")
                self._inspect(message.data)
                frame = json.loads(message.data)
                if frame.get("cursor") != frame["data"].get("cursor"):
                    raise Broken(f"two cursors in {message.data[:120]!r}")
                self._event(frame["event"], frame["data"])
                if self.live.is_set():
                    connecting.reschedule(None)

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    async def _stream(self, http: aiohttp.ClientSession, address: str) -> None:
        headers = self._bearer() | ({"Last-Event-ID": self._cursor} if self._cursor else {})
        url = f"{address}/notifications/sse"
        async with asyncio.timeout(CONNECT_SECONDS) as connecting, http.get(url, headers=headers) as answer:
            if answer.status in {502, 503}:
                raise aiohttp.ClientError(f"HTTP {answer.status}")
            if answer.status != 200:
                raise Broken(f"HTTP {answer.status}: {await answer.text()}")
            assert answer.connection is not None
            assert answer.connection.transport is not None
            self._wire = answer.connection.transport.get_extra_info("socket")
            fields: dict[str, str] = {}
            async for line in answer.content:
                text = line.decode().rstrip("\n")
                self._inspect(text)
                if text:
                    name, _, value = text.partition(":")
                    fields[name] = value.removeprefix(" ")
                    continue
                if "data" in fields:
                    self._event(fields.get("event", "message"), json.loads(fields["data"]))
                if self.live.is_set():
                    connecting.reschedule(None)
                fields = {}

    # -- what arrives --------------------------------------------------------------------------------
    def _inspect(self, text: str) -> None:
        for word in self._foreign:
            if word in text:
                self.faults.append(f"another tenant's {word!r} on the wire: {text[:120]!r}")

    def _event(self, name: str, payload: Any) -> None:
        if name == "connected":
            if self._cursor is not None and not payload["recovered"]:
                self.faults.append(f"not recovered from {self._cursor}: {payload['recoveryReason']}")
            self._cursor = payload["cursor"]
            self._offset = int(self._cursor.partition(":")[2]) if self._cursor else 0
            self.connects += 1
            self.live.set()
        elif isinstance(payload, dict) and payload.get("cursor"):
            self._durable(payload)
        elif name in {"error", "sync:reset", "session:closed"}:
            self.faults.append(f"{name}: {payload}")

    def _durable(self, envelope: dict[str, Any]) -> None:
        cursor = envelope["cursor"]
        offset = int(cursor.partition(":")[2])
        if offset <= self._offset:
            self.faults.append(f"offset {offset} came after the cursor stood at {self._offset}")
        self._cursor, self._offset = cursor, offset
        self.seen.append(Seen(offset, envelope["id"]))
        self.heard[envelope["type"]].set()


class Crowd:
    """Watchers that run together. Use as an async context manager."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = list(watchers)
        self._tasks: list[asyncio.Task[None]] = []
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Crowd:
        connector = aiohttp.TCPConnector(limit=0)
        self._http = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=None), read_bufsize=1 << 18
        )
        self._tasks = [asyncio.create_task(one.run(self._http), name=one.name) for one in self.watchers]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task
        if self._http is not None:
            await self._http.close()

    async def all_live(self, seconds: float) -> None:
        """Until everyone is connected. Raises AssertionError with the names of those who are not."""
        await self._all("connected", lambda one: one.live, seconds)

    async def all_hear(self, kind: str, seconds: float) -> None:
        """Until everyone has seen an event of this type. Raises AssertionError as above."""
        await self._all(f"told of {kind}", lambda one: one.heard[kind], seconds)

    async def _all(self, what: str, event: Callable[[Watcher], asyncio.Event], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for one in self.watchers:
                    await event(one).wait()
        behind = [one for one in self.watchers if not event(one).is_set()]
        lines = [f"{one.name}: {len(one.seen)} seen, faults {one.faults[:2]}" for one in behind[:8]]
        assert not behind, f"{len(behind)} clients are not {what} after {seconds:g} s:\n" + "\n".join(lines)
