"""Clients for the transport's scenarios, light enough for ten thousand of them in one process.

A `Client` speaks Socket.IO on one WebSocket, a `Reader` takes one SSE stream; both by hand, so that they can
also misbehave: stop reading, answer no ping, vanish without a word. They keep their cursor, and judge what
one client can judge alone: an event that comes twice, out of order or after a hole. The events of a scenario
all go to everyone, so offsets are contiguous for everybody.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import json
import os
import socket
import struct
import time
from datetime import datetime
from typing import Any, Self

import orjson

HANDSHAKE = base64.b64encode(b"0123456789abcdef").decode()
SO_ATTACH_FILTER = 26  # Linux, asm-generic/socket.h
DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF: return 0


class Refused(Exception):
    """The server did not let the client in. `str()` is its answer."""


class Client(asyncio.Protocol):
    """One client. Opened again it goes on by its cursor; `seen` holds the offsets of its whole life."""

    def __init__(self, token: str = "", *, address: str = "") -> None:
        self.token = token
        self.address = address  # what a proxy would say of it
        self.cursor: str | None = None
        self.offset: int | None = None
        self.seen: list[int] = []
        self.faults: list[str] = []
        self.delays: list[float] = []  # seconds from `data.at` of an event to its arrival
        self.replies: list[tuple[str, Any]] = []  # what is no event of the log
        self.pings = 0
        self.pongs = True
        self.pong_delay = 0.0  # seconds: a slow network
        self.close_code: int | None = None
        self.transport: Any = None
        self.live: asyncio.Future[None]
        self.over = asyncio.Event()
        self._buffer = b""
        self._headed = False
        self._news = asyncio.Event()

    # -- life ----------------------------------------------------------------------------------------
    async def open(self, port: int, *, source: str | None = None, receive_buffer: int | None = None) -> Self:
        """Connect, and return when the server has said `connected`. Raises `Refused` and OSError."""
        await self.begin(port, source=source, receive_buffer=receive_buffer)
        await self.live
        return self

    async def begin(self, port: int, *, source: str | None = None, receive_buffer: int | None = None) -> None:
        """Only send the request."""
        loop = asyncio.get_running_loop()
        self.live = loop.create_future()
        self.over = asyncio.Event()
        self._buffer, self._headed = b"", False
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            sock.bind((source, 0))
        try:
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await loop.create_connection(lambda: self, sock=sock)
        except BaseException:
            sock.close()
            raise

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request().encode())

    def request(self) -> str:
        return self._head("/socket.io/?EIO=4&transport=websocket") + (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {HANDSHAKE}\r\n\r\n"
        )

    def _head(self, path: str, version: str = "1.1") -> str:
        forwarded = f"X-Forwarded-For: {self.address}\r\n" if self.address else ""
        return f"GET {path} HTTP/{version}\r\nHost: hub\r\n{forwarded}"

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set()
        self._news.set()
        if not self.live.done():
            self.live.set_exception(Refused(f"hung up: {exc}"))
            self.live.exception()  # whether anybody asks is up to the scenario

    def close(self) -> None:
        """Leave without a closing handshake."""
        if self.transport is not None:
            self.transport.abort()

    def vanish(self) -> None:
        """From now on nothing reaches this client, and it acknowledges nothing: as if its cable was cut."""
        sock = self.transport.get_extra_info("socket")
        code = ctypes.create_string_buffer(DROP_ALL)
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(code)))

    def stop(self) -> None:
        """Read no more."""
        self.transport.pause_reading()

    def go_on(self) -> None:
        if not self.over.is_set():
            self.transport.resume_reading()

    def sip(self) -> None:
        """Read one byte while stopped."""
        if self.over.is_set():
            return
        try:
            self.data_received(os.read(self.transport.get_extra_info("socket").fileno(), 1))
        except OSError:
            pass

    def say(self, text: str) -> None:
        """Send a text message."""
        self.transport.write(frame(text.encode()))

    # -- in ------------------------------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._headed:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if head.split(b" ", 2)[1] not in (b"101", b"200"):
                if not self.live.done():
                    self.live.set_exception(Refused(self._buffer.decode()))
                    self.live.exception()
                self.transport.abort()
                return
            self._headed, self._buffer = True, rest
        self.take()

    def take(self) -> None:
        buffer, place = self._buffer, 0
        while len(buffer) - place >= 2:
            size, start = buffer[place + 1], place + 2
            if size == 126:
                if len(buffer) < start + 2:
                    break
                size, start = int.from_bytes(buffer[start : start + 2], "big"), start + 2
            elif size == 127:
                if len(buffer) < start + 8:
                    break
                size, start = int.from_bytes(buffer[start : start + 8], "big"), start + 8
            if len(buffer) < start + size:
                break
            opcode = buffer[place] & 15
            place = start + size
            if opcode == 8:
                self.close_code = int.from_bytes(buffer[start : start + 2], "big")
                self.transport.close()
                return
            self.message(buffer[start:place])
        self._buffer = buffer[place:]

    def message(self, wire: bytes) -> None:
        if wire.startswith(b"42["):
            name, *args = orjson.loads(wire[2:])
            self.event(name, args[0] if args else None)
        elif wire.startswith(b"2"):
            self.pings += 1
            self._news.set()
            if self.pongs and self.pong_delay:
                asyncio.get_running_loop().call_later(self.pong_delay, self.say, "3")
            elif self.pongs:
                self.say("3")
        elif wire.startswith(b"0"):
            auth = {"token": self.token, "events": "typed"}
            self.say("40" + json.dumps(auth | ({"cursor": self.cursor} if self.cursor else {})))
        elif wire.startswith(b"44"):
            self.live.set_exception(Refused(wire.decode()))
            self.live.exception()
            self.transport.abort()

    def event(self, name: str, payload: Any) -> None:
        if isinstance(payload, dict) and name == "connected":
            if self.cursor is not None and not payload["recovered"]:
                self.faults.append(f"not recovered: {payload['recoveryReason']}")
            if self.cursor is None:
                self.cursor = payload["cursor"]
                self.offset = int(self.cursor.partition(":")[2] or 0) if self.cursor else 0
            if not self.live.done():
                self.live.set_result(None)
        elif isinstance(payload, dict) and payload.get("cursor"):
            self.durable(payload)
        else:
            self.replies.append((name, payload))
        self._news.set()

    def durable(self, envelope: dict[str, Any]) -> None:
        self.cursor = envelope["cursor"]
        offset = int(envelope["cursor"].partition(":")[2])
        if offset != (self.offset or 0) + 1:
            self.faults.append(f"{offset} came after {self.offset}")
        self.offset = offset
        self.seen.append(offset)
        at = envelope["data"].get("at")
        if at is not None:
            self.delays.append(time.monotonic() - at)

    async def reaches(self, offset: int) -> None:
        """Wait until it has seen everything up to `offset`."""
        while (self.offset or 0) < offset:
            if self.over.is_set():
                raise Refused(f"the connection ended at {self.offset} of {offset}")
            self._news.clear()
            await self._news.wait()

    async def is_pinged(self, times: int) -> None:
        """Wait for so many more pings, without which a real client would think that the server is gone."""
        wanted = self.pings + times
        while self.pings < wanted:
            if self.over.is_set():
                raise Refused(f"the connection ended after {self.pings} pings")
            self._news.clear()
            await self._news.wait()

    async def hears(self, name: str) -> Any:
        """Wait for a reply of that name; its payload."""
        while True:
            for heard, payload in self.replies:
                if heard == name:
                    return payload
            if self.over.is_set():
                raise Refused(f"the connection ended before {name}: {self.replies[-3:]}")
            self._news.clear()
            await self._news.wait()

    async def asked_time(self) -> float:
        """What time it is for the hub, in seconds since 1970."""
        self.say('42["ping"]')
        stamp = str((await self.hears("pong"))["timestamp"])
        return datetime.fromisoformat(stamp).timestamp()


class Reader(Client):
    """One SSE stream; HTTP/1.0, so that there are no chunks to put together."""

    def request(self) -> str:
        place = f"Last-Event-ID: {self.cursor}\r\n" if self.cursor else ""
        head = self._head("/notifications/sse", "1.0")
        return f"{head}Authorization: Bearer {self.token}\r\n{place}\r\n"

    def take(self) -> None:
        *blocks, self._buffer = self._buffer.split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
            if b"data" in fields and b"event" in fields:
                self.event(fields[b"event"].decode(), orjson.loads(fields[b"data"]))


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A frame as clients send it, masked with zeros."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([0x80 | opcode, 0xFE]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 0xFF]) + size.to_bytes(8, "big")
    return head + bytes(4) + payload
