"""F10: everybody reconnects at once, with a cursor, after the hub was killed and started again.

Events were stored in between that nobody has seen. All are back and caught up, without a hole and with
nothing twice, and somebody who was there before is not held up: in the long form the hub's own measure of its
event loop is held to that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.apart import apart
from tests.chaos.scale import LONG, lag_p99, p99_ms, patience, report, scaled
from tests.chaos.targets import under_fire
from tests.chaos.wires import Client, Reader, Refused

CLIENTS = scaled(300, 10_000)
BEFORE, MISSED = 20, scaled(50, 20)  # events
BACK_SECONDS = 60.0
LATE_SECONDS = 1.0  # the hub's event loop, p99
AT_ONCE = 500  # first connects under way; what is tested comes later
PAUSE_SECONDS = 1.0  # a client's, when it was refused

pytestmark = patience(90)


def source(number: int) -> str:
    """Addresses of this machine, so that ten thousand have ports."""
    return f"127.0.1.{1 + number % 20}"


async def connect(clients: Sequence[Client], port: int) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one_of_them(number: int, one: Client) -> None:
        async with slots:
            await one.open(port, source=source(number))

    await asyncio.gather(*(one_of_them(number, one) for number, one in enumerate(clients)))


async def come_back(number: int, one: Client, port: int, last: int, delays: list[float]) -> None:
    started = time.monotonic()
    while True:
        try:
            await one.open(port, source=source(number))
            await one.reaches(last)
            break
        except (Refused, OSError):  # not listening yet, or full for the moment
            await asyncio.sleep(PAUSE_SECONDS)
    delays.append(time.monotonic() - started)


async def test_all_come_back_at_once_and_have_missed_nothing(tmp_path: Path) -> None:
    async with under_fire(tmp_path, HUB_PRESENCE_LEASE="2") as target, apart(target) as bystander:
        kinds = (Client, Client, Reader)
        clients = [kinds[number % 3](target.token()) for number in range(CLIENTS)]
        await connect(clients, target.port)
        await target.post(BEFORE)
        await asyncio.wait_for(asyncio.gather(*(one.reaches(BEFORE) for one in clients)), BACK_SECONDS)
        await target.cluster.kill9(0)
        await asyncio.gather(*(one.over.wait() for one in clients))
        await target.cluster.start(0)
        last = await target.post(MISSED)

        await bystander.stay()
        delays: list[float] = []
        before = await target.lateness()
        async with asyncio.timeout(BACK_SECONDS):
            storm = [
                asyncio.create_task(come_back(number, one, target.port, last, delays))
                for number, one in enumerate(clients)
            ]
            last = await target.post(5)  # live events, while replays are written
            await asyncio.gather(*storm)
            await asyncio.gather(*(one.reaches(last) for one in clients))
            found = await bystander.leave(last)
        late = lag_p99(before, await target.lateness())
        report(
            "F10",
            clients=CLIENTS,
            back_after_s=round(max(delays), 1),
            back_p99_ms=p99_ms(delays),
            loop_late_p99_s=late,
            bystander_p99_ms=p99_ms(found["delays"]),
        )
        assert late <= LATE_SECONDS or not LONG
        for one in clients:
            assert not one.faults
            assert one.seen == list(range(1, last + 1))
        assert (len(found["delays"]), found["faults"]) == (5, [])
        await target.until_online(CLIENTS, 10)  # those of the killed process are out as well
        for one in clients:
            one.close()
        target.require_clean_log()
