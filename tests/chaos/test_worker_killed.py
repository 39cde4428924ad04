"""Workers die without a word in the middle of their mails, and the broker is wiped under a full queue.

Afterwards every mail was taken by the mail server, and each exactly once, but for those whose worker died
between the server's yes and writing it down: those may come twice, and say so.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from hub.domain.delivery import Delivery, Status
from hub.store.engine import Database
from tasks.hints import Hints
from tasks.queues import celery_app
from tests.deliverers import World
from tests.hubs import HubCluster
from tests.mailservers import HANG, LOOPBACK, TAKE_AND_RESET, MailServer

pytestmark = pytest.mark.chaos

MAILS = 200
CONCURRENCY = 8
LOOK_SECONDS = 0.05


class Post:
    """A broker, a database and a mail server, and workers that come and go."""

    def __init__(self, cluster: HubCluster, world: World, mail_server: MailServer) -> None:
        self.cluster = cluster
        self.world = world
        self.mails = mail_server
        self.hints = Hints(celery_app(cluster.valkey.url, prefix="hub", socket_seconds=1.0))

    async def put(self, count: int) -> list[str]:
        self.world.now = datetime.now(UTC)
        ids = await self.world.put(*(f"u{number}" for number in range(count)))
        self.hints.send([(id, "email") for id in ids])
        return ids

    async def all_over(self, *, timeout: float) -> list[Delivery]:
        """Every delivery, once none of them is pending."""
        async with asyncio.timeout(timeout):
            while True:
                found = await self.world.all()
                if all(item.due_at is None for item in found):
                    return found
                await asyncio.sleep(LOOK_SECONDS)

    def require_sound(self, deliveries: list[Delivery]) -> None:
        """All sent; taken once each, or more often and marked."""
        assert {item.status for item in deliveries} == {Status.SENT}
        taken = Counter(mail.message["Message-ID"].partition("@")[0].lstrip("<") for mail in self.mails.mails)
        assert set(taken) == {item.id for item in deliveries}
        unmarked = [item.id for item in deliveries if taken[item.id] > 1 and not item.maybe_duplicate]
        assert unmarked == []


@pytest_asyncio.fixture
async def post(tmp_path: Path, mail_server: MailServer) -> AsyncIterator[Post]:
    env = {
        "EMAIL_HOST": LOOPBACK,
        "EMAIL_PORT": str(mail_server.port),
        "HUB_WORKER_CONCURRENCY": str(CONCURRENCY),
        "HUB_PROVIDER_TIMEOUT": "1.5",
        "HUB_DELIVERY_LEASE": "3",
        "HUB_DELIVERY_BACKOFF": "0.5",
        "HUB_SWEEP_SECONDS": "0.5",
    }
    async with HubCluster(tmp_path, hubs=0, env=env) as cluster:
        db = await Database.open(f"sqlite+aiosqlite:///{cluster.database}")
        world = World(db)
        await world.log.open()
        post = Post(cluster, world, mail_server)
        try:
            yield post
        finally:
            post.hints.close()
            await world.log.close()
            await db.close()


async def test_workers_killed_in_the_middle_of_their_mails_lose_none(post: Post) -> None:
    await post.put(MAILS)
    for share in (1, 2, 3):
        worker = await post.cluster.start_worker()
        await post.mails.arrived(MAILS * share // 4)
        await worker.kill()
    await post.cluster.start_worker()
    deliveries = await post.all_over(timeout=60)
    post.require_sound(deliveries)
    assert len(post.mails.mails) <= MAILS + 3 * CONCURRENCY


async def test_a_worker_killed_during_its_calls_is_followed_by_marked_resends(post: Post) -> None:
    post.mails.gate = asyncio.Event()
    await post.put(CONCURRENCY)
    worker = await post.cluster.start_worker()
    await post.mails.asked(CONCURRENCY)  # every text is handed over, no answer was given
    await worker.kill()
    post.mails.gate.set()
    await post.cluster.start_worker()
    deliveries = await post.all_over(timeout=60)
    post.require_sound(deliveries)
    assert all(item.maybe_duplicate and item.attempts == 2 for item in deliveries)


async def test_two_workers_and_a_faulty_server_send_each_mail_once_or_say_so(post: Post) -> None:
    post.mails.say("451 later", TAKE_AND_RESET, HANG, "421 busy", "451 later")
    await post.put(60)
    first = await post.cluster.start_worker()
    await post.cluster.start_worker()
    await post.mails.arrived(20)
    await first.kill()
    post.require_sound(await post.all_over(timeout=60))


async def test_a_broker_that_is_wiped_under_a_full_queue_loses_nothing(post: Post) -> None:
    await post.put(MAILS)
    post.cluster.kill_valkey()
    post.cluster.start_valkey()
    await post.cluster.start_worker()
    deliveries = await post.all_over(timeout=60)
    post.require_sound(deliveries)
    assert len(post.mails.mails) == MAILS
