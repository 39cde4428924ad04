"""The realtime floor alone, served on a free port, with a log of what the application was told.

`floor(...)` starts it; `on_both_loops` runs a test on asyncio's loop and on uvloop's. The clients here are
as raw as possible: a library would repair what it should show.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import inspect
import json
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from hub.realtime.connection import Connection
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Frame, Profile
from hub.realtime.manager import RoomManager
from hub.realtime.outflow import Tick
from hub.realtime.plain import PlainSockets
from hub.realtime.server import SocketServer
from hub.realtime.stream import StreamLink, Streams
from hub.realtime.takeover import Taken
from tests.buses import eventually

EVERYONE = "acme/tenant:acme"
LIMIT = 30.0  # seconds a test may take


def on_both_loops(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Makes an async test two tests: uvloop's transports differ from asyncio's in ways that matter here."""

    @functools.wraps(test)
    def run(*args: Any, loop_factory: Callable[[], asyncio.AbstractEventLoop], **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(asyncio.wait_for(test(*args, **fixtures), LIMIT))

    parameters = [*inspect.signature(test).parameters.values()]
    extra = inspect.Parameter("loop_factory", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = inspect.Signature([*parameters, extra])  # type: ignore[attr-defined]
    del run.__wrapped__  # type: ignore[attr-defined]
    factories = [asyncio.new_event_loop, uvloop.new_event_loop]
    marked: Callable[..., None] = pytest.mark.parametrize(
        "loop_factory", factories, ids=["asyncio", "uvloop"]
    )(run)
    return marked


def event(number: int, *, type: str = "booking.created", inbox: bool = False, size: int = 0) -> Frame:
    """An event with a place in the log; `size` bytes of text make it big."""
    body = json.dumps({"n": number} | ({"text": "x" * size} if size else {})).encode()
    return Frame(type=type, wire=type, inbox=inbox, body=body, cursor=f"e:{number}")


class Floor:
    """One process's realtime floor. `log` is what the application's handlers were told, in order."""

    port: int
    url: str
    http: aiohttp.ClientSession

    def __init__(self, *, max_bytes: int, manager: Callable[[Fanout], RoomManager] | None, **options: Any):
        self.log: list[Any] = []
        self.connect_gate = asyncio.Event()  # connect handlers wait for it
        self.connect_gate.set()
        self.message_gate = asyncio.Event()  # so do those of the event "m"
        self.message_gate.set()
        self.fanout = Fanout(Tick(max_bytes=max_bytes))
        self.tick = self.fanout.tick
        options = {"connect_timeout": 5.0, "origin_allowed": lambda origin, request: True, **options}
        self.sio = SocketServer(
            self.fanout, manager=manager(self.fanout) if manager is not None else None, **options
        )
        self.streams = Streams(self.tick)
        self.plain = PlainSockets(self.tick)
        self.stream_profile = Profile("sse")
        self.stream_options: dict[str, Any] = {}
        self.streamed: list[Connection] = []
        self.links: list[StreamLink] = []
        self.app = web.Application()
        self.sio.attach(self.app)
        self.app.router.add_get("/stream", self._stream)
        for namespace in options.get("namespaces", ("/",)):
            self.sio.on("connect", self._connect_to(namespace), namespace=namespace)
            self.sio.on("disconnect", self._disconnect, namespace=namespace)
            self.sio.on("m", self._message, namespace=namespace)
            self.sio.on("echo", self._echo, namespace=namespace)

    # -- the application -----------------------------------------------------------------------------
    def _connect_to(self, namespace: str) -> Callable[..., Awaitable[None]]:
        async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
            self.log.append("connect")
            await self.connect_gate.wait()
            conn = self.sio.connection(sid, namespace)
            assert conn is not None
            self.fanout.join(conn, EVERYONE)

        return connect

    async def _disconnect(self, sid: str, reason: str) -> None:
        self.log.append("disconnect")

    async def _message(self, sid: str, *args: Any) -> None:
        self.log.append(args[0] if args else None)
        await self.message_gate.wait()

    async def _echo(self, sid: str, *args: Any) -> Any:
        return args

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        link = self.streams.open(
            request,
            {"Content-Type": "text/event-stream", "Connection": "keep-alive"},
            on_close=lambda: self._closed(conn),
            **self.stream_options,
        )
        conn = link.connection(secrets.token_hex(4), self.stream_profile)
        self.links.append(link)
        self.streamed.append(conn)
        self.fanout.join(conn, EVERYONE)
        return Taken(200)

    def _closed(self, conn: Connection) -> None:
        self.log.append("closed")
        self.fanout.drop(conn)

    # -- what tests ask ------------------------------------------------------------------------------
    @property
    def sessions(self) -> int:
        return len(self.sio.eio.sessions)

    def connections(self) -> list[Connection]:
        return list(self.sio.manager.clients.values())

    def forgotten(self) -> bool:
        """Whether nothing is left of any client."""
        sio = self.sio
        return not (
            sio.eio.sessions
            or sio.environ
            or sio.manager.clients
            or sio.eio.probes
            or self.fanout.rooms()
            or sio._unconnected
            or sio._binary_packet
        )

    async def joined(self, count: int) -> None:
        """Returns when that many connections are in the room of everyone."""
        await eventually(lambda: len(self.fanout.members(EVERYONE)) == count)

    async def clean(self) -> None:
        await eventually(self.forgotten)

    # -- clients -------------------------------------------------------------------------------------
    async def poll(self, url: str) -> str:
        async with self.http.get(url) as answer:
            return await answer.text()

    async def post(self, url: str, body: Any) -> str:
        async with self.http.post(url, data=body) as answer:
            return await answer.text()

    async def open_polling(self, *, connect: bool = True) -> str:
        """The URL of a new polling session, in namespace `/` if `connect`."""
        opened = await self.poll(self.url + "polling")
        url = f"{self.url}polling&sid={json.loads(opened[1:])['sid']}"
        if connect:
            assert await self.post(url, "40") == "ok"
            assert (await self.poll(url)).startswith('40{"sid"')
        return url

    @asynccontextmanager
    async def socket(
        self, *, connect: bool = True, auth: str = ""
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket that has read its OPEN packet, and the answer to CONNECT if `connect`."""
        async with self.http.ws_connect(self.url + "websocket", max_msg_size=0) as ws:
            assert (await ws.receive_str()).startswith('0{"sid"')
            if connect:
                await ws.send_str("40" + auth)
                assert (await ws.receive_str()).startswith('40{"sid"')
            yield ws

    @asynccontextmanager
    async def raw_socket(self, *, receive_buffer: int | None = None) -> AsyncIterator[Raw]:
        """A WebSocket by hand, in namespace `/`, with all power to behave badly."""
        raw = await Raw.open(self.port, receive_buffer=receive_buffer)
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            await raw.request(
                "/socket.io/?EIO=4&transport=websocket",
                f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {key}\r\n",
            )
            await raw.read_until(b"}")  # the OPEN packet
            await raw.write(b"\x81\x82\0\0\0\0" + b"40")
            await raw.read_until(b'40{"sid"')
            await raw.read_until(b"}")
            yield raw
        finally:
            raw.close()

    @asynccontextmanager
    async def raw_stream(
        self, headers: str = "", *, version: str = "1.1", receive_buffer: int | None = None
    ) -> AsyncIterator[Raw]:
        """A stream by hand; `head` is what came before its first message."""
        raw = await Raw.open(self.port, receive_buffer=receive_buffer)
        try:
            raw.head = await raw.request("/stream", headers, version=version)
            yield raw
        finally:
            raw.close()


class Raw:
    """A TCP client on a socket of its own, with no buffers and no manners but the test's."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""
        self.head = b""  # of an HTTP answer

    @classmethod
    async def open(cls, port: int, *, receive_buffer: int | None = None) -> Raw:
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return cls(sock)

    async def request(self, path: str, headers: str = "", *, version: str = "1.1") -> bytes:
        """Send a GET; the head of the answer."""
        await self.write(f"GET {path} HTTP/{version}\r\nHost: hub\r\n{headers}\r\n".encode())
        return await self.read_until(b"\r\n\r\n")

    async def write(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def read_some(self, limit: int = 65536) -> bytes:
        """What comes next; empty at the end. A reset counts as the end."""
        if self.received:
            data, self.received = self.received[:limit], self.received[limit:]
            return data
        with suppress(ConnectionResetError):
            return await asyncio.get_running_loop().sock_recv(self.sock, limit)
        return b""

    async def read_until(self, end: bytes) -> bytes:
        data = b""
        while end not in data:
            more = await self.read_some()
            assert more, f"the server hung up after {data[-200:]!r}"
            data += more
        cut = data.index(end) + len(end)
        self.received = data[cut:] + self.received
        return data[:cut]

    async def read_all(self) -> bytes:
        """Everything until the server hangs up."""
        data = b""
        while more := await self.read_some():
            data += more
        return data

    def close(self) -> None:
        self.sock.close()


@asynccontextmanager
async def floor(
    *, max_bytes: int = 512 << 10, manager: Callable[[Fanout], RoomManager] | None = None, **options: Any
) -> AsyncIterator[Floor]:
    """A floor with `SocketServer`'s options, served until the block is left."""
    served = Floor(max_bytes=max_bytes, manager=manager, **options)
    runner = web.AppRunner(served.app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.port = runner.addresses[0][1]
    served.url = f"http://127.0.0.1:{served.port}/socket.io/?EIO=4&transport="
    # Not the client's own name: python-engineio's are spared long payloads.
    async with aiohttp.ClientSession(headers={"User-Agent": "tests"}) as served.http:
        try:
            yield served
        finally:
            served.message_gate.set()
            served.connect_gate.set()
            await served.streams.shutdown()
            await served.plain.shutdown()
            await runner.cleanup()
            await served.sio.shutdown()
