"""Fifty mails a second to a provider that fails every twentieth time: nearly all arrive, and soon."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from hub.domain.delivery import Status
from tests.brokers import Broker
from tests.chaos.mailroom import open_mailroom
from tests.chaos.scale import LONG, p99_ms, patience, report, scaled
from tests.mailservers import MailServer

pytestmark = [pytest.mark.chaos, patience(90)]

RATE = 50
SECONDS = scaled(3, 60)
FAULTS = ("451 later", "421 busy")


@pytest.mark.parametrize("broker", scaled(["redis"], ["redis", "rabbitmq"]), indirect=True)
async def test_fifty_mails_a_second_survive_a_provider_that_fails_now_and_then(
    tmp_path: Path, mail_server: MailServer, broker: Broker
) -> None:
    count = RATE * SECONDS
    async with open_mailroom(tmp_path, mail_server, broker) as room:
        for number in range(count // 20):
            mail_server.say(*["250 OK"] * 19, FAULTS[number % 2])
        await room.cluster.start_worker()
        began = time.monotonic()
        for number in range(count // 5):
            await asyncio.sleep(max(0.0, began + number * 5 / RATE - time.monotonic()))
            await room.put(5)
        found = await room.all_over()
        sent = [item for item in found if item.status is Status.SENT]
        queue, end = map(p99_ms, await room.waits())
        assert len(sent) >= 0.99 * count
        room.require_sound(sent)
        assert any(item.attempts > 1 for item in sent)  # there were faults
        report("F25", mails=count, queue_p99=f"{queue} ms", end_to_end_p99=f"{end} ms")
        assert not LONG or (queue < 5000 and end < 30_000)
