"""Stock clients of every kind hear one series of events alike: the same ids, the same order, nothing twice.

Node's socket.io-client and Python's on both namespaces, on every transport, curl, a terminal's WebSocket
client, and a browser's EventSource. None of them knows anything of the hub beyond its address and a token.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import socketio

from hub.settings import DEVELOPMENT_KEY
from tests.browser import bundles, chromium
from tests.hubs import HubCluster, token_for

TENANT, USER = "stock", "42"
NAMESPACES = ("/", "/ws/notifications")
SCRIPT = Path(__file__).with_name("stock_client.mjs")
TERMINAL = Path(__file__).with_name("ws_client.mjs")
NO_CURL = "the tests with curl did not run: there is no curl"
LAST = "system.maintenance"
MINE = f"user:{USER}"
SERIES: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("/notifications", {"type": "booking.created", "to": MINE, "data": {"n": n}}) for n in range(12)),
    ("/notifications", {"type": "NEW_BOOKING", "to": ["role:ADMIN", MINE, f"tenant:{TENANT}"]}),
    ("/notifications", {"type": "nearby-job", "to": f"tenant:{TENANT}", "message": "Ä 🛎 \u2028 \n done"}),
    ("/events", {"type": "job.nearby", "to": "role:ADMIN", "data": {"lat": 1.5, "deep": [[{}]]}}),
    ("/notifications", {"type": "review.created", "to": "user:somebody-else"}),
    ("/notifications", {"type": "made.up", "to": MINE, "exclude": "user:7"}),
    ("/notifications", {"type": LAST, "to": f"tenant:{TENANT}"}),
)
WIRE = ("booking.created", "nearby-job", "made.up", LAST)  # every name the series can have


@dataclass
class Heard:
    """What one client has got, in order: the event's name and its envelope."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    upgraded: asyncio.Event = field(default_factory=asyncio.Event)
    transports: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def hear(self, name: str, args: Sequence[Any]) -> None:
        if name == "connected":
            self.joined.set()
        elif name in {"connect_error", "disconnect", "error"}:
            self.faults.append(f"{name} {args}")
        elif name in {*WIRE, "notification:new"}:
            if len(args) != 1:
                self.faults.append(f"{name} came with {len(args)} arguments")
            self.events.append((name, args[0]))
            if name == LAST:
                self.ended.set()

    def ids(self, *, generic: bool) -> list[str]:
        return [envelope["id"] for name, envelope in self.events if (name == "notification:new") is generic]


