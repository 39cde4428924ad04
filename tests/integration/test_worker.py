"""A real worker process, on a real broker of each kind: it needs no hub, and the queue loses nothing."""

from __future__ import annotations

import asyncio
import json
import pickle
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest_asyncio
from celery import Celery
from kombu.message import Message
from ulid import ULID

from hub.domain.delivery import Status
from hub.domain.drafts import Contact, Draft
from hub.store.engine import Database
from hub.store.scheduled import Scheduled
from tasks.hints import Hints
from tasks.queues import NOTIFICATION_QUEUES
from tests.brokers import Broker, app_for
from tests.deliverers import World
from tests.hubs import HubCluster
from tests.mailservers import LOOPBACK, MailServer

LOOK_SECONDS = 0.02


class Workplace:
    """A broker, a database, a mail server, and a worker when it is started."""

    def __init__(self, cluster: HubCluster, world: World, mail_server: MailServer, broker: Broker) -> None:
        self.cluster = cluster
        self.world = world
        self.mails = mail_server
        self.broker = broker
        self.hints = Hints(partial(app_for, broker, heartbeat=None))

    async def put(self, *users: str) -> list[str]:
        """Deliveries that are due now; nobody has told the queue."""
        self.world.now = datetime.now(UTC)
        return await self.world.put(*users)

    async def over(self, *ids: str, timeout: float = 30.0) -> list[Status]:
        """The states of these deliveries once all of them are over."""
        async with asyncio.timeout(timeout):
            while True:
                found = await self.world.all(*ids)
                if all(item.due_at is None for item in found):
                    return [item.status for item in found]
                await asyncio.sleep(LOOK_SECONDS)

    def require_calm(self) -> None:
        """Nothing happened to the worker that it had not foreseen."""
        assert "Traceback" not in self.cluster.logs(), self.cluster.logs()


@pytest_asyncio.fixture
async def workplace(tmp_path: Path, mail_server: MailServer, broker: Broker) -> AsyncIterator[Workplace]:
    env = {
        "HUB_BROKER_URL": broker.url,
        "EMAIL_HOST": LOOPBACK,
        "EMAIL_PORT": str(mail_server.port),
        "HUB_SWEEP_SECONDS": "0.5",
        "HUB_WORKER_CONCURRENCY": "4",
    }
    async with HubCluster(tmp_path, hubs=0, env=env) as cluster:
        db = await Database.open(f"sqlite+aiosqlite:///{cluster.database}")
        world = World(db)
        await world.log.open()
        place = Workplace(cluster, world, mail_server, broker)
        try:
            yield place
        finally:
            place.hints.close()
            await world.log.close()
            await db.close()


async def test_a_worker_sends_what_the_queue_tells_it_without_any_hub(workplace: Workplace) -> None:
    ids = await workplace.put(*(f"u{number}" for number in range(20)))
    workplace.hints.send([(id, "email") for id in ids] * 2)
    await workplace.cluster.start_worker()
    assert set(await workplace.over(*ids)) == {Status.SENT}
    recipients = sorted(mail.recipients[0] for mail in workplace.mails.mails)
    assert recipients == sorted(f"u{number}@example.org" for number in range(20))
    workplace.require_calm()


async def test_a_worker_finds_by_itself_what_nobody_told_it(workplace: Workplace) -> None:
    world = workplace.world
    world.now = datetime.now(UTC)
    await world.people.put(
        "acme", Contact(user="boss", email="boss@example.org", roles=("ADMIN",)), now=world.now
    )
    await world.put(expand=[("role:ADMIN", ("email",))])
    draft = Draft(
        tenant="acme",
        type="payment.received",
        to=("user:boss",),
        send_at=world.now + timedelta(seconds=1),
    )
    await Scheduled(world.db).add(str(ULID()), draft, key=None, answer=b"{}", now=world.now)
    [forgotten] = await workplace.put("42")
    await workplace.cluster.start_worker()
    await workplace.mails.arrived(3)
    subjects = sorted((mail.recipients[0], mail.message["Subject"]) for mail in workplace.mails.mails)
    assert subjects == [
        ("42@example.org", "Your Booking is Confirmed!"),
        ("boss@example.org", "Payment Received"),
        ("boss@example.org", "Your Booking is Confirmed!"),
    ]
    assert await workplace.over(forgotten) == [Status.SENT]
    workplace.require_calm()


async def test_a_worker_outlives_its_broker_and_loses_nothing(workplace: Workplace) -> None:
    workplace.mails.gate = asyncio.Event()
    worker = await workplace.cluster.start_worker()
    first = await workplace.put("1")
    workplace.hints.send([(first[0], "email")])
    await workplace.mails.asked()  # a task is running, and acknowledged late
    workplace.broker.kill()
    rest = await workplace.put("2", "3", "4")
    workplace.mails.gate.set()
    assert await workplace.over(*first) == [Status.SENT]
    workplace.broker.start()
    assert await workplace.over(*rest) == [Status.SENT] * 3
    worker.require_alive()
    assert len(workplace.mails.mails) == 4


async def test_a_worker_that_is_asked_to_end_finishes_its_mail(workplace: Workplace) -> None:
    workplace.mails.gate = asyncio.Event()
    worker = await workplace.cluster.start_worker()
    [id] = await workplace.put("42")
    workplace.hints.send([(id, "email")])
    await workplace.mails.asked()
    ending = asyncio.create_task(worker.kill(signal.SIGTERM))
    workplace.mails.gate.set()
    assert await ending == 0
    delivery = await workplace.world.delivery(id)
    assert (delivery.status, delivery.attempts, delivery.maybe_duplicate) == (Status.SENT, 1, False)
    assert await workplace.hints.waiting("email") == 0  # acknowledged: the broker has not got it back
    workplace.require_calm()


async def test_a_message_is_an_id_and_nothing_else_and_only_json_is_read(workplace: Workplace) -> None:
    [id] = await workplace.put("42")
    workplace.hints.send([(id, "email")])
    app, [name, *_] = app_for(workplace.broker), NOTIFICATION_QUEUES
    async with asyncio.timeout(10):
        while not (message := await asyncio.to_thread(take, app, name)):
            await asyncio.sleep(LOOK_SECONDS)
    args, kwargs, _ = json.loads(message.body)
    assert (args, kwargs) == ([id], {})
    assert message.headers["task"] == name

    pickled = pickle.dumps((["x"], {}, {}))
    with app.producer_or_acquire() as producer:
        say = {"exchange": name, "routing_key": name, "headers": message.headers}
        for body, kind in ((pickled, "application/x-python-serialize"), ([["a", "b"], {}, {}], None)):
            encoding = {"content_type": kind, "content_encoding": "binary"} if kind else {}
            producer.publish(body, **say, **encoding)
        producer.publish([[id], {}, {}], **say)
    worker = await workplace.cluster.start_worker()
    assert await workplace.over(id) == [Status.SENT]
    worker.require_alive()


def take(app: Celery, queue: str) -> Message | None:
    """The next message of a queue, taken for good."""
    with app.connection_for_read() as connection:
        message: Message | None = app.amqp.queues[queue].bind(connection.default_channel).get(no_ack=True)
        return message
