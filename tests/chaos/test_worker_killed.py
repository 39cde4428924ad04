"""Workers die without a word in the middle of their mails.

Afterwards every mail was taken by the mail server, and each exactly once, but for those whose worker died
between the server's yes and writing it down: those may come twice, and say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.brokers import RedisBroker
from tests.chaos.mailroom import Mailroom, open_mailroom
from tests.mailservers import HANG, TAKE_AND_RESET, MailServer

pytestmark = pytest.mark.chaos

MAILS = 200
CONCURRENCY = 8


@pytest_asyncio.fixture
async def post(tmp_path: Path, mail_server: MailServer) -> AsyncIterator[Mailroom]:
    redis = RedisBroker(tmp_path / "broker")
    redis.start()
    settings = {
        "HUB_WORKER_CONCURRENCY": str(CONCURRENCY),
        "HUB_PROVIDER_TIMEOUT": "1.5",
        "HUB_DELIVERY_LEASE": "3",
    }
    try:
        async with open_mailroom(tmp_path, mail_server, redis, settings) as room:
            yield room
    finally:
        redis.stop(timeout=0)


async def test_workers_killed_in_the_middle_of_their_mails_lose_none(post: Mailroom) -> None:
    await post.put(MAILS)
    for share in (1, 2, 3):
        worker = await post.cluster.start_worker()
        await post.mails.arrived(MAILS * share // 4)
        await worker.kill()
    await post.cluster.start_worker()
    deliveries = await post.all_over()
    post.require_sound(deliveries)
    assert len(post.mails.mails) <= MAILS + 3 * CONCURRENCY


async def test_a_worker_killed_during_its_calls_is_followed_by_marked_resends(post: Mailroom) -> None:
    post.mails.gate = asyncio.Event()
    await post.put(CONCURRENCY)
    worker = await post.cluster.start_worker()
    await post.mails.asked(CONCURRENCY)  # every text is handed over, no answer was given
    await worker.kill()
    post.mails.gate.set()
    await post.cluster.start_worker()
    deliveries = await post.all_over()
    post.require_sound(deliveries)
    assert all(item.maybe_duplicate and item.attempts == 2 for item in deliveries)


async def test_two_workers_and_a_faulty_server_send_each_mail_once_or_say_so(post: Mailroom) -> None:
    post.mails.say("451 later", TAKE_AND_RESET, HANG, "421 busy", "451 later")
    await post.put(60)
    first = await post.cluster.start_worker()
    await post.cluster.start_worker()
    await post.mails.arrived(20)
    await first.kill()
    post.require_sound(await post.all_over())
