"""Engine.IO, protocol revision 4: one test for each thing its specification asks of a server.

https://github.com/socketio/engine.io-protocol. The server here echoes messages and knows no Socket.IO.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hub.realtime.engineio.server import EngineServer
from tests.buses import eventually
from tests.realtime import on_both_loops

CLOSED = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


class Echo:
    url: str
    http: aiohttp.ClientSession

    def __init__(self, **options: Any) -> None:
        self.server = EngineServer(max_payload=1_000_000, **options)
        self.server.on("message", self.server.send)
        self.reasons: list[str] = []
        self.server.on("disconnect", lambda sid, reason: self.reasons.append(reason))

    def address(self, query: str) -> str:
        return f"{self.url}?{query}"

    async def status(self, method: str, query: str, **more: Any) -> int:
        async with self.http.request(method, self.address(query), **more) as answer:
            return answer.status

    async def get(self, query: str) -> str:
        async with self.http.get(self.address(query)) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/plain; charset=UTF-8"
            return await answer.text()

    async def post(self, query: str, body: str) -> tuple[int, str]:
        async with self.http.post(self.address(query), data=body.encode()) as answer:
            return answer.status, await answer.text()

    async def polling(self) -> str:
        """The query of a new polling session."""
        opened = json.loads((await self.get("EIO=4&transport=polling"))[1:])
        return f"EIO=4&transport=polling&sid={opened['sid']}"

    def websocket(self, query: str = "EIO=4&transport=websocket") -> Any:
        return self.http.ws_connect(self.address(query))


@asynccontextmanager
async def echo(**options: Any) -> AsyncIterator[Echo]:
    served = Echo(**options)
    app = web.Application()
    served.server.attach(app)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/engine.io/"
    async with aiohttp.ClientSession() as served.http:
        try:
            yield served
        finally:
            await runner.cleanup()


# -- handshake -------------------------------------------------------------------------------------------
@on_both_loops
async def test_a_polling_handshake_offers_the_upgrade() -> None:
    async with echo(ping_interval=0.3, ping_timeout=0.2) as served:
        opened = await served.get("EIO=4&transport=polling")
        assert opened[0] == "0"
        fields = json.loads(opened[1:])
        assert isinstance(fields.pop("sid"), str)
        assert fields == {
            "upgrades": ["websocket"],
            "pingInterval": 300,
            "pingTimeout": 200,
            "maxPayload": 1_000_000,
        }


@on_both_loops
async def test_a_websocket_handshake_offers_none() -> None:
    async with echo() as served, served.websocket() as ws:
        fields = json.loads((await ws.receive_str())[1:])
        assert fields["upgrades"] == []


@pytest.mark.parametrize(
    "query",
    [
        *("", "transport=polling", "EIO=4", "EIO=3&transport=polling", "EIO=abc&transport=polling"),
        *("EIO=4&transport=abc", "EIO=4&transport=polling&sid=abc", "EIO=4&transport=websocket"),
    ],
)
@on_both_loops
async def test_a_bad_handshake_is_answered_400(query: str) -> None:
    async with echo() as served:
        assert await served.status("GET", query) == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@on_both_loops
async def test_only_get_opens_a_session(method: str) -> None:
    async with echo() as served:
        assert await served.status(method, "EIO=4&transport=polling") == 400
        assert not served.server.sessions


@pytest.mark.parametrize("query", ["transport=websocket", "EIO=4", "EIO=3&transport=websocket"])
@on_both_loops
async def test_a_bad_websocket_handshake_is_refused(query: str) -> None:
    async with echo() as served:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await served.websocket(query)
        assert refused.value.status == 400


@on_both_loops
async def test_a_websocket_for_an_unknown_session_is_closed() -> None:
    async with echo() as served, served.websocket("EIO=4&transport=websocket&sid=abc") as ws:
        assert (await ws.receive(timeout=5)).type in CLOSED


# -- messages --------------------------------------------------------------------------------------------
@on_both_loops
async def test_polling_carries_texts_and_base64_in_one_payload() -> None:
    async with echo() as served:
        query = await served.polling()
        assert await served.post(query, "4hello\x1ebAQIDBA==\x1e4ä") == (200, "ok")
        assert await served.get(query) == "4hello\x1ebAQIDBA==\x1e4ä"


@on_both_loops
async def test_a_poll_waits_for_the_next_message() -> None:
    async with echo() as served:
        query = await served.polling()
        poll = asyncio.ensure_future(served.get(query))
        await eventually(lambda: all(s.carrier.busy for s in served.server.sessions.values()))
        assert await served.post(query, "4hello") == (200, "ok")
        assert await poll == "4hello"


@on_both_loops
async def test_a_websocket_carries_texts_and_bytes() -> None:
    async with echo() as served, served.websocket() as ws:
        await ws.receive_str()
        for message in ("4hello", b"\1\2\3\4", "4ä"):
            await (ws.send_bytes(message) if isinstance(message, bytes) else ws.send_str(message))
            assert (await ws.receive(timeout=5)).data == message


@on_both_loops
async def test_a_method_that_is_none_is_answered_400_and_the_session_stays() -> None:
    async with echo() as served:
        query = await served.polling()
        assert await served.status("PUT", query) == 400
        assert await served.post(query, "4still here") == (200, "ok")
        assert await served.get(query) == "4still here"


@pytest.mark.parametrize("body", ["abc", "", "4ok\x1ex", "b%%%"])
@on_both_loops
async def test_a_bad_payload_is_answered_400_and_ends_the_session(body: str) -> None:
    async with echo() as served:
        query = await served.polling()
        assert (await served.post(query, body))[0] == 400
        assert await served.status("GET", query) == 400


@on_both_loops
async def test_a_bad_packet_closes_a_websocket() -> None:
    async with echo() as served, served.websocket() as ws:
        await ws.receive_str()
        await ws.send_str("abc")
        assert (await ws.receive(timeout=5)).type in CLOSED


@on_both_loops
async def test_two_polls_at_once_end_the_session() -> None:
    async with echo() as served:
        query = await served.polling()
        first = asyncio.ensure_future(served.status("GET", query))
        await eventually(lambda: all(s.carrier.busy for s in served.server.sessions.values()))
        assert await served.status("GET", query) == 400
        assert await first == 200
        assert await served.status("GET", query) == 400


# -- heartbeat -------------------------------------------------------------------------------------------
@on_both_loops
async def test_the_server_pings_and_the_client_stays_while_it_answers() -> None:
    async with echo(ping_interval=0.1, ping_timeout=2) as served, served.websocket() as ws:
        await ws.receive_str()
        query = await served.polling()
        for _ in range(3):
            assert await ws.receive_str(timeout=5) == "2"
            await ws.send_str("3")
            assert await served.get(query) == "2"
            assert await served.post(query, "3") == (200, "ok")
        assert len(served.server.sessions) == 2


@on_both_loops
async def test_who_does_not_answer_is_closed() -> None:
    async with echo(ping_interval=0.1, ping_timeout=0.1) as served, served.websocket() as ws:
        await ws.receive_str()
        query = await served.polling()
        assert await ws.receive_str(timeout=5) == "2"
        assert (await ws.receive(timeout=5)).type in CLOSED
        await eventually(lambda: served.reasons == ["ping timeout"] * 2)
        assert await served.status("GET", query) == 400


# -- close -----------------------------------------------------------------------------------------------
@on_both_loops
async def test_a_close_packet_ends_a_polling_session_and_gives_the_poll_back() -> None:
    async with echo() as served:
        query = await served.polling()
        poll = asyncio.ensure_future(served.get(query))
        await eventually(lambda: all(s.carrier.busy for s in served.server.sessions.values()))
        assert await served.post(query, "1") == (200, "ok")
        assert await poll == "6"
        assert await served.status("GET", query) == 400
        assert served.reasons == ["client disconnect"]


@on_both_loops
async def test_a_close_packet_ends_a_websocket() -> None:
    async with echo() as served, served.websocket() as ws:
        await ws.receive_str()
        await ws.send_str("1")
        assert (await ws.receive(timeout=5)).type in CLOSED
        await eventually(lambda: served.reasons == ["client disconnect"])


@on_both_loops
async def test_a_client_that_was_kicked_hears_everything_first() -> None:
    async with echo() as served, served.websocket() as ws:
        await ws.receive_str()
        query = await served.polling()
        for sid in list(served.server.sessions):
            await served.server.send(sid, "last words")
            await served.server.disconnect(sid)
        assert await ws.receive_str(timeout=5) == "4last words"
        assert (await ws.receive(timeout=5)).type in CLOSED
        assert await served.get(query) == "4last words"
        assert await served.get(query) == "1"


# -- upgrade ---------------------------------------------------------------------------------------------
@on_both_loops
async def test_a_session_moves_to_a_websocket_with_what_it_has_not_fetched() -> None:
    async with echo() as served:
        query = await served.polling()
        [sid] = served.server.sessions
        async with served.websocket(query.replace("polling", "websocket")) as ws:
            poll = asyncio.ensure_future(served.get(query))
            await eventually(lambda: all(s.carrier.busy for s in served.server.sessions.values()))
            await ws.send_str("2probe")
            assert await ws.receive_str(timeout=5) == "3probe"
            assert await poll == "6"
            await served.server.send(sid, "on the way")
            await ws.send_str("5")
            assert await ws.receive_str(timeout=5) == "4on the way"
            await ws.send_str("6")  # a stray packet that means nothing
            await ws.send_str("4hello")
            assert await ws.receive_str(timeout=5) == "4hello"
            assert await served.status("GET", query) == 400
            assert (await served.post(query, "4over the old way"))[0] == 400


@on_both_loops
async def test_a_websocket_that_skips_the_probe_gets_nothing() -> None:
    async with echo() as served:
        query = await served.polling()
        async with served.websocket(query.replace("polling", "websocket")) as ws:
            await ws.send_str("5")
            assert (await ws.receive(timeout=5)).type in CLOSED
        assert await served.post(query, "4still polling") == (200, "ok")
        assert await served.get(query) == "4still polling"
