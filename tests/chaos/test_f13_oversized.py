"""F13: oversized, deep and explosive input, and one legal big request that arrives in pieces.

The first are refused for what they are and cost no memory to speak of; the legal one is heard.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from pathlib import Path

import aiohttp

from tests.buses import eventually
from tests.chaos.scale import MB, patience, report, scaled
from tests.chaos.stock import stock
from tests.chaos.targets import Target, under_fire
from tests.chaos.wires import Client
from tests.realtime import Raw

LIMIT = 400_000  # bytes of one message
LEGAL = 300_000
ROUNDS = scaled(5, 100)
PIECE_SECONDS = 0.05  # so that each is a TCP segment of its own

pytestmark = patience(60)


async def open_polling(http: aiohttp.ClientSession, port: int, token: str) -> str:
    """The path of a polling session that is in namespace `/`."""
    base, path = f"http://127.0.0.1:{port}", "/socket.io/?EIO=4&transport=polling"
    async with http.get(base + path, headers={"Authorization": f"Bearer {token}"}) as answer:
        path += "&sid=" + json.loads((await answer.text())[1:])["sid"]
    async with http.post(base + path, data="40") as answer:
        assert answer.status == 200
    async with http.get(base + path) as answer:
        assert '40{"sid"' in await answer.text()
    return path


async def post_in_two(port: int, path: str, body: bytes) -> bytes:
    """The head of the answer to a POST whose body arrives in two TCP segments."""
    raw = await Raw.open(port)
    try:
        head = f"POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Type: text/plain\r\n"
        await raw.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:1000])
        await asyncio.sleep(PIECE_SECONDS)
        await raw.write(body[1000:])
        return await raw.read_until(b"\r\n\r\n")
    finally:
        raw.close()


def ping_of(size: int) -> bytes:
    return b'42["ping","' + b"x" * size + b'"]'


async def test_a_legal_big_post_in_pieces_is_heard(tmp_path: Path) -> None:
    async with under_fire(tmp_path, HUB_MAX_MESSAGE_BYTES=str(LIMIT)) as target:
        path = await open_polling(target.http, target.port, target.token())
        assert (await post_in_two(target.port, path, ping_of(LEGAL))).startswith(b"HTTP/1.1 200")
        heard = ""
        async with asyncio.timeout(5):
            while '["pong"' not in heard:
                async with target.http.get(target.url + path) as answer:
                    heard += await answer.text()
        target.require_clean_log()


async def test_a_stock_server_says_ok_to_it_and_loses_it() -> None:
    async with stock() as served, aiohttp.ClientSession() as http:
        path = await open_polling(http, served.port, "")
        assert (await post_in_two(served.port, path, ping_of(LEGAL))).startswith(b"HTTP/1.1 200")
        assert (await post_in_two(served.port, path, ping_of(10)[:11] + b'"]')).startswith(b"HTTP/1.1 200")
        await eventually(lambda: len(served.heard) == 1)
        assert served.heard == [""], "the big one came through after all"


BOMBS = {
    "attachments": '459999999999-["m"]',
    "placeholders": '451-["m",{"_placeholder":true,"num":0}]',
    "deep": '42["ping",' + "[" * 50_000 + "]" * 50_000 + "]",
}


async def bomb_everything(target: Target) -> None:
    """Each kind once; all of them refused in the way that fits."""
    for wire in BOMBS.values():
        one = await Client(target.token()).open(target.port)
        one.say(wire)
        await asyncio.wait_for(one.over.wait(), 5)

    one = await Client(target.token()).open(target.port)
    one.say("4" + "x" * (LIMIT + 1))
    await asyncio.wait_for(one.over.wait(), 5)
    assert one.close_code == 1009

    path = await open_polling(target.http, target.port, target.token())
    async with target.http.post(target.url + path, data="4" * (LIMIT + 1)) as answer:
        assert answer.status == 413

    api = f"{target.url}/notifications"
    async with target.http.post(api, data=b'{"a":' * 50_000, headers=JSON) as answer:
        assert answer.status == 400
    async with target.http.post(api, data=io.BytesIO(b" " * (2 * MB)), headers=JSON) as answer:
        assert answer.status == 413
    async with target.http.post(api, data=EXPLOSIVE, headers=JSON | {"Content-Encoding": "gzip"}) as answer:
        assert answer.status in (400, 413, 415)


JSON = {"Content-Type": "application/json"}
EXPLOSIVE = gzip.compress(b" " * (100 * MB), 9)


async def test_bombs_are_refused_and_cost_no_memory(tmp_path: Path) -> None:
    async with under_fire(tmp_path, HUB_MAX_MESSAGE_BYTES=str(LIMIT)) as target:
        await bomb_everything(target)  # what is loaded and kept for good the first time
        before = target.rss
        for _ in range(ROUNDS):
            await bomb_everything(target)
        report("F13", rounds=ROUNDS, rss_grew_mb=round((target.rss - before) / MB, 1))
        assert target.rss <= before + 5 * MB
        await target.until_online(0, 10)
        target.require_clean_log()
