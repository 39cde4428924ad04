"""Node's stock socket.io-client with `recovery: true`, through a dropped transport and a process that dies.

Two real processes on one Valkey and one database: the one that holds the connections is killed with
SIGKILL, and the clients are themselves again on the other, without a hole and with nothing twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hub.settings import DEVELOPMENT_KEY
from tests.browser import bundles
from tests.hubs import HubCluster, token_for
from tests.living import Ear, Listener

SCRIPT = Path(__file__).with_name("recovery_client.mjs")
TENANT, USER = "stock", "42"
KINDS = [
    (namespace, transport)
    for namespace in ("/", "/ws/notifications")
    for transport in ("", "websocket", "polling")
]


class Node(Listener):
    """The client as it reports: `connect`, `upgrade`, `disconnect`, `ack`, and each event under its own name.
    `transport`: the only one that it may use; "": polling, and then WebSocket."""

    def __init__(self, process: asyncio.subprocess.Process, transport: str) -> None:
        super().__init__()
        self.process = process
        self.transport = transport

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            kind, *rest = json.loads(line)
            self.hear(*(rest if kind == "event" else (kind, *rest)))

    async def order(self, name: str, *args: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, *args]).encode() + b"\n")
        await self.process.stdin.drain()

    async def settled(self, connection: int) -> None:
        """Returns when its connection of that number has the transport it will keep. A server that dies
        between the end of polling and the change to WebSocket is not noticed by this client before a ping is
        missing."""
        if not self.transport:
            await self.wait("upgrade", count=connection)

    def numbers(self, event: str = "booking.created") -> list[int]:
        return [envelope["data"]["n"] for envelope in self.all(event)]

    def states(self) -> list[tuple[str, str, bool]]:
        """Of every connect: the id, the pid and whether it was a recovery."""
        return [(said["id"], said["pid"], said["recovered"]) for said in self.all("connect")]


@asynccontextmanager
async def node(url: str, namespace: str, transport: str) -> AsyncIterator[Node]:
    token = token_for(TENANT, USER, "ADMIN")
    process = await asyncio.create_subprocess_exec(
        *("node", str(SCRIPT), str(bundles.CLIENT / "package.json"), url, namespace, token, transport),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    client = Node(process, transport)
    reading = asyncio.create_task(client.read())
    try:
        await client.wait("connected")
        yield client
    finally:
        process.kill()
        await process.wait()
        await reading


async def send(url: str, *numbers: int, path: str = "/notifications") -> None:
    headers = {"Authorization": f"Bearer {DEVELOPMENT_KEY}", "X-Tenant-Id": TENANT}
    async with aiohttp.ClientSession(headers=headers) as http:
        for n in numbers:
            body = {"type": "booking.created", "to": f"user:{USER}", "data": {"n": n}}
            async with http.post(url + path, json=body) as answer:
                assert answer.status == 202, await answer.text()


@pytest.mark.skipif(not bundles.has_node(), reason=bundles.MISSING)
async def test_the_stock_client_is_itself_again_after_a_drop_and_after_a_crash(tmp_path: Path) -> None:
    bundles.install()
    async with HubCluster(tmp_path, hubs=2) as cluster, AsyncExitStack() as stack:
        here, there = cluster.urls
        clients = {
            f"{namespace} {transport or 'default'}": await stack.enter_async_context(
                node(here, namespace, transport)
            )
            for namespace, transport in KINDS
        }
        python = await stack.enter_async_context(Ear(here, token_for(TENANT, USER), recovery=True))
        await send(here, 1, 2)
        for client in clients.values():
            await client.wait("booking.created", lambda envelope: envelope["data"]["n"] == 2)
            await client.settled(1)
            await client.order("cut")
            await client.wait("disconnect")
        await send(here, 3, 4)
        for client in clients.values():
            await client.wait("connected", count=2)
            await client.settled(2)
            await client.order("go", there)
        await send(here, 5)
        await cluster.kill9(0)
        await send(there, 6, 7)
        for client in clients.values():
            await client.wait("connected", count=3)
        await send(there, 8)
        for name, client in clients.items():
            await client.wait("booking.created", lambda envelope: envelope["data"]["n"] == 8)
            [first, *others] = client.states()
            assert first[2] is False, name
            assert others == [(first[0], first[1], True)] * 2, name
            assert client.numbers() == client.numbers("notification:new") == list(range(1, 9)), name
            assert [said["recovered"] for said in client.all("connected")] == [False, True, True], name
            assert client.all("connect_error") in ([], ["xhr poll error"], ["websocket error"]), name
        python_heard = [item.args for item in python.heard if item.event == "booking.created"]
        assert [args[1:] for args in python_heard] == [(args[0]["cursor"],) for args in python_heard]


@pytest.mark.skipif(not bundles.has_node(), reason=bundles.MISSING)
async def test_the_stock_client_begins_anew_when_it_has_left(tmp_path: Path) -> None:
    bundles.install()
    async with HubCluster(tmp_path) as cluster, node(cluster.urls[0], "/", "") as client:
        await client.order("leave")
        await client.wait("disconnect")
        await client.order("enter")
        await client.wait("sync:reset")
        before, after = client.states()
        assert after[2] is False
        assert after[:2] != before[:2]
        assert [said["reason"] for said in client.all("sync:reset")] == ["invalid"]
        await client.order("cut")
        await client.wait("connected", count=3)
        assert client.states()[2] == (after[0], after[1], True)
