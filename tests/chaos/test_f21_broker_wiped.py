"""The broker loses everything while many deliveries wait in it: it is told again, and all are sent."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.chaos.mailroom import LOOK_SECONDS, open_mailroom
from tests.chaos.scale import patience, report, scaled
from tests.mailservers import MailServer

pytestmark = [pytest.mark.chaos, patience(90)]

MAILS = scaled(200, 1000)


async def test_a_broker_that_is_wiped_under_a_full_queue_loses_nothing(
    tmp_path: Path, mail_server: MailServer, broker: Broker
) -> None:
    async with open_mailroom(tmp_path, mail_server, broker) as room:
        await room.put(MAILS)
        async with asyncio.timeout(30):
            while await room.hints.waiting("email") != MAILS:
                await asyncio.sleep(LOOK_SECONDS)
        broker.wipe()
        assert await room.hints.waiting("email") == 0
        wiped = time.monotonic()
        await room.cluster.start_worker()
        await room.mails.arrived(MAILS, timeout=60)
        report("F21", mails=MAILS, all_sent_after=f"{time.monotonic() - wiped:.1f} s (<= 30 to be queued)")
        room.require_sound(await room.all_over())
        assert len(room.mails.mails) == MAILS