async def lines_of(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    assert process.stdout is not None
    async for line in process.stdout:
        yield line.decode().rstrip("\n")


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            process.kill()
        await process.communicate()


@asynccontextmanager
async def reading(task: Any) -> AsyncIterator[None]:
    running = asyncio.create_task(task)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def node(url: str, namespace: str, transport: str) -> AsyncIterator[Heard]:
    heard = Heard()
    address = url if namespace == "/" else url + namespace
    home = str(bundles.CLIENT / "package.json")
    more = [transport] if transport else []

    async def read() -> None:
        async for line in lines_of(process):
            now, name, *args = json.loads(line)
            heard.transports.add(now)
            if name == "upgraded":
                heard.upgraded.set()
            heard.hear(name, args)

    token = token_for(TENANT, USER, "ADMIN")
    async with program("node", str(SCRIPT), home, address, token, *more) as process, reading(read()):
        yield heard


@asynccontextmanager
async def python(url: str, namespace: str) -> AsyncIterator[Heard]:
    heard = Heard()
    client = socketio.AsyncClient(reconnection=False)
    client.on("*", lambda name, *args: heard.hear(name, args), namespace=namespace)
    await client.connect(url, auth={"token": token_for(TENANT, USER, "ADMIN")}, namespaces=[namespace])
    try:
        yield heard
    finally:
        await client.disconnect()


@asynccontextmanager
async def curl(url: str) -> AsyncIterator[Heard]:
    heard = Heard()

    async def read() -> None:
        name = data = ""
        async for line in lines_of(process):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data = line.removeprefix("data: ")
            elif not line and data:
                heard.hear(name, [json.loads(data)])
                name = data = ""

    headers = [
        part
        for header in (
            f"Authorization: Bearer {token_for(TENANT, USER, 'ADMIN')}",
            "Accept: text/event-stream",
            "Cache-Control: no-cache",
        )
        for part in ("-H", header)
    ]
    async with program("curl", "-sN", *headers, f"{url}/notifications/sse") as process, reading(read()):
        yield heard


@asynccontextmanager
async def terminal(url: str) -> AsyncIterator[Heard]:
    """As `wscat -c` does it."""
    heard = Heard()

    async def read() -> None:
        async for line in lines_of(process):
            frame = json.loads(line)
            if frame["event"] in WIRE and frame.get("cursor") != frame["data"]["cursor"]:
                heard.faults.append(f"the cursor beside {frame['event']} is {frame.get('cursor')}")
            heard.hear(frame["event"], [frame["data"]])

    address = url.replace("http", "ws", 1) + f"/ws/notifications?token={token_for(TENANT, USER, 'ADMIN')}"
    home = str(bundles.CLIENT / "package.json")
    async with program("node", str(TERMINAL), home, address) as process, reading(read()):
        yield heard


@asynccontextmanager
async def eventsource(url: str) -> AsyncIterator[Heard]:
    heard = Heard()
    async with chromium.launch() as browser:
        page = await browser.new_page()
        await page.goto(url)
        await page.expose_function("hear", lambda name, data: heard.hear(name, [json.loads(data)]))
        await page.evaluate(
            """([address, names]) => {
                 const source = new EventSource(address);
                 for (const name of names) source.addEventListener(name, (event) => hear(name, event.data));
               }""",
            [f"{url}/notifications/sse?token={token_for(TENANT, USER, 'ADMIN')}", ["connected", *WIRE]],
        )
        yield heard


async def post_series(url: str) -> list[tuple[str, bool]]:
    """One after the other. Returns what everybody should hear: each id, and whether it is a notification."""
    expected = []
    headers = {"Authorization": f"Bearer {DEVELOPMENT_KEY}", "X-Tenant-Id": TENANT}
    async with aiohttp.ClientSession(headers=headers) as http:
        for path, body in SERIES:
            more = {"channels": ["inApp"]} if path == "/notifications" else {}
            async with http.post(url + path, json=body | more) as answer:
                assert answer.status == 202, await answer.text()
                if body["to"] != "user:somebody-else":
                    expected.append(((await answer.json())["id"], path == "/notifications"))
    return expected


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[str]:
    async with HubCluster(tmp_path) as cluster:
        yield cluster.urls[0]


async def all_of(clients: dict[str, Heard], event: str) -> None:
    for name, heard in clients.items():
        try:
            await asyncio.wait_for(getattr(heard, event).wait(), 20)
        except TimeoutError:
            pytest.fail(f"{name} has not {event}; faults: {heard.faults}; heard {len(heard.events)} events")


@pytest.mark.skipif(not bundles.has_node(), reason=bundles.MISSING)
@pytest.mark.skipif(shutil.which("curl") is None, reason=NO_CURL)
async def test_all_stock_clients_hear_the_same_events_in_the_same_order(hub: str) -> None:
    bundles.install()
    async with AsyncExitStack() as stack:
        clients = {
            f"node {transport or 'default'} {namespace}": await stack.enter_async_context(
                node(hub, namespace, transport)
            )
            for namespace in NAMESPACES
            for transport in ("", "websocket", "polling")
        }
        for namespace in NAMESPACES:
            clients[f"python {namespace}"] = await stack.enter_async_context(python(hub, namespace))
        clients["curl"] = await stack.enter_async_context(curl(hub))
        clients["terminal"] = await stack.enter_async_context(terminal(hub))
        await all_of(clients, "joined")
        expected = await post_series(hub)
        await all_of(clients, "ended")
        await all_of({name: heard for name, heard in clients.items() if "default" in name}, "upgraded")

    ids = [id for id, _ in expected]
    notifications = [id for id, inbox in expected if inbox]
    assert len(ids) == len(set(ids)) == len(SERIES) - 1
    envelopes = {id: envelope for _, envelope in clients["curl"].events for id in [envelope["id"]]}
    for name, heard in clients.items():
        assert heard.faults == [], name
        assert heard.ids(generic=False) == ids, name
        assert heard.ids(generic=True) == ([] if name in ("curl", "terminal") else notifications), name
        assert all(envelope == envelopes[envelope["id"]] for _, envelope in heard.events), name
        if name.startswith("node"):
            only = {name.split()[1]}
            assert heard.transports == ({"polling", "websocket"} if only == {"default"} else only), name


@pytest.mark.skipif(shutil.which("curl") is None, reason=NO_CURL)
async def test_curl_can_be_a_polling_client(hub: str) -> None:
    """A handshake, CONNECT, an event with its acknowledgement, and the end, by five commands."""
    address = f"{hub}/socket.io/?EIO=4&transport=polling"

    async def run(*more: str) -> str:
        async with program("curl", "-s", *more) as process:
            return "\n".join([line async for line in lines_of(process)])

    opened = await run(address)
    assert opened.startswith("0{")
    session = f"{address}&sid={json.loads(opened[1:])['sid']}"
    connect = "40" + json.dumps({"token": token_for(TENANT, USER)})
    assert await run("--data-raw", connect, session) == "ok"
    heard: list[str] = []
    while not any(packet.startswith('42["connected"') for packet in heard):
        heard += (await run(session)).split("\x1e")
    assert heard[0].startswith('40{"sid"')
    assert await run("--data-raw", '427["ping"]', session) == "ok"
    while not any(packet.startswith("437[") for packet in heard):
        heard += (await run(session)).split("\x1e")
    assert any(packet.startswith('42["pong"') for packet in heard)
    assert await run("--data-raw", "1", session) == "ok"
    assert await run("-o", "/dev/null", "-w", "%{http_code}", session) == "400"


@pytest.mark.browser
@pytest.mark.skipif(not chromium.is_there(), reason=chromium.MISSING)
async def test_an_eventsource_in_a_browser_hears_what_a_socket_hears(hub: str) -> None:
    async with eventsource(hub) as source, python(hub, "/") as socket:
        clients = {"EventSource": source, "python": socket}
        await all_of(clients, "joined")
        expected = await post_series(hub)
        await all_of(clients, "ended")
    assert source.ids(generic=False) == [id for id, _ in expected]
    typed = [event for event in socket.events if event[0] != "notification:new"]
    assert source.events == typed
