"""TCP connections that are slow to say what they want, in front of a real aiohttp server."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from hub.web.arrivals import MAX_HEAD, Arrival, Arrivals
from tests.buses import eventually
from tests.realtime import Raw, on_both_loops

HEAD = b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n"


@asynccontextmanager
async def arriving(*, timeout: float = 20.0, most: int = 100) -> AsyncIterator[tuple[Arrivals, int]]:
    """A server that answers `hello` to GET and what it was sent to POST; its arrivals and its port."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=await request.text() or "hello")

    app = web.Application()
    app.router.add_route("*", "/", hello)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    arrivals = Arrivals(runner.server, timeout=timeout, most=most)
    server = await asyncio.get_running_loop().create_server(arrivals, "127.0.0.1", 0)
    try:
        yield arrivals, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        arrivals.close()
        await runner.cleanup()


async def opened(stack: AsyncExitStack, port: int) -> Raw:
    raw = await Raw.open(port)
    stack.callback(raw.close)
    return raw


class Line:
    """Stands where a transport stands."""

    def __init__(self) -> None:
        self.ended = False
        self.written = b""

    def is_closing(self) -> bool:
        return self.ended

    def abort(self) -> None:
        self.ended = True

    close = abort

    def write(self, data: bytes) -> None:
        self.written += data


@on_both_loops
async def test_who_comes_to_stay_has_a_turn_and_holds_up_nobody_else() -> None:
    taken: list[bytes] = []

    def take(transport: asyncio.Transport, data: bytes) -> bool:
        taken.append(data.split()[1])
        return True

    def come(path: str) -> Line:
        line, arrival = Line(), arrivals()
        arrival.connection_made(line)  # type: ignore[arg-type]
        arrival.data_received(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        comers[path] = arrival
        return line

    def party(transport: object, head: bytes) -> str | None:
        return "crowd" if b"stay" in head else "other" if b"late" in head else None

    comers: dict[str, Arrival] = {}
    arrivals = Arrivals(asyncio.Protocol, timeout=20.0, most=4, take=take, stays=party, turn=0.0)
    lines = [come(f"/stay{number}") for number in range(5)]
    come("/go")
    assert taken == [b"/stay0", b"/go"]  # the others wait for the next turns
    comers["/stay1"].connection_lost(None)
    comers["/stay2"].data_received(b"x" * MAX_HEAD)
    assert lines[2].written.startswith(b"HTTP/1.1 431 ")
    come("/stay5")
    await asyncio.sleep(0)
    assert taken == [b"/stay0", b"/go", b"/stay3"]
    come("/late")
    for _ in range(2):
        await asyncio.sleep(0)
    assert taken[3:] == [b"/stay4", b"/late"]  # each party in its turn: before those who came first
    lines = [come(f"/stay{number}") for number in range(6, 9)]
    come("/stay9")  # there is no more room to wait in: others shall judge it
    assert taken[5:] == [b"/stay9"]
    arrivals.close()
    assert lines[0].ended
    await asyncio.sleep(0)
    assert taken[6:] == []


@on_both_loops
async def test_a_silent_connection_is_hung_up_on_and_one_that_began_is_told_408() -> None:
    async with arriving(timeout=0.2) as (arrivals, port), AsyncExitStack() as stack:
        silent, slow = await opened(stack, port), await opened(stack, port)
        await slow.write(b"GET / HTTP/1.1\r\nHost:")
        assert await silent.read_all() == b""
        answer = await slow.read_all()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"head_timeout"' in answer
        assert b"Connection: close" in answer
        await eventually(lambda: len(arrivals) == 0)


@on_both_loops
async def test_the_deadline_is_for_the_whole_head_and_not_for_each_byte() -> None:
    async with arriving(timeout=0.3) as (_, port), AsyncExitStack() as stack:
        raw = await opened(stack, port)
        reading = asyncio.ensure_future(raw.read_all())
        for byte in HEAD * 100:
            if reading.done():
                break
            await raw.write(bytes([byte]))
            await asyncio.sleep(0.05)
        assert (await reading).startswith(b"HTTP/1.1 408 ")


@on_both_loops
async def test_a_head_in_pieces_is_understood_and_the_connection_goes_on() -> None:
    async with arriving() as (arrivals, port), AsyncExitStack() as stack:
        raw = await opened(stack, port)
        for place in range(len(HEAD) - 1):
            await raw.write(HEAD[place : place + 1])
            await asyncio.sleep(0)
        await eventually(lambda: len(arrivals) == 1)
        await raw.write(HEAD[-1:])
        assert (await raw.read_until(b"hello")).startswith(b"HTTP/1.1 200")
        await raw.write(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 4\r\n\r\nbo")
        await raw.write(b"dy")
        assert (await raw.read_until(b"body")).startswith(b"HTTP/1.1 200")
        assert len(arrivals) == 0


@on_both_loops
async def test_a_head_without_an_end_is_refused_by_its_size() -> None:
    async with arriving() as (_, port), AsyncExitStack() as stack:
        raw = await opened(stack, port)
        line = b"X-More: " + b"x" * 1000 + b"\r\n"
        await raw.write(b"GET / HTTP/1.1\r\n")
        sent = 0
        while sent <= MAX_HEAD:
            await raw.write(line)
            sent += len(line)
        answer = await raw.read_until(b"}")
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert b'"code":"head_too_large"' in answer


@on_both_loops
async def test_what_is_no_http_is_refused_at_once() -> None:
    async with arriving() as (_, port), AsyncExitStack() as stack:
        for noise in (b"\x16\x03\x01\x02\x00\x01", b"\r\n\r\n\x00", b"{}\n\n"):
            raw = await opened(stack, port)
            await raw.write(noise)
            assert (await raw.read_all()).startswith(b"HTTP/1.1 400 ")


@on_both_loops
async def test_the_oldest_silent_connection_makes_room_for_one_that_speaks() -> None:
    async with arriving(most=3) as (arrivals, port), AsyncExitStack() as stack:
        silent = []
        for _ in range(3):
            silent.append(await opened(stack, port))
            await eventually(lambda: len(arrivals) == len(silent))
        late = await opened(stack, port)
        assert await silent[0].read_all() == b""
        await late.write(HEAD)
        assert (await late.read_until(b"hello")).startswith(b"HTTP/1.1 200")
        await eventually(lambda: len(arrivals) == 2)


def handlers() -> int:
    gc.collect()  # those of tests before this one
    return sum(isinstance(item, RequestHandler) for item in gc.get_objects())


@on_both_loops
async def test_a_silent_connection_costs_no_task_and_nothing_of_aiohttp() -> None:
    async with arriving() as (arrivals, port), AsyncExitStack() as stack:
        before = len(asyncio.all_tasks()), handlers()
        for _ in range(20):
            await opened(stack, port)
        await eventually(lambda: len(arrivals) == 20)
        assert (len(asyncio.all_tasks()), handlers()) == before


@on_both_loops
async def test_who_has_asked_for_nothing_is_hung_up_on_at_the_end() -> None:
    async with arriving() as (arrivals, port), AsyncExitStack() as stack:
        raw = await opened(stack, port)
        await eventually(lambda: len(arrivals) == 1)
        arrivals.close()
        assert await raw.read_all() == b""
