"""A worker is killed at every point of a delivery's way: nothing is lost, and only the mail that was taken
before its worker could write that down comes twice, and says so."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.chaos.doomed_worker import POINTS
from tests.chaos.mailroom import LEASE_SECONDS, open_mailroom
from tests.chaos.scale import patience, report, scaled
from tests.mailservers import MailServer

pytestmark = [pytest.mark.chaos, patience(90)]

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("broker", scaled(["redis"], ["redis", "rabbitmq"]), indirect=True)
async def test_a_worker_that_dies_at_any_point_of_a_mails_way_loses_none(
    tmp_path: Path, mail_server: MailServer, broker: Broker
) -> None:
    async with open_mailroom(tmp_path, mail_server, broker) as room:
        victims = dict(zip(POINTS, await room.put(len(POINTS)), strict=True))
        for point, id in victims.items():
            worker = room.cluster.program("doomed", "-m", "tests.chaos.doomed_worker", point, id)
            worker.env = {**worker.env, "PYTHONPATH": str(ROOT), "HUB_SWEEP_SECONDS": "3600"}
            room.hints.send([(id, "email")])
            await worker.start()
            assert worker.process is not None
            assert await worker.process.wait() == -signal.SIGKILL, worker.log.read_text()
        died = time.monotonic()
        await room.cluster.start_worker()
        found = {item.id: item for item in await room.all_over()}
        room.require_sound(list(found.values()))
        taken = room.taken()
        assert {point: taken[id] for point, id in victims.items()} == {
            **dict.fromkeys(POINTS, 1),
            "after the yes": 2,
        }
        marked = {point for point, id in victims.items() if found[id].maybe_duplicate}
        assert marked == {"during the call", "after the yes"}
        assert found[victims["after the commit"]].attempts == 1
        report("F5", lease=f"{LEASE_SECONDS} s", again_after=f"{time.monotonic() - died:.1f} s")
