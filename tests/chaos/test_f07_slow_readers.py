"""F7: slow readers (stopped, a byte a second, pong only) among others while big events go to everyone.

They are cut when their bound is reached, memory stays bounded, nobody else notices, and when they come back
by their cursor they have missed nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.chaos.scale import LONG, MB, p99_ms, patience, report, scaled
from tests.chaos.stock import stock
from tests.chaos.targets import Target, under_fire
from tests.chaos.wires import Client, Reader

CLIENTS = scaled(24, 500)
SLOW = scaled(6, 50)
SIZE = scaled(10_000, 4_000)  # bytes of an event
PACE = scaled(0.0, 0.2)  # seconds between two batches
OUTBOX = 512 << 10
MOST_EVENTS = 4000
CUT_SECONDS = 10.0

pytestmark = patience(60)


async def keep_saying(client: Client, what: Callable[[], None], seconds: float) -> None:
    with suppress(OSError):
        while not client.over.is_set():
            what()
            await asyncio.sleep(seconds)


def misbehave(client: Client, number: int) -> asyncio.Task[None] | None:
    """One of the three kinds of slowness."""
    client.stop()
    if number % 3 == 0:
        return None
    if number % 3 == 1:
        return asyncio.create_task(keep_saying(client, client.sip, 1.0))
    return asyncio.create_task(keep_saying(client, lambda: client.say("3"), 0.2))


async def flood(target: Target, until: Callable[[], bool]) -> None:
    while not until() and target.posted < MOST_EVENTS:
        await target.post(20, size=SIZE)
        await asyncio.sleep(PACE)


async def test_slow_readers_are_cut_and_miss_nothing(tmp_path: Path) -> None:
    async with under_fire(tmp_path, HUB_OUTBOX_BYTES=str(OUTBOX)) as target:
        kinds = (Client, Reader)
        lively = [kinds[number % 2](target.token()) for number in range(CLIENTS - SLOW)]
        slow = [kinds[number % 2](target.token()) for number in range(SLOW)]
        for one in lively:
            await one.open(target.port)
        if LONG:  # how it is without them
            before = await target.post(1)
            await flood(target, lambda: target.posted > before + 200)
            await asyncio.gather(*(one.reaches(target.posted) for one in lively))
        calm = [delay for one in lively for delay in one.delays]
        for one in slow:
            await one.open(target.port, receive_buffer=4096)
        baseline, tasks = target.rss, []
        for number, one in enumerate(slow):
            tasks.append(misbehave(one, number))
        for one in lively:
            one.delays.clear()

        peak, gone = baseline, asyncio.Event()

        async def watch() -> None:
            nonlocal peak
            while await target.online() > len(lively):
                peak = max(peak, target.rss)
                await asyncio.sleep(0.05)
            gone.set()

        watching = asyncio.create_task(watch())
        started = time.monotonic()
        await flood(target, gone.is_set)
        await asyncio.wait_for(watching, CUT_SECONDS)
        cut = time.monotonic() - started
        await asyncio.wait_for(asyncio.gather(*(one.reaches(target.posted) for one in lively)), 30)
        assert peak <= baseline + 64 * MB + SLOW * OUTBOX

        for one, task in zip(slow, tasks, strict=True):
            if task is not None:
                task.cancel()
            one.go_on()
            await asyncio.wait_for(one.over.wait(), CUT_SECONDS)
            one.faults.clear()  # sipping may have ended in the middle of a frame
            await one.open(target.port)
        await asyncio.wait_for(asyncio.gather(*(one.reaches(target.posted) for one in slow)), 60)
        report(
            "F7",
            clients=len(lively),
            slow=SLOW,
            events=target.posted,
            all_cut_after_s=round(cut, 1),
            rss_grew_mb=round((peak - baseline) / MB, 1),
            others_p99_ms=p99_ms([delay for one in lively for delay in one.delays]),
            without_slow_ones_ms=p99_ms(calm),
        )
        for one in [*lively, *slow]:
            assert not one.faults
            assert one.seen[-1] == target.posted
            one.close()
        target.require_clean_log()


async def test_a_stock_server_keeps_everything_for_a_stopped_reader() -> None:
    async with stock() as served:
        client = await Client().open(served.port, receive_buffer=4096)
        client.stop()
        for _ in range(900):
            await served.publish(10_000)
            await asyncio.sleep(0)
        assert served.waiting() * 10_000 > 2 * OUTBOX
        assert not served.gone
        client.close()
