"""Plain WebSockets: text both ways, in order, and a close code that says whether to come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hub.realtime import websocket
from hub.realtime.connection import Connection
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Frame, Profile
from hub.realtime.plain import PlainSockets
from hub.realtime.takeover import Taken
from hub.realtime.websocket import HandshakeError
from tests.buses import eventually
from tests.realtime import Raw, event, on_both_loops


class Plain:
    """A server with one path, which echoes. "slow" waits for the gate, "bug" fails."""

    port: int
    http: aiohttp.ClientSession

    def __init__(self, **options: Any) -> None:
        self.fanout = Fanout()
        self.sockets = PlainSockets(self.fanout.tick, **options)
        self.log: list[str] = []
        self.gate = asyncio.Event()
        self.connections: list[Connection] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        async def on_text(text: str) -> None:
            self.log.append(text)
            if text == "slow":
                await self.gate.wait()
            if text == "bug":
                raise RuntimeError("bug")
            link.send(text.upper())

        async def on_close() -> None:
            self.log.append("closed")
            self.fanout.drop(conn)

        try:
            link = self.sockets.open(request, on_text=on_text, on_close=on_close)
        except HandshakeError as error:
            return web.Response(status=400, text=str(error))
        conn = link.connection("c1", Profile("plain"))
        self.connections.append(conn)
        self.fanout.join(conn, "room")
        return Taken()

    def connect(self) -> Any:
        return self.http.ws_connect(f"http://127.0.0.1:{self.port}/", autoping=False)


@asynccontextmanager
async def plain(**options: Any) -> AsyncIterator[Plain]:
    served = Plain(**options)
    app = web.Application()
    app.router.add_get("/", served.handle)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as served.http:
        try:
            yield served
        finally:
            served.gate.set()
            await served.sockets.shutdown()
            await runner.cleanup()


@on_both_loops
async def test_messages_are_handled_in_order_and_the_end_comes_last() -> None:
    async with plain() as served:
        async with served.connect() as ws:
            for text in ("slow", "a", "b"):
                await ws.send_str(text)
            await eventually(lambda: served.log == ["slow"])
            await ws.close()
        served.gate.set()
        await eventually(lambda: served.log == ["slow", "a", "b", "closed"])
        assert len(served.sockets) == 0
        assert served.connections[0].closed


@on_both_loops
async def test_events_and_replies_arrive_in_the_order_they_were_sent() -> None:
    async with plain() as served, served.connect() as ws:
        await ws.send_str("x")
        assert await ws.receive_str() == "X"
        [conn] = served.connections
        served.fanout.publish(event(1), ["room"])
        conn.send(Frame.signal("heartbeat", [b'{"t":1}']))
        served.fanout.publish(Frame.signal("bye"), ["room"])
        assert [await ws.receive_str() for _ in range(3)] == [
            '{"event":"booking.created","data":{"n": 1},"cursor":"e:1"}',
            '{"event":"heartbeat","data":{"t":1}}',
            '{"event":"bye","data":null}',
        ]


@pytest.mark.parametrize(("reconnect", "code"), [(True, 1012), (False, 1008)])
@on_both_loops
async def test_the_close_code_says_whether_to_come_back(reconnect: bool, code: int) -> None:
    async with plain() as served, served.connect() as ws:
        await eventually(lambda: served.connections)
        [conn] = served.connections
        conn.send(event(1))
        conn.close("token_expired", "the token has expired", reconnect=reconnect)
        assert "booking.created" in await ws.receive_str()
        message = await ws.receive()
        assert (message.data, message.extra) == (code, "token_expired")
        await eventually(lambda: served.log == ["closed"])


@on_both_loops
async def test_who_does_not_answer_a_close_frame_is_cut_and_not_pinged_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT", 0.3)
    async with plain(ping_interval=0.1) as served:
        raw = await Raw.open(served.port)
        try:
            await raw.request(
                "/",
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            )
            served.connections[0].close("lifetime", "old", reconnect=True)
            assert await raw.read_all() == b"\x88\x0a\x03\xf4lifetime"
        finally:
            raw.close()


@on_both_loops
async def test_a_handler_that_fails_costs_the_client_nothing() -> None:
    async with plain() as served, served.connect() as ws:
        await ws.send_str("bug")
        await ws.send_str("x")
        assert await ws.receive_str() == "X"


@on_both_loops
async def test_a_binary_message_and_a_big_one_close() -> None:
    async with plain(max_message=100) as served:
        for payload, code in ((b"x", 1003), ("x" * 101, 1009)):
            async with served.connect() as ws:
                await (ws.send_bytes(payload) if isinstance(payload, bytes) else ws.send_str(payload))
                assert (await ws.receive()).data == code
        await eventually(lambda: served.log == ["closed", "closed"])


@on_both_loops
async def test_a_peer_that_answers_pings_stays_and_one_that_does_not_is_cut() -> None:
    async with (
        plain(ping_interval=0.05, ping_timeout=0.4) as served,
        served.connect() as lively,
        served.connect() as mute,
    ):
        pings = 0

        async def answer() -> None:
            nonlocal pings
            async for message in lively:
                if message.type is aiohttp.WSMsgType.PING:
                    pings += 1
                    await lively.pong(message.data)

        answering = asyncio.ensure_future(answer())
        await eventually(lambda: served.log == ["closed"])
        seen = pings
        await eventually(lambda: pings >= seen + 2)
        assert len(served.sockets) == 1
        await lively.close()
        await answering
        await mute.close()


@on_both_loops
async def test_pings_of_the_peer_are_answered() -> None:
    async with plain() as served, served.connect() as ws:
        await ws.ping(b"are you there")
        message = await ws.receive()
        assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, b"are you there")


@on_both_loops
async def test_what_is_no_handshake_is_refused() -> None:
    async with plain() as served:
        good = {
            "Connection": "keep-alive, Upgrade",
            "Upgrade": "WebSocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        bad = {
            "Connection": "close",
            "Upgrade": "h2c",
            "Sec-WebSocket-Version": "8",
            "Sec-WebSocket-Key": "x",
        }
        url = f"http://127.0.0.1:{served.port}/"
        for name, value in bad.items():
            async with served.http.get(url, headers=good | {name: value}) as answer:
                assert answer.status == 400, name
        async with served.http.get(url, headers=good) as answer:
            assert answer.status == 101
            # The example of RFC 6455, section 1.3.
            assert answer.headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@on_both_loops
async def test_shutdown_closes_everyone_and_runs_every_close_handler() -> None:
    async with plain() as served:
        sockets = [await served.connect() for _ in range(5)]
        await eventually(lambda: len(served.sockets) == 5)
        reading = [asyncio.ensure_future(ws.receive()) for ws in sockets]
        await served.sockets.shutdown()
        assert served.log == ["closed"] * 5
        assert {(await message).data for message in reading} == {1012}
