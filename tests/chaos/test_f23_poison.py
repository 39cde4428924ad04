"""Rows that no template can render among mails that are fine: they are dead letters with the reason, and the
others' way is as short as without them."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from hub.domain.delivery import Status
from hub.services.render import TEMPLATES
from tests.brokers import Broker
from tests.chaos.mailroom import open_mailroom
from tests.chaos.scale import p99_ms, patience, report, scaled
from tests.mailservers import MailServer

pytestmark = [pytest.mark.chaos, patience(90)]

SOURCE = "{% block subject %}Paid{% endblock %}{% block says %}{{ nights }}{% endblock %}"
ROOT = Path(__file__).parents[2]
MAILS = scaled(100, 1000)
POISON = "payment.received"


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
async def test_poison_is_a_dead_letter_and_holds_nobody_up(
    tmp_path: Path, mail_server: MailServer, broker: Broker
) -> None:
    own = tmp_path / "templates"
    copytree(TEMPLATES, own)
    (own / POISON / "email.j2").write_text(SOURCE)
    async with open_mailroom(tmp_path, mail_server, broker) as room:
        worker = room.cluster.program("worker", "-m", "tests.chaos.poisoned_worker", str(own))
        worker.env = {**worker.env, "PYTHONPATH": str(ROOT)}
        room.cluster.worker = worker
        await worker.start()
        await room.put(MAILS)
        await room.mails.arrived(MAILS)
        alone = p99_ms((await room.waits())[0])
        poison = {id for _ in range(10) for id in await room.put(MAILS // 10, type=POISON)}
        fine = await room.put(MAILS)
        await room.mails.arrived(2 * MAILS)
        found = {item.id: item for item in await room.all_over()}
        assert {found[id].status for id in poison} == {Status.DEAD}
        assert all((found[id].error or "").startswith("template: ") for id in poison)
        assert {(found[id].status, found[id].attempts) for id in fine} == {(Status.SENT, 1)}
        assert len(room.mails.mails) == 2 * MAILS
        report("F23", p99_alone=f"{alone} ms", p99_with_poison=f"{p99_ms((await room.waits())[0])} ms")
