"""The quick way in: who comes by it notices nothing, and who may not come is answered as on the long way."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog

from hub.web.arrivals import Arrivals
from hub.web.front import Front
from tests.buses import eventually
from tests.living import Ear, Living, Start
from tests.realtime import Raw

QUERY = "/socket.io/?EIO=4&transport=websocket"


class Quick:
    """A port of a running hub with the quick way in; `long` counts who took the other one."""

    def __init__(self, living: Living) -> None:
        self.long = 0
        self.port = 0
        self.url = ""
        self._living = living

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Quick]:
        runner, hub = self._living._listening._runner, self._living.hub
        server = runner.server
        assert server is not None

        def onward() -> asyncio.Protocol:
            self.long += 1
            return server()

        front = Front(runner.app, hub.sockets)
        arrivals = Arrivals(onward, timeout=20.0, most=100, take=front.take)
        listening = await asyncio.get_running_loop().create_server(arrivals, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        try:
            yield self
        finally:
            listening.close()
            arrivals.close()

    async def ask(self, headers: str = "", query: str = QUERY) -> bytes:
        """The head of the answer to a WebSocket's handshake."""
        raw = await Raw.open(self.port)
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        try:
            return await raw.request(query, f"{upgrade}Sec-WebSocket-Key: {key}\r\n{headers}")
        finally:
            raw.close()


async def test_a_stock_client_on_a_websocket_never_becomes_a_request(living: Start) -> None:
    hub = await living()
    async with Quick(hub).open() as quick:
        async with Ear(quick.url, hub.token("42", "ADMIN")) as ear:
            await hub.notify("booking.created", "user:42")
            await ear.wait("booking.created")
            assert await ear.ask("getPresence") is not None
        assert quick.long == 0
        await eventually(lambda: not hub.hub.sockets.server.eio.sessions)


async def test_polling_and_its_upgrade_go_the_long_way(living: Start) -> None:
    hub = await living()
    async with Quick(hub).open() as quick:
        ear = Ear(quick.url, hub.token("42"))
        await ear.open(transports=["polling", "websocket"])
        assert ear.client.transport() == "websocket"
        assert quick.long > 0
        await ear.close()


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ("", QUERY, 101),
        ("Origin: http://hub\r\n", QUERY, 101),
        ("Origin: https://evil.example\r\n", QUERY, 403),
        ("Origin: null\r\n", QUERY, 403),
        ("", QUERY.replace("EIO=4", "EIO=3"), 400),
        ("", QUERY.replace("websocket", "carrier-pigeon"), 400),
        ("", QUERY + "&sid=unknown", 101),  # accepted, then closed
    ],
)
async def test_both_ways_judge_alike(living: Start, headers: str, query: str, status: int) -> None:
    hub = await living(cors_origins=["https://app.example"])
    async with Quick(hub).open() as quick:
        answers = [await quick.ask(headers, query), await quick.ask(f"{headers}Expect:\r\n", query)]
    assert [int(answer.split()[1]) for answer in answers] == [status, status]
    assert quick.long == (1 if status == 101 and "sid" not in query else 2)


async def test_the_caps_hold_on_the_quick_way(living: Start) -> None:
    hub = await living(connections_per_address=1)
    async with Quick(hub).open() as quick, Ear(quick.url, hub.token("42")):
        for more in ("", "Origin: http://hub\r\n"):
            answers = [await quick.ask(more), await quick.ask(f"{more}Expect:\r\n")]
            short, long = [_fields(answer) for answer in answers]
            assert short.pop("Connection") == "close"
            assert short == long
            assert short["status"] == "HTTP/1.1 429 Too Many Requests"
            assert int(short["Retry-After"]) > 0
        assert quick.long == 2


def _fields(answer: bytes) -> dict[str, str]:
    """The head of an answer, without what is never the same."""
    first, *lines = answer.decode().split("\r\n\r\n")[0].split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return {"status": first} | {name: fields[name] for name in fields.keys() - {"Date", "X-Request-Id"}}


async def test_the_log_has_the_same_line_of_both_ways(living: Start) -> None:
    hub = await living()
    async with Quick(hub).open() as quick:
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            await quick.ask("X-Request-Id: mine\r\n")
            await quick.ask("X-Request-Id: mine\r\nExpect:\r\n")
            await eventually(lambda: sum(line["event"] == "http.answered" for line in lines) == 2)
    assert quick.long == 1
    [short, long] = [{**line, "ms": 0} for line in lines if line["event"] == "http.answered"]
    assert short == long
    assert (short["status"], short["request_id"]) == (101, "mine")
