"""What programmers know of python-socketio's own server works the same on this layer."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
import structlog

from hub.realtime.engineio.requests import same_host
from tests.buses import eventually
from tests.realtime import EVERYONE, event, floor, on_both_loops


@on_both_loops
async def test_a_user_session_is_kept_per_namespace() -> None:
    async with floor(namespaces=["/", "/a"]) as served, served.socket() as ws:
        await ws.send_str("40/a,")
        await ws.receive_str()
        one, two = served.connections()
        async with served.sio.session(one.id) as session:
            session["name"] = "Ana"
        await served.sio.save_session(two.id, {"name": "Bob"}, namespace="/a")
        assert await served.sio.get_session(one.id) == {"name": "Ana"}
        assert await served.sio.get_session(two.id, namespace="/a") == {"name": "Bob"}


@on_both_loops
async def test_rooms_can_be_entered_listed_left_and_closed() -> None:
    async with floor(namespaces=["/", "/a"]) as served, served.socket() as ws, served.socket():
        await ws.send_str("40/a,")
        await ws.receive_str()
        await served.joined(3)
        sio = served.sio
        one, two = (conn.id for conn in served.connections() if conn.profile.namespace == "/")
        [elsewhere] = (conn.id for conn in served.connections() if conn.profile.namespace == "/a")
        for sid, namespace in ((one, "/"), (two, "/"), (elsewhere, "/a")):
            await sio.enter_room(sid, "lobby", namespace=namespace)
            assert set(sio.rooms(sid, namespace)) == {EVERYONE, "default/lobby"}
        participants = dict(sio.manager.get_participants("/", "lobby"))
        assert set(participants) == {one, two}
        assert set(participants.values()) == set(sio.eio.sessions)
        await sio.leave_room(two, "lobby")
        await sio.close_room("lobby")
        assert sio.rooms(one) == [EVERYONE]
        assert "default/lobby" in sio.rooms(elsewhere, "/a")
        assert set(sio.manager.get_namespaces()) == {"/", "/a"}
        with pytest.raises(ValueError, match="nobody"):
            await sio.enter_room("nobody", "lobby")
        assert sio.rooms("nobody") == []


@on_both_loops
async def test_a_client_can_be_asked_about() -> None:
    async with floor() as served, served.socket():
        await served.open_polling()
        by_transport = {served.sio.transport(conn.id): conn.id for conn in served.connections()}
        assert set(by_transport) == {"websocket", "polling"}
        environ = served.sio.get_environ(by_transport["websocket"])
        assert environ == {"QUERY_STRING": "EIO=4&transport=websocket", "REMOTE_ADDR": "127.0.0.1"}


@on_both_loops
async def test_headers_that_identify_a_client_are_kept_and_no_others() -> None:
    async with floor() as served:
        headers = {
            "Authorization": "Bearer x",
            "Cookie": "a=b",
            "Origin": "https://x.example",
            "X-Other": "y",
        }
        async with served.http.ws_connect(served.url + "websocket", headers=headers) as ws:
            await ws.send_str("40")
            await served.joined(1)
            [environ] = served.sio.environ.values()
            assert environ == {
                "QUERY_STRING": "EIO=4&transport=websocket",
                "REMOTE_ADDR": "127.0.0.1",
                "HTTP_AUTHORIZATION": "Bearer x",
                "HTTP_COOKIE": "a=b",
                "HTTP_ORIGIN": "https://x.example",
            }


@on_both_loops
async def test_background_tasks_and_waiting_are_the_loops_own() -> None:
    async with floor() as served:
        done = served.sio.eio.create_event()

        async def work(value: int, *, more: int) -> int:
            await served.sio.sleep(0)
            done.set()
            return value + more

        task = served.sio.start_background_task(work, 1, more=2)
        await done.wait()
        assert await task == 3


@on_both_loops
async def test_a_bytes_argument_goes_out_as_an_attachment() -> None:
    async with floor() as served, served.socket() as ws:
        [conn] = served.connections()
        await served.sio.emit("x", (b"\1\2", 7), to=conn.id)
        assert await ws.receive_str() == '451-["x",{"_placeholder":true,"num":0},7]'
        assert await ws.receive_bytes() == b"\1\2"


@on_both_loops
async def test_acknowledgements_that_never_come_are_bounded() -> None:
    async with floor(max_bytes=10 << 20) as served, served.socket() as ws:
        [conn] = served.connections()
        called: list[int] = []
        for number in range(1100):
            await served.sio.emit("x", to=conn.id, callback=lambda number=number: called.append(number))
        assert conn.acks is not None
        assert len(conn.acks) == 1000
        for id in (1, 101, 1100):
            await ws.send_str(f"43{id}[]")
        await eventually(lambda: len(conn.acks or ()) == 998)
        assert called == [100, 1099]


@on_both_loops
async def test_a_preflight_is_answered() -> None:
    async with floor() as served:
        headers = {"Origin": "https://x.example", "Access-Control-Request-Method": "POST"}
        async with served.http.options(served.url + "polling", headers=headers) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
            assert answer.headers["Access-Control-Allow-Origin"] == "https://x.example"


@on_both_loops
async def test_a_page_may_call_its_own_host_when_no_rule_is_given() -> None:
    async with floor(origin_allowed=same_host) as served:
        for origin, status in ((f"http://127.0.0.1:{served.port}", 200), ("http://127.0.0.1:1", 403)):
            async with served.http.get(served.url + "polling", headers={"Origin": origin}) as answer:
                assert answer.status == status


@on_both_loops
async def test_an_application_that_fails_to_hear_of_a_session_leaves_none() -> None:
    async with floor() as served:

        def broken(sid: str, environ: Any) -> None:
            raise RuntimeError("bug")

        served.sio.eio.on("connect", broken)
        with structlog.testing.capture_logs() as lines:
            async with served.http.get(served.url + "polling") as answer:
                assert answer.status == 500
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await served.http.ws_connect(served.url + "websocket")
        assert [line["action"] for line in lines] == ["session.open"] * 2
        assert served.sessions == 0


@on_both_loops
async def test_a_poll_that_comes_after_its_time_ends_the_session() -> None:
    async with floor() as served:
        url = await served.open_polling()
        [session] = served.sio.eio.sessions.values()
        session.awaiting_pong, session.deadline = True, asyncio.get_running_loop().time() - 1
        async with served.http.get(url) as answer:
            assert answer.status == 400
        await served.clean()


@on_both_loops
async def test_types_and_profile_can_change_while_a_client_is_connected() -> None:
    async with floor() as served, served.socket() as ws:
        [conn] = served.connections()
        conn.types = ("payment.*",)
        assert conn.types == ("payment.*",)
        served.fanout.publish(event(1), [EVERYONE])
        conn.profile = conn.profile._replace(recovery=True)
        served.fanout.publish(event(2, type="payment.due"), [EVERYONE])
        assert await ws.receive_str() == '42["payment.due",{"n": 2},"e:2"]'
