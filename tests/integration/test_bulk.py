"""What a worker takes from Redis: many messages at once, noted and forgotten as kombu itself would."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from kombu import asynchronous, connection

from tasks.hints import Hints
from tasks.queues import celery_app, queue_of
from tests.valkeys import Valkey

EMAIL = queue_of("email")
PREFETCH = 20
Hub: Any = asynchronous.Hub  # kombu has no types
Connection: Any = connection.Connection


class Taken:
    """A consumer of mail hints, of which there are 30, and what stands in Redis."""

    def __init__(self, valkey: Valkey) -> None:
        self.app = celery_app(valkey.url)
        hints = Hints(lambda: self.app)
        hints.send([(f"d{number}", "email") for number in range(30)])
        hints.close(timeout=10)
        self.redis = redis.Redis(port=valkey.port)
        self.messages: list[Any] = []
        self.connection = self.app.connection_for_read()
        self.channel = self.connection.channel()
        self.channel.basic_qos(0, PREFETCH, False)
        self.channel.basic_consume(EMAIL, False, self.messages.append, "tag")

    def counted(self) -> tuple[int, int, int]:
        """How many wait, are noted, and have a time at which they are given back."""
        return self.redis.llen(EMAIL), self.redis.hlen("unacked"), self.redis.zcard("unacked_index")

    def calls(self, command: str) -> int:
        return int(self.redis.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


@pytest.fixture
def taken(valkey: Valkey) -> Iterator[Taken]:
    taken = Taken(valkey)
    yield taken
    taken.connection.close()
    taken.redis.close()


def test_what_waits_is_taken_at_once_as_far_as_the_prefetch_allows(taken: Taken) -> None:
    noted = taken.calls("hset")
    taken.connection.drain_events(timeout=5)
    assert [message.decode()[0] for message in taken.messages] == [[f"d{number}"] for number in range(20)]
    assert taken.counted() == (30 - PREFETCH, PREFETCH, PREFETCH)
    assert taken.calls("hset") == noted + 1
    for message in taken.messages:
        message.ack()
    assert taken.counted() == (30 - PREFETCH, 0, 0)
    taken.connection.drain_events(timeout=5)
    assert len(taken.messages) == 30


def test_values_of_kombus_own_kinds_come_through_and_are_noted(taken: Taken) -> None:
    when = datetime(2026, 11, 26, 15, tzinfo=UTC)
    with taken.app.producer_pool.acquire(block=True) as producer:
        taken.app.send_task(
            EMAIL, ("later",), queue=EMAIL, routing_key=EMAIL, producer=producer, headers={"when": when}
        )
    while len(taken.messages) < 31:
        taken.connection.drain_events(timeout=5)
        for message in taken.messages:
            if not message.acknowledged and message.headers.get("when") is None:
                message.ack()
    last = taken.messages[-1]
    assert last.headers["when"] == when
    taken.channel.qos.restore_by_tag(last.delivery_tag)
    taken.connection.drain_events(timeout=5)
    assert taken.messages[-1].headers["when"] == when


def test_kombu_gives_back_what_a_dead_worker_has_noted(taken: Taken, valkey: Valkey) -> None:
    taken.connection.drain_events(timeout=5)
    note = taken.messages[3]
    with Connection(valkey.url) as other, other.channel() as channel:
        channel.qos.restore_by_tag(note.delivery_tag)
        channel.basic_consume(EMAIL, False, taken.messages.append, "tag")
        other.drain_events(timeout=5)
        assert taken.messages[-1].decode()[0] == ["d3"]
        assert taken.messages[-1].headers["redelivered"]


def test_what_is_done_is_forgotten_together_when_the_loop_comes_round(taken: Taken) -> None:
    hub = Hub()
    taken.connection.register_with_event_loop(hub)
    while not taken.messages:
        hub.run_once()
    told = taken.calls("hdel")
    for message in taken.messages[:15]:
        hub.call_soon(message.ack)
    while taken.counted()[1] != PREFETCH - 15 + len(taken.messages) - PREFETCH:
        hub.run_once()
    assert taken.calls("hdel") == told + 1
    while len(taken.messages) < 30:
        hub.run_once()
    for message in taken.messages[15:20]:
        message.ack()
    hub.close()
    assert taken.counted() == (0, 10, 10)
    taken.messages[20].ack()
    assert taken.counted() == (0, 9, 9)


def test_a_broker_that_is_away_gets_its_messages_back_later(taken: Taken, valkey: Valkey) -> None:
    hub = Hub()
    taken.connection.register_with_event_loop(hub)
    while not taken.messages:
        hub.run_once()
    taken.messages[0].ack()
    valkey.stop()
    assert not taken.channel.qos.can_consume()
    taken.channel.qos.forget()
    assert taken.channel.qos.can_consume()
    hub.close()
