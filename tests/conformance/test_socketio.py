"""Socket.IO, protocol revision 5: one test for each thing its specification asks of a server.

https://github.com/socketio/socket.io-protocol. Attachments are allowed here; the hub itself refuses them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.realtime import Floor, floor, on_both_loops

CLOSED = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
CUSTOM = "/custom"


@asynccontextmanager
async def echo(**options: Any) -> AsyncIterator[Floor]:
    async with floor(namespaces=["/", CUSTOM], max_attachments=10, **options) as served:

        async def message(sid: str, *args: Any) -> None:
            await served.sio.emit("message-back", args, to=sid)

        async def message_with_ack(sid: str, *args: Any) -> Any:
            return args

        for namespace in ("/", CUSTOM):

            async def auth(sid: str, environ: Any, auth: Any, namespace: str = namespace) -> None:
                await served.sio.emit("auth", auth, to=sid, namespace=namespace)

            served.sio.on("connect", auth, namespace=namespace)
        served.sio.on("message", message)
        served.sio.on("message-with-ack", message_with_ack)
        yield served


# -- connect ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("sent", "prefix"), [("40", "40"), ("40/custom,", "40/custom,")])
@on_both_loops
async def test_a_client_connects_to_a_namespace(sent: str, prefix: str) -> None:
    async with echo() as served, served.socket(connect=False) as ws:
        await ws.send_str(sent)
        answer = await ws.receive_str(timeout=5)
        assert answer.startswith(prefix + "{")
        assert isinstance(json.loads(answer[len(prefix) :])["sid"], str)


@on_both_loops
async def test_the_connect_handler_gets_what_the_client_sent_after_it_was_answered() -> None:
    async with echo() as served, served.socket(connect=False) as ws:
        await ws.send_str('40/custom,{"token":"abcd"}')
        assert (await ws.receive_str(timeout=5)).startswith('40/custom,{"sid"')
        assert await ws.receive_str(timeout=5) == '42/custom,["auth",{"token":"abcd"}]'


@on_both_loops
async def test_ids_differ_between_namespaces() -> None:
    async with echo() as served, served.socket(connect=False) as ws:
        ids = set()
        for prefix in ("40", "40/custom,"):
            await ws.send_str(prefix)
            ids.add(json.loads((await ws.receive_str(timeout=5))[len(prefix) :])["sid"])
            await ws.receive_str(timeout=5)
        assert len(ids) == 2


@on_both_loops
async def test_an_unknown_namespace_is_answered_with_an_error() -> None:
    async with echo() as served, served.socket(connect=False) as ws:
        await ws.send_str("40/random")
        assert await ws.receive_str(timeout=5) == '44/random,{"message":"Invalid namespace"}'


@pytest.mark.parametrize("packet", ["4abc", '40"text"', "40[]", "40{", '42["m"]garbage'])
@on_both_loops
async def test_a_bad_packet_instead_of_connect_closes(packet: str) -> None:
    async with echo() as served, served.socket(connect=False) as ws:
        await ws.send_str(packet)
        assert (await ws.receive(timeout=5)).type in CLOSED


@on_both_loops
async def test_who_does_not_connect_is_closed_in_time() -> None:
    async with echo(connect_timeout=0.1) as served, served.socket(connect=False) as ws:
        assert (await ws.receive(timeout=5)).type in CLOSED


# -- disconnect ------------------------------------------------------------------------------------------
@on_both_loops
async def test_a_client_leaves_one_namespace_and_stays_in_the_other() -> None:
    async with echo() as served, served.socket() as ws:
        assert await ws.receive_str(timeout=5) == '42["auth"]'
        await ws.send_str("40/custom,")
        assert (await ws.receive_str(timeout=5)).startswith("40/custom,{")
        assert await ws.receive_str(timeout=5) == '42/custom,["auth"]'
        await ws.send_str("41/custom,")
        await ws.send_str('42["message","still here"]')
        assert await ws.receive_str(timeout=5) == '42["message-back","still here"]'
        assert [conn.profile.namespace for conn in served.connections()] == ["/"]


@on_both_loops
async def test_an_event_for_a_namespace_it_is_not_in_does_nothing() -> None:
    async with echo() as served, served.socket() as ws:
        await ws.receive_str(timeout=5)
        await ws.send_str('42/custom,["message","x"]')
        await ws.send_str('42["message","y"]')
        assert await ws.receive_str(timeout=5) == '42["message-back","y"]'


# -- events ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ('42["message",1,"2",{"3":[true]}]', '42["message-back",1,"2",{"3":[true]}]'),
        ('42["message"]', '42["message-back"]'),
        ('42456["message-with-ack",1,"2",{"3":[false]}]', '43456[1,"2",{"3":[false]}]'),
        ('420["message-with-ack"]', "430[]"),
    ],
)
@on_both_loops
async def test_events_and_acknowledgements_are_echoed(sent: str, answer: str) -> None:
    async with echo() as served, served.socket() as ws:
        await ws.receive_str(timeout=5)
        await ws.send_str(sent)
        assert await ws.receive_str(timeout=5) == answer


@on_both_loops
async def test_attachments_travel_both_ways() -> None:
    placeholders = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
    async with echo() as served, served.socket() as ws:
        await ws.receive_str(timeout=5)
        await ws.send_str(f'452-["message",{placeholders}]')
        await ws.send_bytes(b"\1\2\3")
        await ws.send_bytes(b"\4\5\6")
        assert await ws.receive_str(timeout=5) == f'452-["message-back",{placeholders}]'
        assert [await ws.receive_bytes(timeout=5) for _ in range(2)] == [b"\1\2\3", b"\4\5\6"]


@on_both_loops
async def test_attachments_are_acknowledged_with_attachments() -> None:
    async with echo() as served, served.socket() as ws:
        await ws.receive_str(timeout=5)
        await ws.send_str('451-789["message-with-ack",{"_placeholder":true,"num":0}]')
        await ws.send_bytes(b"\1\2\3")
        assert await ws.receive_str(timeout=5) == '461-789[{"_placeholder":true,"num":0}]'
        assert await ws.receive_bytes(timeout=5) == b"\1\2\3"


@pytest.mark.parametrize("packet", ["42{}", "42[]", "42[{}]", '42["a"', '42abc["a"]', "43[]", '43"x"', "4¹"])
@on_both_loops
async def test_a_bad_event_closes(packet: str) -> None:
    async with echo() as served, served.socket() as ws:
        await ws.receive_str(timeout=5)
        await ws.send_str(packet)
        assert (await ws.receive(timeout=5)).type in CLOSED
