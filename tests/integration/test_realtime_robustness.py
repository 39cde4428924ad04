"""Hostile and unlucky Socket.IO clients over real sockets: nothing stays behind and nobody else notices."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp.web_protocol import RequestHandler

from hub.realtime.server import Admission, ConnectRefused
from tests.buses import eventually
from tests.realtime import EVERYONE, Floor, Raw, event, floor, on_both_loops

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
async def test_a_polling_client_that_leaves_while_it_connects_is_no_ghost() -> None:
    async with floor() as served:
        served.connect_gate.clear()
        url = await served.open_polling(connect=False)
        assert await served.post(url, "40") == "ok"
        await eventually(lambda: served.log == ["connect"])
        assert await served.post(url, "1") == "ok"
        served.connect_gate.set()
        await served.clean()
        assert served.log == ["connect", "disconnect"]


@on_both_loops
async def test_nothing_counts_after_a_close_packet() -> None:
    async with floor() as served:
        url = await served.open_polling()
        await served.post(url, '42["m",1]\x1e1\x1e42["m",2]')
        await served.clean()
        assert served.log == ["connect", 1, "disconnect"]


@on_both_loops
async def test_a_cancelled_poll_ends_the_session() -> None:
    async with floor() as served:
        url = await served.open_polling()
        with pytest.raises(asyncio.TimeoutError):
            await served.http.get(url, timeout=aiohttp.ClientTimeout(total=0.1))
        await served.clean()
        assert served.log == ["connect", "disconnect"]


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
async def test_transports_without_a_namespace_are_dropped() -> None:
    async with floor(connect_timeout=0.2) as served:
        for _ in range(20):
            await served.open_polling(connect=False)
        async with served.socket(connect=False) as ws:
            assert served.sessions == 21
            assert await receive_close(ws) == 1000
        await eventually(lambda: not any(s.open for s in served.sio.eio.sessions.values()))


@on_both_loops
async def test_a_connection_that_leaves_its_last_namespace_is_dropped() -> None:
    async with floor(connect_timeout=0.2) as served, served.socket() as ws:
        await ws.send_str("41")
        await receive_close(ws)
        await served.clean()
        assert served.log == ["connect", "disconnect"]


@on_both_loops
async def test_a_connect_handler_that_fails_ends_the_connection() -> None:
    async with floor() as served:

        async def broken(sid: str, environ: Any, auth: Any) -> None:
            raise RuntimeError("bug")

        served.sio.on("connect", broken)
        with structlog.testing.capture_logs() as lines:
            async with served.socket() as ws:
                assert await ws.receive_str(timeout=5) == "41"
                await receive_close(ws)
            await served.clean()
        assert [line["action"] for line in lines] == ["connection.open"]


@on_both_loops
async def test_a_disconnect_handler_that_fails_leaves_no_ghost() -> None:
    async with floor() as served:

        async def broken(sid: str, reason: str) -> None:
            raise RuntimeError("bug")

        served.sio.on("disconnect", broken)
        async with served.socket():
            await served.joined(1)
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
async def test_authentication_comes_before_rooms() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def authenticate(namespace: str, environ: dict[str, Any], auth: Any) -> Admission:
        asked.set()
        await go.wait()
        assert namespace == "/"
        assert environ["REMOTE_ADDR"] == "127.0.0.1"
        if auth != {"token": "good"}:
            raise ConnectRefused("no", {"code": "token_invalid"})
        return Admission(reply={"pid": "p1"}, sid="s1", context="Ana")

    async with floor(authenticate=authenticate) as served, served.socket(connect=False) as ws:
        await ws.send_str('40{"token":"bad"}')
        await asked.wait()
        assert served.connections() == []
        served.fanout.publish(event(1), [EVERYONE])
        await served.sio.emit("secret", 1)
        go.set()
        assert await ws.receive_str(timeout=5) == '44{"message":"no","data":{"code":"token_invalid"}}'
        await ws.send_str('40{"token":"good"}')
        assert await ws.receive_str(timeout=5) == '40{"sid":"s1","pid":"p1"}'
        [conn] = served.connections()
        assert conn.context == "Ana"
        async with served.socket(connect=False) as other:  # the id it asks for is taken
            await other.send_str('40{"token":"good"}')
            answer = await other.receive_str(timeout=5)
            assert '"sid":"s1"' not in answer
            assert '"pid":"p1"' in answer


@on_both_loops
async def test_an_authentication_that_fails_is_a_refusal_not_a_leak() -> None:
    async def authenticate(namespace: str, environ: dict[str, Any], auth: Any) -> Admission:
        raise RuntimeError("the database is called Bertha")

    async with floor(authenticate=authenticate) as served, served.socket(connect=False) as ws:
        await ws.send_str("40")
        answer = await ws.receive_str(timeout=5)
        assert answer.startswith('44{"message"')
        assert "Bertha" not in answer


@on_both_loops
async def test_an_unknown_namespace_is_refused_and_the_connection_goes_on() -> None:
    async with floor(namespaces=["/", "/ws/notifications"]) as served, served.socket() as ws:
        await ws.send_str("40/nowhere,")
        assert await ws.receive_str(timeout=5) == '44/nowhere,{"message":"Invalid namespace"}'
        await ws.send_str("40/ws/notifications,")
        assert (await ws.receive_str(timeout=5)).startswith('40/ws/notifications,{"sid"')
        await served.joined(2)
        served.fanout.publish(event(1), [EVERYONE])
        got = {await ws.receive_str(timeout=5), await ws.receive_str(timeout=5)}
        assert got == {'42["booking.created",{"n": 1}]', '42/ws/notifications,["booking.created",{"n": 1}]'}


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
async def test_a_kick_ends_the_transport_and_a_poll_gets_the_last_word() -> None:
    async with floor() as served:
        async with served.socket() as ws:
            [conn] = served.connections()
            await served.sio.disconnect(conn.id)
            assert await ws.receive_str(timeout=5) == "41"
            assert await receive_close(ws) == 1000
        url = await served.open_polling()
        [conn] = served.connections()
        await served.sio.disconnect(conn.id)
        assert await served.poll(url) == "41"
        assert await served.poll(url) == "1"
        async with served.http.get(url) as answer:
            assert answer.status == 400


@on_both_loops
async def test_a_close_that_wants_the_client_back_sends_no_disconnect_packet() -> None:
    async with floor() as served, served.socket() as ws:
        await served.joined(1)
        [conn] = served.connections()
        served.fanout.publish(event(1), [EVERYONE])
        conn.close("token_expired", "too old", reconnect=True)
        served.fanout.publish(event(2), [EVERYONE])
        assert await ws.receive_str(timeout=5) == '42["booking.created",{"n": 1}]'
        assert await receive_close(ws) == 1001
        await served.clean()
        assert served.log == ["connect", "disconnect"]


@on_both_loops
async def test_a_close_that_does_not_want_the_client_back_kicks_it() -> None:
    async with floor() as served, served.socket() as ws:
        await served.joined(1)
        [conn] = served.connections()
        conn.close("revoked", "no more", reconnect=False)
        assert await ws.receive_str(timeout=5) == "41"
        await receive_close(ws)
        await served.clean()


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


@on_both_loops
async def test_shutdown_lets_everyone_come_back_and_runs_every_disconnect_handler() -> None:
    async with floor() as served:
        sockets = [await served.http.ws_connect(served.url + "websocket") for _ in range(20)]
        for ws in sockets:
            await ws.send_str("40")
        url = await served.open_polling()
        poll = asyncio.ensure_future(served.poll(url))
        await served.joined(21)
        await eventually(
            lambda: any(getattr(s.carrier, "waiter", 0) for s in served.sio.eio.sessions.values())
        )
        for ws in sockets:
            ws_task = asyncio.ensure_future(_until_closed(ws))
            ws_task.add_done_callback(lambda task: task.result())
        await served.sio.shutdown()
        assert served.log.count("disconnect") == 21
        assert served.forgotten()
        assert await poll == "6"  # packet 1 would tell it to stay away
        async with served.http.get(served.url + "polling") as answer:
            assert answer.status == 401


async def _until_closed(ws: aiohttp.ClientWebSocketResponse) -> None:
    while (await ws.receive()).type not in CLOSED:
        pass


@on_both_loops
async def test_aiohttp_lets_go_of_a_connection_that_was_taken_over() -> None:
    async with floor() as served:
        gc.collect()
        gc.disable()  # by reference counting alone
        try:
            sockets = [await served.http.ws_connect(served.url + "websocket") for _ in range(20)]
            await eventually(lambda: _handlers() <= 1)
            assert served.sessions == 20
        finally:
            gc.enable()
        for ws in sockets:
            await ws.close()
        await served.clean()


def _handlers() -> int:
    return sum(isinstance(item, RequestHandler) for item in gc.get_objects())


@on_both_loops
async def test_no_task_is_left_per_idle_connection() -> None:
    async with floor() as served:
        before = len(asyncio.all_tasks())
        raws = [await Raw.open(served.port) for _ in range(10)]
        try:
            for raw in raws:
                await raw.request(
                    "/socket.io/?EIO=4&transport=websocket",
                    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                )
                await raw.write(b"\x81\x82\0\0\0\0" + b"40")
            await served.joined(10)
            await eventually(lambda: len(asyncio.all_tasks()) <= before)
        finally:
            for raw in raws:
                raw.close()
        await served.clean()


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
