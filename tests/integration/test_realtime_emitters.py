"""Other programs that emit with python-socketio's own write-only managers, and Redis coming and going."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import socketio

from hub.realtime import emitters
from hub.realtime.fanout import Fanout
from hub.realtime.manager import RoomManager
from tests.buses import eventually
from tests.realtime import Floor, event, floor
from tests.valkeys import Proxy, Valkey


def listening(url: str, channel: str, **options: Any) -> Callable[[Fanout], RoomManager]:
    return lambda fanout: RoomManager(fanout, url, channel=channel, **options)


@asynccontextmanager
async def backend_of(url: str, channel: str) -> AsyncIterator[socketio.AsyncRedisManager]:
    """Another program's manager."""
    manager = socketio.AsyncRedisManager(url, channel=channel, write_only=True)
    manager._redis_connect()
    try:
        yield manager
    finally:
        await manager.redis.aclose()


@asynccontextmanager
async def member(
    served: Floor, *rooms: str, namespace: str = "/"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket in these rooms (keys), with Redis being listened to."""
    prefix = "" if namespace == "/" else f"{namespace},"
    async with served.http.ws_connect(served.url + "websocket") as ws:
        await ws.receive_str()
        known = set(served.sio.manager.clients)
        await ws.send_str(f"40{prefix}")
        assert (await ws.receive_str()).startswith(f'40{prefix}{{"sid"')
        [sid] = set(served.sio.manager.clients) - known
        conn = served.sio.connection(sid, namespace)
        assert conn is not None
        for room in rooms:
            served.fanout.join(conn, room)
        await served.sio.manager.listening()
        yield ws


async def nothing_for(ws: aiohttp.ClientWebSocketResponse) -> bool:
    """Whether nothing was sent before the answer to a question asked now."""
    await ws.send_str('429["echo"]')
    return await ws.receive_str(timeout=5) == "439[]"


async def test_a_program_with_a_stock_manager_reaches_the_room_it_names(valkey_url: str, prefix: str) -> None:
    script = """
import socketio, sys
manager = socketio.RedisManager(sys.argv[1], channel=sys.argv[2], write_only=True)
manager.emit("x", {"a": 1}, room="role:ADMIN")
"""
    async with (
        floor(manager=listening(valkey_url, prefix)) as served,
        member(served, "default/role:ADMIN") as ws,
        member(served, "acme/role:ADMIN") as other,
    ):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, valkey_url, prefix)
        assert await process.wait() == 0
        assert await ws.receive_str(timeout=10) == '42["x",{"a":1}]'
        assert await nothing_for(other)


ROOMS = {
    "role:ADMIN": "default/role:ADMIN",
    "acme/role:ADMIN": "acme/role:ADMIN",
    "tenant:acme": "acme/tenant:acme",
    "acme/tenant:acme": "acme/tenant:acme",
    None: "default/tenant:default",
}


async def test_every_way_to_name_a_room_means_one_room(valkey_url: str, prefix: str) -> None:
    async with (
        floor(manager=listening(valkey_url, prefix), namespaces=["/", "/ws/notifications"]) as served,
        member(served, *set(ROOMS.values())) as ws,
    ):
        [conn] = served.connections()
        async with backend_of(valkey_url, prefix) as backend:
            for number, (named, meant) in enumerate(ROOMS.items()):
                for room in set(ROOMS.values()) - {meant}:
                    served.fanout.leave(conn, room)
                await backend.emit("x", number, room=named)
                assert await ws.receive_str(timeout=5) == f'42["x",{number}]'
                for room in ROOMS.values():
                    served.fanout.join(conn, room)
            await backend.emit("both", (1, "two"), room=["role:ADMIN", "tenant:acme", "nobody:here"])
            assert await ws.receive_str(timeout=5) == '42["both",1,"two"]'
            await backend.emit("bare", None, room=conn.id)
            assert await ws.receive_str(timeout=5) == '42["bare"]'
            await backend.emit("elsewhere", None, room="role:ADMIN", namespace="/ws/notifications")
            await backend.emit("skipped", None, room="role:ADMIN", skip_sid=conn.id)
            await backend.emit("last", None, room="role:ADMIN")
            assert await ws.receive_str(timeout=5) == '42["last"]'


async def test_a_namespace_gets_what_names_it(valkey_url: str, prefix: str) -> None:
    async with (
        floor(manager=listening(valkey_url, prefix), namespaces=["/", "/ws/notifications"]) as served,
        member(served, "default/user:1", namespace="/ws/notifications") as ws,
        backend_of(valkey_url, prefix) as backend,
    ):
        await backend.emit("x", {}, room="user:1")
        await backend.emit("y", {}, room="user:1", namespace="/ws/notifications")
        assert await ws.receive_str(timeout=5) == '42/ws/notifications,["y",{}]'


async def test_whoever_starts_the_listening_twice_hears_everything_once(valkey_url: str, prefix: str) -> None:
    async with floor(manager=listening(valkey_url, prefix)) as served:
        served.sio.manager.initialize()
        await served.sio.manager.listening()
        async with (
            member(served, "default/user:1") as ws,
            backend_of(valkey_url, prefix) as backend,
        ):
            for number in range(2):
                await backend.emit("x", number, room="user:1")
            assert [await ws.receive_str(timeout=5) for _ in range(2)] == ['42["x",0]', '42["x",1]']


async def test_a_program_can_kick_but_not_move_clients(valkey_url: str, prefix: str) -> None:
    async with floor(manager=listening(valkey_url, prefix)) as served, member(served) as ws:
        [conn] = served.connections()
        rooms = conn.rooms
        async with backend_of(valkey_url, prefix) as backend:
            await backend.enter_room(conn.id, "/", "acme/role:ADMIN")
            await backend.close_room("acme/tenant:acme", "/")
            await eventually(lambda: served.sio.manager.refused == 2)
            assert conn.rooms == rooms
            await backend.can_disconnect(conn.id, "/")
            assert await ws.receive_str(timeout=5) == "41"
            await served.clean()


NONSENSE: list[bytes] = [
    b"",
    b"\x80\x04]\x94.",  # a pickle
    b"[]",
    b'{"method":"emit"}',
    b'{"method":"emit","event":7,"data":[1]}',
    b'{"method":"emit","event":"x","data":[1],"room":{"a":1}}',
    b'{"method":"emit","event":"x","data":["a",""],"room":"user:1","binary":true}',
    b'{"method":"quit"}',
]


async def test_nonsense_on_the_channel_is_refused_and_what_follows_arrives(
    valkey_url: str, prefix: str
) -> None:
    async with (
        floor(manager=listening(valkey_url, prefix)) as served,
        member(served, "default/user:1") as ws,
        backend_of(valkey_url, prefix) as backend,
    ):
        for message in NONSENSE:
            await backend.redis.publish(prefix, message)
        await backend.emit("x", {}, room="user:1")
        assert await ws.receive_str(timeout=5) == '42["x",{}]'
        assert served.sio.manager.refused == len(NONSENSE)


async def test_unsigned_emitters_are_refused_where_the_bus_is_signed(valkey_url: str, prefix: str) -> None:
    async with (
        floor(manager=listening(valkey_url, prefix, stock_emitters=False)) as served,
        member(served, "default/user:1") as ws,
        backend_of(valkey_url, prefix) as backend,
    ):
        await backend.emit("x", {}, room="user:1")
        await eventually(lambda: served.sio.manager.refused == 1)
        assert await nothing_for(ws)


async def test_emitters_are_heard_again_after_redis_was_killed(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emitters, "RETRY_EVERY", 0.05)
    async with (
        floor(manager=listening(valkey.url, "c")) as served,
        member(served, "default/user:1") as ws,
    ):
        heard = served.sio.manager._emitters.subscribed
        for number in range(2):
            valkey.kill()
            await eventually(lambda: not heard.is_set())
            await served.sio.emit("local", number, to="user:1")  # does not need Redis
            served.fanout.publish(event(number), ["default/user:1"])
            assert await ws.receive_str(timeout=5) == f'42["local",{number}]'
            assert "booking.created" in await ws.receive_str(timeout=5)
            valkey.start()
            await heard.wait()
            async with backend_of(valkey.url, "c") as backend:
                await backend.emit("x", number, room="user:1")
                assert await ws.receive_str(timeout=5) == f'42["x",{number}]'


async def test_a_redis_that_hangs_is_noticed_and_left(
    valkey: Valkey, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emitters, "PING_EVERY", 0.1)
    monkeypatch.setattr(emitters, "RETRY_EVERY", 0.05)
    async with (
        floor(manager=listening(proxy.url, "c")) as served,
        member(served, "default/user:1") as ws,
    ):
        heard = served.sio.manager._emitters.subscribed
        proxy.freeze()
        await eventually(lambda: not heard.is_set())
        proxy.thaw()
        await heard.wait()
        async with backend_of(valkey.url, "c") as backend:
            await backend.emit("x", 1, room="user:1")
            assert await ws.receive_str(timeout=5) == '42["x",1]'


async def test_a_subscription_with_nothing_to_say_stays(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emitters, "PING_EVERY", 0.05)
    async with floor(manager=listening(valkey.url, "c")) as served, member(served, "default/user:1") as ws:
        heard = served.sio.manager._emitters.subscribed
        for _ in range(10):  # several pings
            await asyncio.sleep(0.05)
            assert heard.is_set()
        async with backend_of(valkey.url, "c") as backend:
            await backend.emit("x", 1, room="user:1")
            assert await ws.receive_str(timeout=5) == '42["x",1]'


async def test_without_redis_there_is_nothing_to_listen_to() -> None:
    async with floor(manager=RoomManager) as served, served.socket() as ws:
        [conn] = served.connections()
        await served.sio.enter_room(conn.id, "lobby")
        assert "default/lobby" in served.sio.rooms(conn.id)
        await served.sio.emit("x", {}, room="lobby")
        assert await ws.receive_str(timeout=5) == '42["x",{}]'
        await served.sio.leave_room(conn.id, "lobby")
        await served.sio.emit("x", {}, room="lobby")
        await served.sio.emit("y", {}, to=conn.id)
        assert await ws.receive_str(timeout=5) == '42["y",{}]'
