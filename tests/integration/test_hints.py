"""Telling the queue, on both kinds of broker: never waited for, bounded, honest about what is not known."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from functools import partial

import pytest
import redis

from tasks.hints import AT_ONCE, Hints
from tasks.messages import Messages
from tasks.queues import NOTIFICATION_QUEUES, QUEUES, celery_app, queue_of
from tests.brokers import Broker, RabbitBroker
from tests.valkeys import Valkey


@pytest.fixture
def hints(broker: Broker) -> Iterator[Hints]:
    hints = Hints(partial(celery_app, broker.url, prefix="hub", socket_seconds=0.5, heartbeat=None))
    yield hints
    hints.close()


async def depth(hints: Hints, channel: str, expected: int) -> None:
    """Returns when so many hints wait in the broker."""
    async with asyncio.timeout(10):
        while await hints.waiting(channel) != expected:
            await asyncio.sleep(0.02)


async def test_hints_reach_the_queue_of_their_channel(hints: Hints) -> None:
    assert await hints.waiting("email") == 0
    hints.send([(f"d{number}", "email") for number in range(3 * AT_ONCE)] + [("d", "sms")])
    await depth(hints, "email", 3 * AT_ONCE)
    await depth(hints, "sms", 1)
    assert hints.dropped == 0


async def test_hints_that_wait_together_are_one_command_to_redis(valkey: Valkey) -> None:
    hints = Hints(partial(celery_app, valkey.url, prefix="hub"))
    hints.send([("d0", "email")])
    await depth(hints, "email", 1)
    with redis.Redis(port=valkey.port) as client:
        before = client.info("commandstats")["cmdstat_lpush"]["calls"]
        hints.send([(f"d{number}", "email") for number in range(AT_ONCE)])
        await depth(hints, "email", 1 + AT_ONCE)
        assert client.info("commandstats")["cmdstat_lpush"]["calls"] == before + 1
    hints.close()


def test_a_hint_is_the_message_that_celery_would_send(valkey: Valkey) -> None:
    app = celery_app(valkey.url)
    name = queue_of("email")
    app.send_task(name, ("d1",), queue=name, routing_key=name, ignore_result=True)
    messages = Messages(app, name)
    with redis.Redis(port=valkey.port) as client:
        theirs = json.loads(client.rpop(name))
    ours, another = (json.loads(messages.of("d1")) for _ in range(2))
    ids = [("headers", "id"), ("headers", "root_id")]
    ids += [("properties", "correlation_id"), ("properties", "delivery_tag")]
    for part, field in ids:
        values = {message[part].pop(field) for message in (ours, another, theirs)}
        assert len(values) == 3
    assert ours == theirs == another


async def test_a_broker_that_does_not_answer_is_never_waited_for(hints: Hints, broker: Broker) -> None:
    hints.send([("d0", "email")])
    await depth(hints, "email", 1)
    broker.pause()
    try:
        started = time.monotonic()
        hints.send([(f"d{number}", "email") for number in range(100)])
        waited = time.monotonic() - started
        assert await hints.waiting("email") is None
    finally:
        broker.resume()
    assert waited < 0.5  # it would have waited for the socket's timeout
    async with asyncio.timeout(10):  # each arrives late, or is counted; one whose answer was late, both
        while (await hints.waiting("email") or 0) + hints.dropped < 1 + 100:
            await asyncio.sleep(0.02)


async def test_hints_flow_again_when_the_broker_is_back(hints: Hints, broker: Broker) -> None:
    hints.send([("d0", "email")])
    await depth(hints, "email", 1)
    broker.kill()
    assert await hints.waiting("email") is None
    hints.send([("d1", "email")])
    async with asyncio.timeout(10):
        while not hints.dropped:
            await asyncio.sleep(0.02)
    broker.start()
    broker.wipe()
    hints.send([("d2", "email")])
    await depth(hints, "email", 1)


async def test_what_does_not_fit_is_dropped_and_counted(valkey: Valkey) -> None:
    hints = Hints(partial(celery_app, valkey.url, socket_seconds=0.5), bound=10)
    valkey.pause()
    try:
        hints.send([(f"d{number}", "email") for number in range(500)])
        assert hints.dropped >= 500 - 10 - AT_ONCE
    finally:
        valkey.resume()
        hints.close()


async def test_closing_publishes_what_is_listed(valkey: Valkey) -> None:
    app = celery_app(valkey.url, prefix="hub")
    hints = Hints(lambda: app)
    hints.send([(f"d{number}", "email") for number in range(500)])
    hints.close(timeout=10)
    with redis.Redis(port=valkey.port) as client:
        assert client.llen("hub:notification.email") == 500


def test_every_queue_is_bound_by_its_exact_name() -> None:
    app = celery_app("redis://localhost:1/0")
    queues = {queue.name: queue for queue in app.conf.task_queues}
    assert tuple(queues) == QUEUES
    for name, queue in queues.items():
        assert (queue.exchange.type, queue.routing_key) == ("direct", name)
    assert {queue_of(channel) for channel in ("email", "sms", "discord", "webpush")} == set(
        NOTIFICATION_QUEUES
    )


def test_the_clock_sends_each_tick_to_its_queue_and_lets_it_grow_stale() -> None:
    app = celery_app("redis://localhost:1/0", sweep_seconds=3)
    schedule = app.conf.beat_schedule
    assert set(schedule) == {"task.timers", "task.cleanup", "task.report"}
    for name, entry in schedule.items():
        assert entry["options"]["queue"] == entry["options"]["routing_key"] == name
        assert entry["options"]["expires"] == 4 * entry["schedule"].total_seconds()
    assert schedule["task.timers"]["schedule"].total_seconds() == 3


def test_redis_gives_back_what_a_dead_worker_held() -> None:
    options = celery_app("unix:///run/redis.sock", prefix="p").conf.broker_transport_options
    assert (options["unacked_restore_interval"], options["unacked_restore_throttle"]) == (5, 1)
    assert options["global_keyprefix"] == "p:"
    assert celery_app("unix:///run/redis.sock").conf.broker_url == "redis+socket:///run/redis.sock"


async def test_rabbitmq_keeps_hints_and_the_connection_it_has_closed_costs_none(rabbit: RabbitBroker) -> None:
    app = celery_app(rabbit.url)
    hints = Hints(partial(celery_app, rabbit.url, heartbeat=None))
    hints.send([(f"d{number}", "email") for number in range(50)])
    await depth(hints, "email", 50)
    rabbit.kill()
    rabbit.start()
    with app.connection_for_read() as connection:
        queue = app.amqp.queues["notification.email"].bind(connection.default_channel)
        assert (queue.durable, queue.queue_arguments) == (True, {"x-queue-type": "quorum"})
        queue.declare()  # refused if it were of another kind
    await depth(hints, "email", 50)
    hints.send([("d50", "email")])
    await depth(hints, "email", 51)
    assert hints.dropped == 0
    hints.close()
