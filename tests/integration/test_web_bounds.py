"""Caps on connections, at every door alike: refused with a reason, and let in as soon as another ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import pytest
import socketio
import structlog

from hub.services.session import Session
from hub.web import events
from hub.web.events import Reply
from tests.buses import eventually
from tests.living import Ear, Living, Start

HERE = {"trusted_proxies": ["127.0.0.1"]}  # so that a test may say where it comes from


class Refused(NamedTuple):
    status: int
    code: str
    seconds: int


Door = Callable[[Living, str, str], Any]


@asynccontextmanager
async def polling(hub: Living, address: str, token: str) -> AsyncIterator[Refused | None]:
    headers = {"X-Forwarded-For": address}
    url = "/socket.io/?EIO=4&transport=polling"
    async with hub.http.get(url, headers=headers) as answer:
        refused = await refusal(answer)
        opened = await answer.text()
    if refused is not None:
        yield refused
        return
    sid = opened.split('"')[3]
    async with hub.http.post(f"{url}&sid={sid}", data=connect(token), headers=headers):
        pass
    async with hub.http.get(f"{url}&sid={sid}", headers=headers) as answer:
        assert '40{"sid"' in await answer.text()
    yield None
    async with hub.http.post(f"{url}&sid={sid}", data="1", headers=headers):
        pass


@asynccontextmanager
async def websocket(hub: Living, address: str, token: str) -> AsyncIterator[Refused | None]:
    headers = {"X-Forwarded-For": address}
    url = "/socket.io/?EIO=4&transport=websocket"
    async with hub.http.get(url, headers=headers | UPGRADE) as answer:
        if (refused := await refusal(answer)) is not None:
            yield refused
            return
    async with hub.http.ws_connect(url, headers=headers) as ws:
        await ws.receive_str()
        await ws.send_str(connect(token))
        assert (await ws.receive_str(timeout=5)).startswith('40{"sid"')
        yield None


@asynccontextmanager
async def plain(hub: Living, address: str, token: str) -> AsyncIterator[Refused | None]:
    headers = {"X-Forwarded-For": address, "Authorization": f"Bearer {token}"}
    async with hub.http.get("/ws/notifications", headers=headers | UPGRADE) as answer:
        if (refused := await refusal(answer)) is not None:
            yield refused
            return
    async with hub.http.ws_connect("/ws/notifications", headers=headers) as ws:
        assert '"connected"' in await ws.receive_str(timeout=5)
        yield None


@asynccontextmanager
async def sse(hub: Living, address: str, token: str) -> AsyncIterator[Refused | None]:
    headers = {"X-Forwarded-For": address, "Authorization": f"Bearer {token}"}
    async with hub.http.get("/notifications/sse", headers=headers) as answer:
        refused = await refusal(answer)
        if refused is None:
            await answer.content.readuntil(b"connected")
        yield refused
        answer.close()


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
DOORS = [polling, websocket, plain, sse]


def connect(token: str) -> str:
    return f'40{{"token":"{token}"}}'


async def refusal(answer: aiohttp.ClientResponse) -> Refused | None:
    """What a door said instead of letting somebody in."""
    if answer.status in (101, 200):
        return None
    assert answer.content_type == "application/problem+json"
    shape = await answer.json(content_type=None)
    assert shape["retryAfter"] == int(answer.headers["Retry-After"])
    return Refused(answer.status, shape["code"], shape["retryAfter"])


async def until_let_in(door: Door, hub: Living, address: str, token: str) -> None:
    async with asyncio.timeout(10):
        while True:
            async with door(hub, address, token) as refused:
                if refused is None:
                    return


@pytest.fixture(params=DOORS, ids=lambda door: door.__name__)
def door(request: pytest.FixtureRequest) -> Door:
    found: Door = request.param
    return found


async def test_an_address_over_its_cap_is_refused_and_another_is_not(living: Start, door: Door) -> None:
    hub = await living(connections_per_address=2, **HERE)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        assert await first.enter_async_context(websocket(hub, "203.0.113.7", hub.token("1"))) is None
        assert await stack.enter_async_context(sse(hub, "203.0.113.7", hub.token("2"))) is None
        async with door(hub, "203.0.113.7", hub.token("3")) as refused:
            assert refused == Refused(429, "too_many_connections", 5)
        assert [code for _, code in hub.hub.traffic.refused.elements()] == ["too_many_connections"]
        async with door(hub, "203.0.113.8", hub.token("3")) as refused:
            assert refused is None
        await eventually(lambda: hub.hub.places.total == 2)
        await first.aclose()
        await until_let_in(door, hub, "203.0.113.7", hub.token("3"))
    await eventually(lambda: (hub.hub.places.total, hub.hub.places.handshakes) == (0, 0))


async def test_a_full_process_says_503_and_lets_in_when_one_has_left(living: Start, door: Door) -> None:
    hub = await living(connections=1, **HERE)
    async with websocket(hub, "203.0.113.7", hub.token("1")) as refused:
        assert refused is None
        async with door(hub, "203.0.113.8", hub.token("2")) as refused:
            assert refused == Refused(503, "process_full", 5)
    await until_let_in(door, hub, "203.0.113.8", hub.token("2"))


async def test_transports_that_join_nothing_fill_only_their_own_addresss_handshakes(
    living: Start, door: Door
) -> None:
    hub = await living(handshakes_per_address=3, connect_timeout=0.5, **HERE)
    url, headers = "/socket.io/?EIO=4&transport=websocket", {"X-Forwarded-For": "203.0.113.7"}
    async with AsyncExitStack() as stack:
        for _ in range(3):
            ws = await stack.enter_async_context(hub.http.ws_connect(url, headers=headers))
            assert (await ws.receive_str()).startswith("0{")
        async with door(hub, "203.0.113.7", hub.token("1")) as refused:
            assert refused == Refused(429, "too_many_connections", 5)
        async with door(hub, "203.0.113.8", hub.token("1")) as refused:
            assert refused is None
        await eventually(lambda: hub.hub.places.handshakes == 0)  # they were dropped meanwhile
        async with door(hub, "203.0.113.7", hub.token("1")) as refused:
            assert refused is None


async def test_a_client_in_a_namespace_is_no_handshake_any_more(living: Start, door: Door) -> None:
    hub = await living(handshakes=1, handshakes_per_address=1, **HERE)
    async with AsyncExitStack() as stack:
        for user in ("1", "2", "3"):
            assert await stack.enter_async_context(door(hub, "203.0.113.7", hub.token(user))) is None


async def test_a_stranger_without_a_token_keeps_no_place(living: Start) -> None:
    hub = await living(connections=1)
    for _ in range(3):
        async with hub.http.get("/notifications/sse") as answer:
            assert answer.status == 401
        async with hub.http.get("/ws/notifications", headers=UPGRADE) as answer:
            assert answer.status == 401
    assert hub.hub.places.total == 0


async def test_a_tenant_over_its_cap_is_refused_on_every_transport(living: Start) -> None:
    hub = await living(connections_per_tenant=1)
    async with Ear(hub.url, hub.token("1")) as first:
        second = Ear(hub.url, hub.token("2"))
        with pytest.raises(socketio.exceptions.ConnectionError):
            await second.open()
        refused = await second.wait("connect_error")
        assert refused["data"]["code"] == "too_many_connections"
        assert refused["data"]["retryAfter"] == 5.0
        async with sse(hub, "", hub.token("3")) as told:
            assert told == Refused(429, "too_many_connections", 5)
        async with plain(hub, "", hub.token("3")) as told:
            assert told == Refused(429, "too_many_connections", 5)
        async with sse(hub, "", hub.token("3", tenant="other")) as told:
            assert told is None
        await first.close()
    await until_let_in(sse, hub, "", hub.token("2"))


async def test_a_user_who_opens_all_at_once_gets_no_more_than_the_cap(living: Start) -> None:
    hub = await living(connections_per_user=3)
    ears = [Ear(hub.url, hub.token("7")) for _ in range(12)]
    await asyncio.gather(*(ear.open() for ear in ears), return_exceptions=True)
    try:
        assert sum(ear.client.connected and bool(ear.all("connected")) for ear in ears) == 3
        assert len(hub.hub.fanout.members("acme/user:7")) == 3
    finally:
        for ear in ears:
            await ear.close()


async def test_a_proxy_that_hides_its_clients_is_named_once_in_the_log(living: Start) -> None:
    hub = await living(connections_per_address=1)
    with structlog.testing.capture_logs() as lines:
        async with sse(hub, "203.0.113.7", hub.token("1")) as refused:
            assert refused is None
            for number in range(3):
                async with sse(hub, f"203.0.113.{number}", hub.token("2")) as refused:
                    assert refused is not None
    [warning] = [line for line in lines if line["log_level"] == "warning"]
    assert warning["action"] == "connection.proxy_untrusted"
    assert "HUB_TRUSTED_PROXIES" in warning["event"]
    assert "203.0.113" not in str(lines)


async def test_a_cap_that_refuses_behind_a_trusted_proxy_warns_of_nothing(living: Start) -> None:
    hub = await living(connections_per_address=1, **HERE)
    with structlog.testing.capture_logs() as lines:
        async with (
            sse(hub, "203.0.113.7", hub.token("1")),
            sse(hub, "203.0.113.7", hub.token("2")) as refused,
        ):
            assert refused is not None
    assert not [line for line in lines if line["log_level"] == "warning"]


# -- the time of one event ---------------------------------------------------------------------------


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Makes `getPresence` hang for ever. Set when its handler was told to give up."""
    given_up = asyncio.Event()

    async def hang(services: Any, session: Session, data: Any) -> Reply:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        raise AssertionError

    monkeypatch.setitem(events.EVENTS, "getPresence", hang)
    return given_up


