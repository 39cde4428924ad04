"""How Socket.IO connections come and go: authentication first, every end told exactly once, no ghosts."""

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
from tests.realtime import EVERYONE, Raw, event, floor, on_both_loops

CLOSED = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)


async def receive_close(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    """The close code; fails when anything else comes."""
    message = await ws.receive(timeout=5)
    assert message.type in CLOSED, message
    return ws.close_code


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
async def test_a_cancelled_poll_ends_the_session() -> None:
    async with floor() as served:
        url = await served.open_polling()
        with pytest.raises(asyncio.TimeoutError):
            await served.http.get(url, timeout=aiohttp.ClientTimeout(total=0.1))
        await served.clean()
        assert served.log == ["connect", "disconnect"]


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
async def test_a_client_that_goes_while_it_is_kicked_is_told_off_once() -> None:
    async with floor() as served, served.socket() as ws:
        leaving, gate = asyncio.Event(), asyncio.Event()

        async def slow(sid: str, reason: str) -> None:
            served.log.append(reason)
            leaving.set()
            await gate.wait()

        served.sio.on("disconnect", slow)
        [conn] = served.connections()
        kicking = asyncio.ensure_future(served.sio.disconnect(conn.id))
        await leaving.wait()
        await ws.close()
        await eventually(lambda: served.sessions == 0)
        again = asyncio.ensure_future(served.sio.disconnect(conn.id))
        gate.set()
        await kicking
        await again
        await served.clean()
        assert served.log == ["connect", "server disconnect"]


@on_both_loops
async def test_nothing_is_sent_to_a_namespace_while_it_is_being_left() -> None:
    async with floor(namespaces=["/", "/ws/notifications"]) as served, served.socket() as ws:
        await ws.send_str("40/ws/notifications,")
        await ws.receive_str()
        await served.joined(2)
        leaving, gate = asyncio.Event(), asyncio.Event()

        async def slow(sid: str, reason: str) -> None:
            leaving.set()
            await gate.wait()

        served.sio.on("disconnect", slow, namespace="/ws/notifications")
        await ws.send_str("41/ws/notifications,")
        await leaving.wait()
        assert served.fanout.publish(event(1), [EVERYONE]) == 2
        assert await ws.receive_str(timeout=5) == '42["booking.created",{"n": 1}]'
        gate.set()
        await ws.send_str('421["echo"]')
        assert await ws.receive_str(timeout=5) == "431[]"
        await served.joined(1)


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
            assert answer.status == 503


async def _until_closed(ws: aiohttp.ClientWebSocketResponse) -> None:
    while (await ws.receive()).type not in CLOSED:
        pass


@on_both_loops
async def test_aiohttp_lets_go_of_a_connection_that_was_taken_over() -> None:
    async with floor() as served:
        gc.collect()
        gc.disable()  # by reference counting alone
        others = _handlers()
        try:
            sockets = [await served.http.ws_connect(served.url + "websocket") for _ in range(20)]
            await eventually(lambda: _handlers() <= others + 1)
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
