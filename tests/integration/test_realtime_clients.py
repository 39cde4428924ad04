"""Stock clients with their default options, from Node and from Python, on every transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import socketio

from hub.realtime.engineio.session import Reason
from hub.realtime.frames import Frame
from hub.realtime.server import Admission, ConnectRefused
from tests.browser import bundles
from tests.realtime import Floor, floor, on_both_loops

SCRIPT = Path(__file__).with_name("realtime_client.mjs")
NAMESPACES = ["/", "/ws/notifications"]


async def authenticate(namespace: str, environ: dict[str, Any], auth: Any) -> Admission:
    if isinstance(auth, dict) and auth.get("token") == "bad":
        raise ConnectRefused("no", {"code": "token_invalid"})
    return Admission()


@asynccontextmanager
async def playground() -> AsyncIterator[Floor]:
    """A floor whose clients can ask to be treated in all kinds of ways."""
    async with floor(
        namespaces=NAMESPACES, authenticate=authenticate, ping_interval=0.3, ping_timeout=2
    ) as served:
        sio = served.sio

        async def ask(sid: str, data: Any) -> None:
            async def answered(*args: Any) -> None:
                await sio.emit("answer", list(args), to=sid)

            await sio.emit("question", data, to=sid, callback=answered)

        async def publish(sid: str, count: int) -> None:
            conn = sio.connection(sid, NAMESPACES[1])
            assert conn is not None
            served.fanout.join(conn, "acme/topic:t")
            for number in range(count):
                served.fanout.publish(Frame.signal("n", [b"%d" % number]), ["acme/topic:t"])
                if number % 7 == 0:
                    await asyncio.sleep(0)
            served.fanout.publish(Frame.signal("end"), ["acme/topic:t"])

        async def drop(sid: str) -> None:
            conn = sio.connection(sid)
            assert conn is not None
            outflow = conn.link.outflow
            if outflow is not None:
                outflow.cut()
            else:  # what a polling client sees when the process is gone
                served.sio.eio.sessions[conn.link.sid].close(Reason.GONE)

        async def come_back(sid: str) -> None:
            conn = sio.connection(sid)
            assert conn is not None
            conn.close("draining", "restart", reconnect=True)

        async def kick(sid: str) -> None:
            await sio.disconnect(sid)

        sio.on("ask", ask)
        sio.on("publish", publish, namespace=NAMESPACES[1])
        for name, handler in {"drop": drop, "come back": come_back, "kick": kick}.items():
            sio.on(name, handler)
        yield served


@pytest.mark.skipif(not bundles.has_node(), reason=bundles.MISSING)
@pytest.mark.parametrize("transports", ["", "websocket", "polling"], ids=["default", "websocket", "polling"])
@on_both_loops
async def test_the_stock_client_of_node_finds_nothing_missing(transports: str) -> None:
    bundles.install()
    async with playground() as served:
        process = await asyncio.create_subprocess_exec(
            *("node", str(SCRIPT), str(bundles.CLIENT / "package.json")),
            *(f"http://127.0.0.1:{served.port}", transports),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        checks = [json.loads(line) for line in output.splitlines()]
        assert [check for check in checks if not check["ok"]] == []
        assert len(checks) == 16
        assert process.returncode == 0
        await served.clean()
        assert served.log.count("connect") == served.log.count("disconnect")


@pytest.mark.parametrize(
    "transports", [None, ["websocket"], ["polling"]], ids=["default", "websocket", "polling"]
)
@on_both_loops
async def test_the_stock_client_of_python_finds_nothing_missing(transports: list[str] | None) -> None:
    async with playground() as served:
        client = socketio.AsyncClient(reconnection_delay=0.05, randomization_factor=0)
        connected, heard, ended = asyncio.Event(), [], asyncio.Event()
        client.on("connect", connected.set)
        client.on("question", lambda data: ("so it is", data))
        answers: asyncio.Queue[Any] = asyncio.Queue()
        client.on("answer", answers.put_nowait)
        client.on("n", heard.append, namespace=NAMESPACES[1])
        client.on("end", ended.set, namespace=NAMESPACES[1])
        url = f"http://127.0.0.1:{served.port}"
        await client.connect(url, transports=transports, namespaces=NAMESPACES, wait_timeout=5)
        try:
            assert await client.call("echo", {"a": [1, None, "ä😀"]}) == {"a": [1, None, "ä😀"]}
            assert await client.call("echo", (1, "two", [3])) == (1, "two", [3])
            await client.emit("ask", {"x": 1})
            assert await answers.get() == ["so it is", {"x": 1}]
            await client.emit("publish", 300, namespace=NAMESPACES[1])
            await ended.wait()
            assert heard == list(range(300))
            assert client.transport() == ("polling" if transports == ["polling"] else "websocket")
            for event in ("drop", "come back"):
                connected.clear()
                await client.emit(event)
                await connected.wait()
                assert await client.call("echo", 1) == 1
        finally:
            await client.disconnect()
        await served.clean()
        assert served.log.count("connect") == served.log.count("disconnect") == 6


@on_both_loops
async def test_the_stock_client_of_python_is_told_why_it_is_refused() -> None:
    async with playground() as served:
        client = socketio.AsyncClient()
        reasons: list[Any] = []
        client.on("connect_error", reasons.append)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(f"http://127.0.0.1:{served.port}", auth={"token": "bad"})
        assert reasons == [{"message": "no", "data": {"code": "token_invalid"}}]
        await client.disconnect()
