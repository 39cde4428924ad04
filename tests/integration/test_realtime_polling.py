"""Long polling and the upgrade to WebSocket: nothing lost, nothing twice, nothing out of order."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tests.buses import eventually
from tests.realtime import EVERYONE, Floor, Raw, event, floor, on_both_loops

BIG = 300_000


@on_both_loops
async def test_a_big_post_may_arrive_in_pieces() -> None:
    async with floor(max_payload=1_000_000) as served:
        url = await served.open_polling()
        body = b'42["m","' + b"x" * BIG + b'"]'
        raw = await Raw.open(served.port)
        try:
            path = url[url.index("/socket.io") :]
            await raw.write(
                f"POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body[:1000]
            )
            await eventually(lambda: served.sessions == 1)
            for start in range(1000, len(body), 70_001):
                await asyncio.sleep(0.01)  # a TCP segment of its own
                await raw.write(body[start : start + 70_001])
            assert (await raw.read_until(b"\r\n")).startswith(b"HTTP/1.1 200")
        finally:
            raw.close()
        await eventually(lambda: len(served.log) == 2)
        assert served.log[1] == "x" * BIG


@on_both_loops
async def test_a_chunked_post_counts_like_any_other() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'42["m",'
        yield b'"chunked"]\x1e42["m",'
        yield b"2]"

    async with floor() as served:
        url = await served.open_polling()
        assert await served.post(url, pieces()) == "ok"
        await eventually(lambda: served.log == ["connect", "chunked", 2])


@on_both_loops
async def test_a_body_that_does_not_arrive_ends_the_session() -> None:
    async with floor(body_timeout=0.2) as served:
        url = await served.open_polling()
        raw = await Raw.open(served.port)
        try:
            path = url[url.index("/socket.io") :]
            await raw.write(f"POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\n42".encode())
            assert (await raw.read_until(b"\r\n")).startswith(b"HTTP/1.1 408")
        finally:
            raw.close()
        await served.clean()


@on_both_loops
async def test_a_post_waits_while_the_handlers_are_behind() -> None:
    async with floor(max_inbox=10) as served:
        url = await served.open_polling()
        served.message_gate.clear()
        posting = asyncio.ensure_future(served.post(url, "\x1e".join(f'42["m",{n}]' for n in range(50))))
        await eventually(lambda: served.log == ["connect", 0])
        assert not posting.done()
        served.message_gate.set()
        assert await posting == "ok"
        assert served.log == ["connect", *range(50)]


@on_both_loops
async def test_an_upgrade_that_comes_to_nothing_leaves_the_session_on_polling() -> None:
    async with floor(upgrade_timeout=0.2) as served:
        url = await served.open_polling()
        socket_url = url.replace("transport=polling", "transport=websocket")
        async with served.http.ws_connect(socket_url) as ws:
            await ws.send_str("2probe")
            assert await ws.receive_str() == "3probe"
            served.fanout.publish(event(1), [EVERYONE])
            assert (
                await ws.receive(timeout=5)
            ).type is aiohttp.WSMsgType.CLOSE  # it was not finished in time
        assert await served.poll(url) == '42["booking.created",{"n": 1}]'
        async with served.http.ws_connect(socket_url) as ws:  # it may try again
            await ws.send_str("2probe")
            assert await ws.receive_str() == "3probe"
            await ws.send_str("5")
            await ws.send_str('421["echo",1]')
            assert await ws.receive_str(timeout=5) == "431[1]"
        assert served.log[0] == "connect"


@on_both_loops
async def test_a_second_websocket_for_a_session_is_accepted_and_closed() -> None:
    async with floor() as served:
        url = (await served.open_polling()).replace("transport=polling", "transport=websocket")
        async with served.http.ws_connect(url) as first:
            await refused(served, url)  # before the first one has probed
            await first.send_str("2probe")
            assert await first.receive_str() == "3probe"
            await refused(served, url)  # while the first one probes
            assert served.sio.eio.probes
            await first.send_str("5")
            await eventually(lambda: all(s.carrier.name == "websocket" for s in _sessions(served)))
            await refused(served, url)  # and when it carries the session
            await first.send_str('421["echo",1]')
            assert await first.receive_str() == "431[1]"


async def refused(served: Floor, url: str) -> None:
    async with served.http.ws_connect(url) as ws:
        assert (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE


def _sessions(served: Floor) -> list[Any]:
    return list(served.sio.eio.sessions.values())


class Client:
    """A client that upgrades slowly, polling all the while, and writes down what it gets."""

    def __init__(self, served: Floor, dice: random.Random) -> None:
        self.served = served
        self.dice = dice
        self.got: list[int] = []
        self.upgrading = False
        self.sent = 0
        self.on_polling = 0

    def take(self, wire: str) -> None:
        if wire.startswith('42["booking.created"'):
            self.got.append(json.loads(wire[2:])[1]["n"])

    async def pause(self, limit: float) -> None:
        await asyncio.sleep(self.dice.random() * limit)

    def message(self) -> str:
        self.sent += 1
        return f'42["m",{self.sent}]'

    async def poll_on(self, url: str) -> None:
        while not self.upgrading:
            for wire in (await self.served.poll(url)).split("\x1e"):
                self.take(wire)

    async def run(self, url: str, last: int) -> None:
        polling = asyncio.ensure_future(self.poll_on(url))
        for _ in range(self.dice.randrange(10)):
            assert await self.served.post(url, f"{self.message()}\x1e{self.message()}") == "ok"
        socket_url = url.replace("transport=polling", "transport=websocket")
        async with self.served.http.ws_connect(socket_url) as ws:
            await self.pause(0.1)
            await ws.send_str("2probe")
            await self.pause(0.1)
            assert await ws.receive_str() == "3probe"
            self.upgrading = True
            await polling  # the running poll comes back by itself
            await self.pause(0.1)
            self.on_polling = len(self.got)
            await ws.send_str("5")
            while not self.got or self.got[-1] != last:
                await ws.send_str(self.message())
                self.take(await ws.receive_str(timeout=10))


@on_both_loops
async def test_upgrades_under_load_lose_and_reorder_nothing() -> None:
    last, count = 800, 25
    async with floor(max_outbox_packets=2000) as served:
        dice = random.Random(7)
        urls = [await served.open_polling() for _ in range(count)]
        await served.joined(count)
        clients = [Client(served, random.Random(dice.random())) for _ in urls]
        running = [asyncio.ensure_future(c.run(url, last)) for c, url in zip(clients, urls, strict=True)]
        for number in range(1, last + 1):
            served.fanout.publish(event(number), [EVERYONE])
            await asyncio.sleep(0.001)
        await asyncio.gather(*running)
        assert all(client.got == list(range(1, last + 1)) for client in clients)
        assert sum(client.on_polling for client in clients) > count  # some came before the upgrade
        assert all(client.on_polling < last for client in clients)  # and some after
        sent = sum(client.sent for client in clients)
        await eventually(lambda: sum(isinstance(entry, int) for entry in served.log) == sent)
