"""Clients that break the rules over real sockets are closed, leave nothing behind, and nobody notices."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
import structlog

from tests.buses import eventually
from tests.realtime import Floor, floor, on_both_loops

CLOSED = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)


DEEP = "[" * 34 + "]" * 34


MALFORMED: list[str | bytes] = [
    *("x", "", "0", "5", "2probe", "4", "4x", "47", "44{}", "42", "42{}", '42["m"', "42[1]", "42[]", "4/x"),
    *('42["m",NaN]', '42["m",Infinity]', '42["connect",{},{}]', '42["disconnect","x"]', '42["newListener"]'),
    *('42["removeListener"]', '42["disconnecting"]', '42["connect_error"]', '42["*"]', "4299999999999x[]"),
    *("42²[]", "43[]", "431{}", "40[]", '41{"a":1}', '4511-["m"]', '459999999999-["m"]', '450-["m"]', "45[]"),
    *('451-["m",{"_placeholder":true,"num":0}]', '461-1["m"]', f'42["m",{DEEP}]', "4" + "[" * 60_000, "40"),
    *('42["m","\\ud800"]', b"stray binary"),
]


async def receive_close(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    """The close code; fails when anything else comes."""
    message = await ws.receive(timeout=5)
    assert message.type in CLOSED, message
    return ws.close_code


@pytest.mark.parametrize("wire", MALFORMED, ids=lambda wire: repr(wire[:24]))
async def test_a_malformed_packet_closes_and_leaves_no_zombie(wire: str | bytes) -> None:
    with structlog.testing.capture_logs() as lines:
        async with floor() as served, served.socket() as ws:
            await served.joined(1)
            await (ws.send_bytes(wire) if isinstance(wire, bytes) else ws.send_str(wire))
            await receive_close(ws)
            await served.clean()
            assert served.log == ["connect", "disconnect"]
    assert [line["action"] for line in lines] == ["connection.refuse"]


@pytest.mark.parametrize(
    "wire", [wire for wire in MALFORMED if isinstance(wire, str)], ids=lambda w: repr(w[:24])
)
async def test_a_malformed_packet_in_a_post_is_answered_400(wire: str) -> None:
    async with floor() as served:
        url = await served.open_polling()
        await served.joined(1)
        async with served.http.post(url, data=wire) as answer:
            status = answer.status
        await served.clean()
        assert status == (400 if wire[:1] != "4" else 200)  # what is inside a message is found out later
        assert served.log == ["connect", "disconnect"]


@on_both_loops
async def test_a_bad_placeholder_closes() -> None:
    async with floor(max_attachments=1) as served, served.socket() as ws:
        await ws.send_str('451-["m",{"_placeholder":true,"num":7}]')
        await ws.send_bytes(b"x")
        await receive_close(ws)
        await served.clean()


@on_both_loops
async def test_text_in_place_of_an_attachment_closes_before_it_counts() -> None:
    async with floor(max_attachments=1) as served, served.socket() as ws:
        await ws.send_str('451-["m",{"_placeholder":true,"num":0}]')
        await ws.send_str('42["m",1]')
        await receive_close(ws)
        await served.clean()
        assert 1 not in served.log


@on_both_loops
async def test_nothing_counts_after_a_close_packet() -> None:
    async with floor() as served:
        url = await served.open_polling()
        await served.post(url, '42["m",1]\x1e1\x1e42["m",2]')
        await served.clean()
        assert served.log == ["connect", 1, "disconnect"]


@on_both_loops
async def test_two_polls_at_once_end_the_session() -> None:
    async with floor() as served:
        url = await served.open_polling()
        first = asyncio.ensure_future(served.poll(url))
        await eventually(lambda: any(s.carrier.waiter for s in served.sio.eio.sessions.values()))
        async with served.http.get(url) as second:
            assert second.status == 400
        assert await first == "1"
        await served.clean()


@on_both_loops
async def test_a_handler_that_fails_costs_the_client_nothing() -> None:
    async with floor() as served, served.socket() as ws:

        async def broken(sid: str, *args: Any) -> None:
            raise RuntimeError("bug")

        served.sio.on("broken", broken)
        await ws.send_str('42["broken"]')
        await ws.send_str('421["echo",7]')
        assert await ws.receive_str(timeout=5) == "431[7]"


@on_both_loops
async def test_a_pong_without_a_ping_does_not_keep_a_client() -> None:
    async with floor(ping_interval=0.3, ping_timeout=0.2) as served, served.socket() as ws:
        await ws.send_str("3")
        assert await ws.receive_str(timeout=5) == "2"
        assert await receive_close(ws) == 1000
        await served.clean()


@on_both_loops
async def test_a_message_over_the_limit_closes_with_1009_and_413() -> None:
    async with floor(max_payload=1000) as served:
        async with served.socket() as ws:
            await ws.send_str("4" * 2000)
            assert await receive_close(ws) == 1009
        url = await served.open_polling()
        async with served.http.post(url, data="4" * 2000) as answer:
            assert answer.status == 413
        async with served.http.get(url) as answer:
            assert answer.status == 400
        await served.clean()
        assert served.log == ["connect", "disconnect"] * 2


@on_both_loops
async def test_a_flood_is_slowed_down_and_not_buffered() -> None:
    async with floor(max_inbox=50) as served, served.socket() as ws:
        served.message_gate.clear()
        [session] = served.sio.eio.sessions.values()

        async def flood() -> None:
            for number in range(3000):
                await ws.send_str(f'42["m",{number}]' + " " * 2000)
            await ws.send_str('42["m","end"]')

        task = asyncio.ensure_future(flood())
        await eventually(lambda: session.inbox is not None and len(session.inbox) > 50)
        served.message_gate.set()
        worst = 0
        while served.log[-1] != "end":
            worst = max(worst, len(session.inbox or ()))
            await asyncio.sleep(0)
        await task
        assert served.log[1:] == [*range(3000), "end"]
        assert worst < 50 + 2 * 262144 // 2000  # the inbox, and what one read of the socket brings


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_foreign_page_is_refused_on_both_transports(origin: str) -> None:
    def allowed(origin: str, request: Any) -> bool:
        return origin == "https://good.example"

    async with floor(origin_allowed=allowed) as served:
        headers = {"Origin": origin}
        async with served.http.get(served.url + "polling", headers=headers) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await served.http.ws_connect(served.url + "websocket", headers=headers)
        async with served.http.get(
            served.url + "polling", headers={"Origin": "https://good.example"}
        ) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == "https://good.example"
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"


async def _ack_of(served: Floor, ws: aiohttp.ClientWebSocketResponse, wire: str) -> str:
    await ws.send_str(wire)
    return await ws.receive_str(timeout=5)


@on_both_loops
async def test_acks_go_both_ways_and_unknown_ones_are_ignored() -> None:
    async with floor() as served, served.socket() as ws:
        assert await _ack_of(served, ws, '420["echo",1,"two"]') == '430[1,"two"]'
        got: list[Any] = []
        [conn] = served.connections()
        await served.sio.emit("ask", {"x": 1}, to=conn.id, callback=lambda *args: got.append(args))
        assert await ws.receive_str(timeout=5) == '421["ask",{"x":1}]'
        with structlog.testing.capture_logs() as lines:
            for wire in ('430["never asked"]', '4377["neither"]', '431["yes",{"z":null}]', '431["again"]'):
                await ws.send_str(wire)
            assert await _ack_of(served, ws, '429["echo"]') == "439[]"
        assert got == [("yes", {"z": None})]
        assert lines == []
