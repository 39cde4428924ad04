"""F9: the wall clock is set forward by a minute, then back by an hour, while clients are connected.

No healthy client is dropped, nobody comes in a storm, and events go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.chaos.clocks import Clock, needs_compiler
from tests.chaos.scale import patience, report, scaled
from tests.chaos.stock import stock
from tests.chaos.targets import under_fire
from tests.chaos.wires import Client, Reader


class Pings(NamedTuple):
    """Seconds between pings, until a pong is late, and what a slow network makes of a pong."""

    interval: float
    timeout: float
    answer: float


SHORT = Pings(0.5, 3.0, 1.0)
PINGS = scaled(SHORT, Pings(5.0, 10.0, 5.0))
CLIENTS = scaled(20, 200)
STEPS = (60, -3600)

pytestmark = patience(60)


async def clock_steps(
    clients: Sequence[Client],
    pings: Pings,
    step: Callable[[int], None],
    publish: Callable[[], Awaitable[Any]],
) -> None:
    """Moves the clock while most have yet to answer a ping, and something is published right then."""
    for one in clients:
        one.pong_delay = pings.answer
    for seconds in STEPS:
        await asyncio.sleep(2 * pings.interval)
        step(seconds)
        await publish()
        await asyncio.sleep(pings.answer)


@needs_compiler
async def test_nobody_is_dropped_when_the_clock_steps(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    env = {"HUB_PING_INTERVAL": str(PINGS.interval), "HUB_PING_TIMEOUT": str(PINGS.timeout), **clock.env}
    async with under_fire(tmp_path, **env) as target:
        kinds = (Client, Reader)
        clients = []
        for number in range(CLIENTS):
            clients.append(await kinds[number % 2](target.token(seconds=86400)).open(target.port))
            await asyncio.sleep(PINGS.interval / CLIENTS)  # so that their pings are not due together
        await clock_steps(clients, PINGS, clock.step, target.post)
        dropped = sum(one.over.is_set() for one in clients)
        async with asyncio.timeout(2 * (PINGS.interval + PINGS.timeout)):
            await asyncio.gather(*(one.is_pinged(2) for one in clients[::2]))
        last = await target.post(3)
        async with asyncio.timeout(10):
            for one in clients:
                await one.reaches(last)
        stamp = await (await Client(target.token(seconds=86400)).open(target.port)).asked_time()
        report("F9", clients=len(clients), dropped=dropped)
        assert abs(stamp - (time.time() + STEPS[-1])) < 60, "the hub's clock was not moved"
        assert dropped == 0
        assert await target.online() == len(clients) + 1
        assert not [fault for one in clients for fault in one.faults]
        for one in clients:
            one.close()
        target.require_clean_log()


async def test_a_stock_server_drops_who_has_yet_to_answer_when_the_clock_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, offset = time.time, 0

    def step(seconds: int) -> None:
        nonlocal offset
        offset = seconds

    async with stock(ping_interval=SHORT.interval, ping_timeout=SHORT.timeout) as served:
        monkeypatch.setattr(time, "time", lambda: real() + offset)
        clients = [await Client().open(served.port) for _ in range(10)]
        await clock_steps(clients, SHORT, step, served.publish)
        assert served.gone.count("ping timeout") > len(clients) / 2
