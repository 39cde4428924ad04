"""Server-Sent Events on connections taken over from aiohttp, read as curl reads them: raw."""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib

import aiohttp
import pytest
from aiohttp import web

from hub.realtime import stream
from hub.realtime.frames import Frame, Profile
from hub.realtime.outflow import HIGH_WATER, LOW_WATER, USER_TIMEOUT_MS, Tick
from hub.realtime.stream import Streams
from hub.realtime.takeover import Taken
from tests.buses import eventually
from tests.certificates import Pair
from tests.realtime import EVERYONE, Raw, event, floor, on_both_loops


def unchunk(data: bytes) -> tuple[bytes, bool]:
    """The body, and whether its last chunk was there."""
    body = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        count = int(size, 16)
        assert rest[count : count + 2] == b"\r\n", "a chunk of another size than it says"
        if count == 0:
            assert rest == b"\r\n"
            return body, True
        body += rest[:count]
        data = rest[count + 2 :]
    return body, False


@on_both_loops
async def test_a_stream_has_a_proper_head_and_a_proper_end() -> None:
    async with floor() as served, served.raw_stream() as raw:
        lines = raw.head.decode().lower().split("\r\n")
        assert lines[0] == "http/1.1 200 ok"
        assert {"content-type: text/event-stream", "transfer-encoding: chunked"} <= set(lines)
        assert any(line.startswith("date: ") for line in lines)
        [link], [conn] = served.links, served.streamed
        link.send("retry: 2000\n\n")
        conn.send(event(7))
        conn.send(Frame.signal("heartbeat", [b'{"t":1}']))
        served.streams.comment("keep-alive")
        conn.close("lifetime", "old", reconnect=True)
        conn.send(event(8))
        body, ended = unchunk(await raw.read_all())
        assert ended
        assert body == (
            b"retry: 2000\n\n"
            b'id: e:7\nevent: booking.created\ndata: {"n": 7}\n\n'
            b'event: heartbeat\ndata: {"t":1}\n\n'
            b":keep-alive\n\n"
        )
        await eventually(lambda: served.log == ["closed"])
        assert len(served.streams) == 0


@on_both_loops
async def test_http_1_0_gets_no_chunks_and_the_end_of_the_connection() -> None:
    async with floor() as served, served.raw_stream(version="1.0") as raw:
        head = raw.head.decode().lower()
        assert "transfer-encoding" not in head
        assert "connection: close" in head
        assert "keep-alive" not in head
        served.fanout.publish(event(7), [EVERYONE])
        served.links[0].end()
        assert await raw.read_all() == b'id: e:7\nevent: booking.created\ndata: {"n": 7}\n\n'


@on_both_loops
async def test_a_compressed_stream_can_be_read_event_by_event() -> None:
    async with floor() as served:
        served.stream_options = {"compress": True}
        async with (
            served.raw_stream() as raw,
            served.http.get(f"http://127.0.0.1:{served.port}/stream") as easy,
        ):
            assert b"content-encoding: gzip" in raw.head.lower()
            await served.joined(2)
            gunzip, plain = zlib.decompressobj(31), b""
            for number in range(3):
                served.fanout.publish(event(number, size=500), [EVERYONE])
                expected = b'"n": %d' % number
                assert expected in await easy.content.readuntil(b"\n\n")
                size = await raw.read_until(b"\r\n")
                data = await raw.read_until(b"\r\n") if size else b""
                while len(data) < int(size, 16) + 2:
                    data += await raw.read_until(b"\r\n")
                assert len(data) < 400
                plain = gunzip.decompress(data[:-2])
                assert expected in plain
                assert plain.endswith(b"\n\n")
            for link in served.links:
                link.end()
            rest, ended = unchunk(await raw.read_all())
            assert ended
            assert gunzip.decompress(rest) == b""
            assert gunzip.eof
            assert await easy.content.read() == b""


@on_both_loops
async def test_who_does_not_fetch_the_end_of_a_stream_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "END_TIMEOUT", 0.1)
    async with floor() as served, served.raw_stream(receive_buffer=4096):
        [conn], [link] = served.streamed, served.links
        while not conn.crowded:
            conn.send(event(1, size=20_000))
            served.tick.flush()
        link.end()
        link.end()
        await eventually(lambda: served.log == ["closed"])


