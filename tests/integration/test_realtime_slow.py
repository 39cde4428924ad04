"""Readers that are slow, stopped or on polling: they are bounded or paced, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import AsyncExitStack

import aiohttp
import structlog

from hub.realtime.connection import Connection
from hub.realtime.frames import Frame
from tests.buses import eventually
from tests.realtime import EVERYONE, Floor, event, floor, on_both_loops

NUMBERS = re.compile(rb'"n": (\d+)')


async def read_numbers(ws: aiohttp.ClientWebSocketResponse, count: int) -> list[int]:
    return [json.loads((await ws.receive_str(timeout=10))[2:])[1]["n"] for _ in range(count)]


@on_both_loops
async def test_a_stopped_reader_is_cut_at_the_bound_and_the_others_get_everything() -> None:
    count, size = 400, 10_000
    async with (
        floor(max_bytes=300_000) as served,
        served.raw_socket(receive_buffer=4096) as stopped,
        AsyncExitStack() as stack,
    ):
        lively = [await stack.enter_async_context(served.socket()) for _ in range(5)]
        await served.joined(6)
        slow = served.connections()[0]
        link = slow.link.outflow
        assert link is not None
        worst, reading = 0, asyncio.gather(*(read_numbers(ws, count) for ws in lively))
        with structlog.testing.capture_logs() as lines:
            for number in range(count):
                served.fanout.publish(event(number, size=size), [EVERYONE])
                worst = max(worst, link.transport.get_write_buffer_size())
                await asyncio.sleep(0.001)  # the live readers get their turn
            assert await reading == [list(range(count))] * 5
            await eventually(lambda: served.log.count("disconnect") == 1)
        assert slow.closed
        assert worst < 300_000 + 2 * (size + 100)  # the bound, and one turn of the loop
        assert [line["action"] for line in lines] == ["connection.cut"]
        assert served.tick.cut == {"unsent": 1, "unpolled": 0, "replay": 0}
        assert len(served.fanout.members(EVERYONE)) == 5
        stopped.close()


@on_both_loops
async def test_a_stopped_stream_is_cut_and_the_others_get_everything() -> None:
    async with (
        floor(max_bytes=300_000) as served,
        served.raw_stream(receive_buffer=4096) as stopped,
        served.raw_stream() as live,
    ):
        await served.joined(2)
        reading = asyncio.ensure_future(live.read_until(b'"n": 399,'))
        for number in range(400):
            served.fanout.publish(event(number, size=10_000), [EVERYONE])
            await asyncio.sleep(0.001)
        assert [int(n) for n in NUMBERS.findall(await reading)] == list(range(400))
        await eventually(lambda: served.log == ["closed"])
        stopped.close()


@on_both_loops
async def test_a_polling_client_that_does_not_fetch_is_cut_by_bytes_and_by_packets() -> None:
    async with floor(max_bytes=100_000, max_outbox_packets=50) as served:
        await served.open_polling()
        await served.open_polling()
        await served.joined(2)
        big, small = served.connections()
        for number in range(12):
            big.send(event(number, size=10_000))
        for number in range(51):
            small.send(event(number))
        await eventually(lambda: served.log.count("disconnect") == 2)
        assert served.tick.cut == {"unsent": 0, "unpolled": 2, "replay": 0}
        await served.clean()


@on_both_loops
async def test_a_polling_client_that_fetches_gets_everything_in_order() -> None:
    async with floor(max_bytes=100_000, max_outbox_packets=50) as served:
        url = await served.open_polling()
        await served.joined(1)
        got: list[int] = []
        for burst in range(20):
            for number in range(burst * 40, burst * 40 + 40):
                served.fanout.publish(event(number), [EVERYONE])
            got += [int(n) for n in NUMBERS.findall((await served.poll(url)).encode())]
        assert got == list(range(800))


async def replay(conn: Connection, frames: list[Frame]) -> bool:
    for frame in frames:
        conn.send_now(frame)
        if conn.crowded and not await conn.drained():
            return False
    return True


async def check_replay(served: Floor, read: Callable[[], asyncio.Task[list[int]]]) -> None:
    """10 000 events with live ones in between: each once, in order, and little of it in memory."""
    await served.joined(1)
    [conn] = [*served.connections(), *served.streamed]
    conn.hold()
    past = [event(number, size=200) for number in range(10_000)]
    writing = asyncio.ensure_future(replay(conn, past))
    reading, worst = read(), 0
    live = 10_000
    while not writing.done():
        if live < 10_500:
            served.fanout.publish(event(live), [EVERYONE])
            live += 1
        outflow = conn.link.outflow
        if outflow is not None:
            worst = max(worst, outflow.transport.get_write_buffer_size())
        await asyncio.sleep(0.0005)
    assert await writing
    conn.release()
    for number in range(live, 11_000):
        served.fanout.publish(event(number), [EVERYONE])
        if conn.crowded:
            assert await conn.drained()
    assert await reading == list(range(11_000))
    assert worst < 300_000


@on_both_loops
async def test_a_big_replay_waits_for_a_slow_websocket() -> None:
    async with floor(max_bytes=400_000) as served, served.raw_socket(receive_buffer=4096) as raw:

        async def read() -> list[int]:
            got: list[int] = []
            rest = b""
            while len(got) < 11_000:
                data = rest + await raw.read_some(3000)
                whole = data.rfind(b"\x81")
                got += [int(n) for n in NUMBERS.findall(data[:whole])]
                rest = data[whole:]
                if b'"n": 10999}' in rest:
                    got.append(10999)
            return got

        await check_replay(served, lambda: asyncio.ensure_future(read()))


@on_both_loops
async def test_a_big_replay_waits_for_a_polling_client() -> None:
    async with floor(max_bytes=400_000) as served:
        url = await served.open_polling()

        async def read() -> list[int]:
            got: list[int] = []
            while len(got) < 11_000:
                got += [int(n) for n in NUMBERS.findall((await served.poll(url)).encode())]
            return got

        await check_replay(served, lambda: asyncio.ensure_future(read()))


@on_both_loops
async def test_a_replay_ends_when_its_reader_is_gone() -> None:
    async with floor(max_bytes=400_000) as served, served.raw_socket(receive_buffer=4096) as raw:
        await served.joined(1)
        [conn] = served.connections()
        writing = asyncio.ensure_future(replay(conn, [event(n, size=2000) for n in range(5000)]))
        await eventually(lambda: conn.crowded)
        raw.close()
        assert await writing is False


@on_both_loops
async def test_a_connection_held_for_too_long_is_closed_so_that_it_comes_back() -> None:
    async with floor() as served, served.socket() as ws:
        await served.joined(1)
        [conn] = served.connections()
        conn.hold()
        for number in range(1001):
            served.fanout.publish(event(number), [EVERYONE])
        message = await ws.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 1001
        assert served.tick.cut == {"unsent": 0, "unpolled": 0, "replay": 1}
        await served.clean()


@on_both_loops
async def test_what_waits_for_more_to_be_known_keeps_its_order_and_holds_up_nothing_else() -> None:
    async with floor() as served, served.socket() as ws:
        await served.joined(1)
        [conn] = served.connections()
        conn.hold()
        served.fanout.publish(event(1), [EVERYONE])
        served.fanout.publish(Frame.signal("first", []), [EVERYONE])
        conn.hold(only=lambda frame: frame.cursor is not None)
        served.fanout.publish(event(2), [EVERYONE])
        served.fanout.publish(Frame.signal("second", []), [EVERYONE])
        for name in ("first", "second"):
            assert f'"{name}"' in await ws.receive_str(timeout=5)
        conn.release()
        served.fanout.publish(event(3), [EVERYONE])
        assert await read_numbers(ws, 3) == [1, 2, 3]
