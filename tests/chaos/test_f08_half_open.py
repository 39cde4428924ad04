"""F8: peers that vanish without a word, on WebSocket and on SSE, while events go on.

They are out of presence within the time that a ping and its answer may take, and their files are free soon
after. The long form runs with the settings that a hub starts with.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from hub.realtime import outflow
from tests.buses import eventually
from tests.chaos.scale import LONG, patience, report
from tests.chaos.stock import stock
from tests.chaos.targets import under_fire
from tests.chaos.wires import Client, Reader
from tests.living import Start

SHORT_SECONDS = 1.0
PING_BUDGET = 35.0 + 1.0  # interval, timeout, and a look
FREE_SECONDS = 25.0

pytestmark = patience(60)


@pytest.mark.skipif(LONG, reason="the long form has 400 of them")
async def test_vanished_peers_are_given_up(living: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outflow, "USER_TIMEOUT_MS", int(SHORT_SECONDS * 1000))
    hub = await living(ping_interval=0.5, ping_timeout=SHORT_SECONDS, sse_heartbeat_interval=100)
    port = int(hub.url.rpartition(":")[2])
    sockets = [await Client(hub.token(f"w{number}")).open(port) for number in range(4)]
    streams = [await Reader(hub.token(f"s{number}")).open(port) for number in range(4)]
    stays: list[Client] = [
        await Client(hub.token("here")).open(port),
        await Reader(hub.token("too")).open(port),
    ]
    for one in [*sockets, *streams]:
        one.vanish()
    started = time.monotonic()
    await eventually(lambda: hub.hub.places.total == len(stays))
    report("F8", vanished=8, given_up_after_s=round(time.monotonic() - started, 1))
    assert {session.who.user for session in hub.hub.sessions.all()} == {"here", "too"}
    await hub.notify(to="tenant:acme")
    for one in stays:
        await asyncio.wait_for(one.reaches(1), 5)
        assert not one.over.is_set()
    for one in [*sockets, *streams, *stays]:
        one.close()


@pytest.mark.skipif(not LONG, reason="takes the better part of a minute: make chaos")
async def test_200_websockets_and_200_streams_vanish(tmp_path: Path) -> None:
    async with under_fire(tmp_path) as target:
        before = target.files
        gone = [await Client(target.token()).open(target.port) for _ in range(200)]
        gone += [await Reader(target.token()).open(target.port) for _ in range(200)]
        here = await Client(target.token()).open(target.port)
        await target.until_online(401, 10)
        for one in gone:
            one.vanish()
        started = time.monotonic()

        async def talk() -> None:
            while True:
                await target.post()
                await asyncio.sleep(0.5)

        talking = asyncio.create_task(talk())
        absent = await target.until_online(1, PING_BUDGET)
        await target.until_files(before + 10, max(1.0, FREE_SECONDS - (time.monotonic() - started)))
        talking.cancel()
        report("F8", vanished=400, out_of_presence_after_s=round(absent, 1))
        assert not here.over.is_set()
        for one in [*gone, here]:
            one.close()
        target.require_clean_log()


async def test_a_stock_server_keeps_a_peer_that_only_says_pong() -> None:
    """It takes any PONG for a sign of life, also from a peer that has read nothing for long."""
    async with stock(ping_interval=0.2, ping_timeout=0.2) as served:
        client = await Client().open(served.port)
        client.stop()
        for _ in range(20):
            client.say("3")
            await asyncio.sleep(0.05)
        assert served.members == 1
        assert not served.gone
        client.close()
