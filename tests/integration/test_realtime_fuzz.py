"""Made-up clients over real sockets. Whatever they do: no traceback, nothing left behind, others unharmed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame as PeerFrame
from websockets.frames import Opcode

from tests.buses import eventually
from tests.realtime import EVERYONE, Floor, event, floor

QUICK = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
SOUND = st.sampled_from(
    [
        *("40", "41", "40/ws/notifications,", "41/ws/notifications,", '40{"a":1}', '42["m",1]', '42["echo"]'),
        *('427["echo",{"a":[]}]', '42/ws/notifications,1["echo",1]', "43", '431["x"]'),
        *("3", "2probe", "5", "6", "1", "4"),
    ]
)
GRAMMAR = st.text(st.sampled_from('0123456[]{}",-/:_ ametrueNaInfy\\u²\x1e\x00'), max_size=40)
TEXTS = SOUND | GRAMMAR | GRAMMAR.map(lambda text: "42" + text) | GRAMMAR.map(lambda text: "4" + text)
FRAMES = st.one_of(
    TEXTS.map(lambda text: PeerFrame(Opcode.TEXT, text.encode()).serialize(mask=True)),
    TEXTS.map(lambda text: PeerFrame(Opcode.TEXT, text.encode(), fin=False).serialize(mask=True)),
    st.binary(max_size=40).map(lambda data: PeerFrame(Opcode.CONT, data).serialize(mask=True)),
    st.binary(max_size=40).map(lambda data: PeerFrame(Opcode.BINARY, data).serialize(mask=True)),
    st.binary(max_size=40).map(lambda data: PeerFrame(Opcode.PING, data).serialize(mask=True)),
    st.sampled_from([b"\x88\x80\0\0\0\0", b"\x88\x82\0\0\0\0\x03\xe8", b"\x8a\x80\0\0\0\0"]),
    st.binary(max_size=20),
)


def survive(client: Callable[[Floor], Awaitable[None]]) -> None:
    """Run one client beside a well-behaved one."""

    async def run() -> None:
        async with floor(namespaces=["/", "/ws/notifications"]) as served, served.socket() as neighbour:
            await client(served)
            await eventually(lambda: len(served.connections()) == 1 and served.sessions == 1)
            served.fanout.publish(event(1), [EVERYONE])
            while "booking.created" not in await neighbour.receive_str(timeout=5):
                pass
            await neighbour.close()
            await served.clean()
            assert served.log.count("connect") == served.log.count("disconnect")

    with structlog.testing.capture_logs() as lines:
        asyncio.run(asyncio.wait_for(run(), 20))
    assert {line["action"] for line in lines} <= {"connection.refuse"}
    assert len(lines) <= 1


@QUICK
@given(st.lists(FRAMES, max_size=12), st.booleans())
def test_any_frames_on_a_websocket(frames: list[bytes], at_once: bool) -> None:
    async def client(served: Floor) -> None:
        async with served.raw_socket() as raw:
            for frame in [b"".join(frames)] if at_once else frames:
                try:
                    await raw.write(frame)
                except (BrokenPipeError, ConnectionResetError):
                    break  # it has been told to go
                await asyncio.sleep(0)

    survive(client)


@QUICK
@given(st.lists(st.lists(TEXTS, max_size=5).map("\x1e".join) | st.binary(max_size=60), max_size=6))
def test_any_bodies_on_polling(bodies: list[str | bytes]) -> None:
    async def client(served: Floor) -> None:
        url = await served.open_polling()
        for body in bodies:
            async with served.http.post(url, data=body) as answer:
                assert answer.status in (200, 400)
        await served.post(url, "1")

    survive(client)


NAMES = st.sampled_from(["EIO", "transport", "sid", "x"])
VALUES = st.sampled_from(["4", "3", "polling", "websocket", "", "abc"]) | st.text(max_size=10)


@QUICK
@given(
    st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "HEAD", "DELETE"]),
    st.dictionaries(NAMES, VALUES, max_size=4),
    st.sampled_from([{}, {"Origin": "null"}, {"Upgrade": "websocket", "Connection": "upgrade"}]),
)
def test_any_request(method: str, query: dict[str, str], headers: dict[str, str]) -> None:
    async def client(served: Floor) -> None:
        url = served.url.partition("?")[0]
        async with served.http.request(method, url, params=query, headers=headers) as answer:
            assert answer.status in (200, 204, 400)
            await answer.read()
        for sid, session in list(served.sio.eio.sessions.items()):
            if not served.sio.manager.carried(sid):
                await served.post(f"{served.url}polling&sid={session.sid}", "1")

    survive(client)
