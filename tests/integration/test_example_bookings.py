"""The example against a real hub and worker: it adds up, also the second time, and its mails go out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from examples.bookings import read, sample, stream
from tests.hubs import HubCluster

SCRIPT = Path(__file__).parents[2] / "examples" / "replay_bookings.py"
MAX = 120


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[HubCluster]:
    async with HubCluster(tmp_path) as cluster:
        await cluster.start_worker()
        yield cluster


async def replay(url: str, *options: str) -> tuple[int, str]:
    command = (sys.executable, str(SCRIPT), "--url", url, "--rate", "0", "--max", str(MAX), *options)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, " ".join(output.decode().split())


async def mails(url: str, count: int) -> list[dict[str, str]]:
    """What the sandbox holds, once it holds `count`."""
    async with asyncio.timeout(30), aiohttp.ClientSession(url) as http:
        while True:
            async with http.get("/dev/outbox?limit=500") as answer:
                kept: list[dict[str, str]] = await answer.json()
            if len(kept) >= count:
                return kept
            await asyncio.sleep(0.1)


async def test_bookings_replayed_into_a_real_hub_add_up_and_a_second_run_changes_nothing(
    cluster: HubCluster,
) -> None:
    [url] = cluster.urls
    moments = stream(sample(list(read()), MAX))
    code, output = await replay(url)
    assert code == 0, output
    assert "Everything adds up" in output

    written = {moment.mail: moment for moment in moments if moment.mail}
    kept = await mails(url, len(written))
    assert sorted(mail["to"] for mail in kept) == sorted(written)
    for mail in kept:
        assert written[mail["to"]].booking.id in mail["text"]
        assert written[mail["to"]].tenant == mail["tenantId"]

    code, output = await replay(url, "--batch", "50")
    assert code == 0, output
    assert f"all │ {len(moments)} │ {len(moments)} │ {len(moments)}" in output
    assert len(await mails(url, len(written))) == len(written)