@pytest.mark.parametrize("farewell", [socket.SHUT_WR, None], ids=["half-close", "close"])
@on_both_loops
async def test_a_client_that_goes_is_noticed(farewell: int | None) -> None:
    async with floor() as served, served.raw_stream() as raw:
        await served.joined(1)
        if farewell is None:
            raw.close()
        else:
            raw.sock.shutdown(farewell)
        await eventually(lambda: served.log == ["closed"])
        assert served.streamed[0].closed
        assert len(served.streams) == 0


@on_both_loops
async def test_what_a_client_sends_on_its_stream_is_ignored() -> None:
    async with floor() as served, served.raw_stream() as raw:
        await raw.write(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 300_000)
        served.fanout.publish(event(1), [EVERYONE])
        assert b'data: {"n": 1}' in await raw.read_until(b"\n\n")


@on_both_loops
async def test_a_client_that_pipelined_behind_its_stream_is_still_noticed_when_it_goes() -> None:
    async with floor() as served:
        raw = await Raw.open(served.port)
        await raw.write(b"GET /stream HTTP/1.1\r\nHost: hub\r\n\r\n" * 500)
        await served.joined(1)
        raw.close()
        await eventually(lambda: served.log == ["closed"])


@on_both_loops
async def test_a_dialect_shows_what_its_renderer_knows_and_nothing_else() -> None:
    async with floor() as served:
        served.stream_profile = Profile("sse", dialect="message")
        async with served.raw_stream() as raw:
            known = Frame(
                type="a.b",
                wire="a",
                inbox=True,
                body=b"{}",
                cursor="e:2",
                render=lambda dialect: b'{"as":"%b"}' % dialect.encode(),
            )
            unknown = Frame(type="a.c", wire="a", inbox=True, body=b"{}", cursor="e:1", render=lambda _: None)
            for frame in (unknown, Frame.signal("notification:read", [b"1"]), event(1), known):
                served.fanout.publish(frame, [EVERYONE])
            served.links[0].end()
            body, _ = unchunk(await raw.read_all())
            assert body == b'id: e:2\ndata: {"as":"message"}\n\n'


@on_both_loops
async def test_shutdown_ends_every_stream_properly() -> None:
    async with floor() as served, served.raw_stream() as one, served.raw_stream() as two:
        await served.joined(2)
        served.fanout.publish(event(1), [EVERYONE])
        await served.streams.shutdown()
        for raw in (one, two):
            body, ended = unchunk(await raw.read_all())
            assert ended
            assert b'{"n": 1}' in body
        assert served.log == ["closed", "closed"]


@on_both_loops
async def test_the_kernel_is_told_to_give_up_on_peers_that_vanish() -> None:
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is None:
        pytest.skip("this platform has no TCP_USER_TIMEOUT")
    async with floor() as served, served.raw_stream(), served.socket():
        await served.joined(2)
        outflows = [conn.link.outflow for conn in (*served.connections(), *served.streamed)]
        for outflow in outflows:
            assert outflow is not None
            sock = outflow.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, option) == USER_TIMEOUT_MS
            assert outflow.transport.get_write_buffer_limits() == (LOW_WATER, HIGH_WATER)


@on_both_loops
async def test_a_header_with_a_line_break_is_not_sent() -> None:
    streams = Streams(Tick())

    async def handler(request: web.Request) -> web.StreamResponse:
        with pytest.raises(ValueError, match="line break"):
            streams.open(request, {"X": "a\r\nSet-Cookie: b"}, on_close=lambda: None)
        return web.Response(text="refused")

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    raw = await Raw.open(runner.addresses[0][1])
    try:
        assert b"200 OK" in await raw.request("/")
        assert len(streams) == 0
    finally:
        raw.close()
        await runner.cleanup()


@on_both_loops
async def test_a_stream_works_over_tls(certificate: Pair) -> None:
    streams = Streams(Tick())
    closed = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        link = streams.open(request, {"Content-Type": "text/event-stream"}, on_close=closed.set)
        link.connection("c", Profile("sse")).send(event(1))
        return Taken(200)

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*certificate)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server).start()
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"https://127.0.0.1:{runner.addresses[0][1]}/", ssl=certificate.trusting()) as answer,
        ):
            assert await answer.content.readuntil(b"\n\n") == (
                b'id: e:1\nevent: booking.created\ndata: {"n": 1}\n\n'
            )
            [link] = streams
            link.end()
            assert await answer.content.read() == b""
        await closed.wait()
    finally:
        await runner.cleanup()