async def test_an_event_that_hangs_is_refused_and_the_next_one_is_heard(
    living: Start, hanging: asyncio.Event
) -> None:
    hub = await living(event_timeout=0.2)
    async with Ear(hub.url, hub.token()) as ear:
        await ear.say("getPresence", {"room": "role:ADMIN"})
        await ear.say("ping")
        await ear.wait("pong")
        [refused] = ear.all("error")
        assert (refused["code"], refused["retryAfter"]) == ("timeout", 1.0)
        names = [item.event for item in ear.heard]
        assert names.index("error") < names.index("pong")
    assert hanging.is_set()


async def test_an_event_that_hangs_on_a_plain_websocket_is_refused_likewise(
    living: Start, hanging: asyncio.Event
) -> None:
    hub = await living(event_timeout=0.2)
    headers = {"Authorization": f"Bearer {hub.token()}"}
    async with hub.http.ws_connect("/ws/notifications", headers=headers) as ws:
        await ws.send_json({"event": "getPresence", "data": {}, "ack": 1})
        await ws.send_json({"event": "ping", "ack": 2})
        heard: list[Any] = []
        while not heard or heard[-1].get("ack") != 2:
            heard.append(await ws.receive_json(timeout=5))
    [refused] = [frame for frame in heard if frame["event"] == "error"]
    assert (refused["ack"], refused["data"]["code"]) == (1, "timeout")


async def test_a_client_that_leaves_while_its_event_hangs_is_forgotten(
    living: Start, hanging: asyncio.Event
) -> None:
    hub = await living(event_timeout=0.2)
    async with Ear(hub.url, hub.token()) as ear:
        await ear.say("getPresence")
        await eventually(lambda: len(hub.hub.sessions.all()) == 1)
    await eventually(lambda: hub.hub.places.total == 0 and not hub.hub.sessions.all())
