"""F12: malformed frames, on each transport of a real hub.

Whoever sends one is closed and gone from every room at once; nothing in the log speaks of it as a mistake of
ours, and others go on. Made-up clients by the grammar are in tests/integration/test_realtime_fuzz.py.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from tests.buses import eventually
from tests.chaos.scale import LONG, patience, report
from tests.chaos.stock import stock
from tests.chaos.targets import under_fire
from tests.chaos.wires import Client, frame
from tests.integration.test_realtime_malformed import MALFORMED

CLOSED_SECONDS = 5.0
# Broken below Socket.IO: a reserved bit, an unknown opcode, a frame without its mask, bad UTF-8.
BROKEN_FRAMES = [b"\xc1\x80" + bytes(4), frame(b"", 3), b"\x81\x01x", frame(b"\xff\xfe")]

pytestmark = patience(60)


async def test_who_sends_a_malformed_frame_is_closed_and_leaves_no_zombie(tmp_path: Path) -> None:
    async with under_fire(tmp_path) as target:
        healthy = await Client(target.token()).open(target.port)
        corpus = [wire if isinstance(wire, bytes) else wire.encode("utf-8", "replace") for wire in MALFORMED]
        frames = [
            frame(wire, 2 if isinstance(source, bytes) else 1)
            for wire, source in zip(corpus, MALFORMED, strict=True)
        ]
        slowest = 0.0
        for wire in [*frames, *BROKEN_FRAMES]:
            one = await Client(target.token()).open(target.port)
            started = time.monotonic()
            one.transport.write(wire)
            await asyncio.wait_for(one.over.wait(), CLOSED_SECONDS)
            slowest = max(slowest, time.monotonic() - started)
        await target.until_online(1, CLOSED_SECONDS)
        await asyncio.wait_for(healthy.reaches(await target.post()), 5)
        report("F12", frames=len(frames) + len(BROKEN_FRAMES), slowest_close_s=round(slowest, 2))
        healthy.close()
        target.require_clean_log()


@pytest.mark.skipif(not LONG, reason="make chaos: a thousand made-up clients of each kind")
async def test_a_thousand_made_up_clients_of_each_kind() -> None:
    fuzz = "tests/integration/test_realtime_fuzz.py"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "--timeout=500", fuzz),
        env=os.environ | {"FUZZ_EXAMPLES": "1000"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-3000:]


async def test_a_stock_server_keeps_zombies() -> None:
    """Its task for the connection dies; the client stays in its rooms, and no handler hears of its end."""
    async with stock() as served:
        for wire in ("x", "4" + "[" * 100_000, "b!"):
            one = await Client().open(served.port)
            one.say(wire)
        await eventually(lambda: served.members == 3)
        await asyncio.sleep(0.5)  # the time in which nothing happens
        assert served.members == 3
        assert not served.gone
