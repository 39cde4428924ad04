"""Two hub processes while Valkey dies, hangs or stops reading: nobody misses an event, nobody waits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from hub.cluster import publisher
from hub.cluster.listener import Listener
from hub.cluster.record import Record
from tests.buses import CALM, NEVER, PATIENT, QUICK, TENANT, Log, Node, Party, eventually
from tests.valkeys import Proxy, Valkey


@pytest.fixture
def log() -> Log:
    return Log()


@pytest_asyncio.fixture
async def party(log: Log, prefix: str) -> AsyncIterator[Party]:
    party = Party(log, prefix)
    yield party
    await party.close()


class Traffic:
    """Commits events and publishes them on random nodes, until it is left. Some are never published."""

    def __init__(self, log: Log, nodes: list[Node]) -> None:
        self._log = log
        self._nodes = nodes
        self._dice = random.Random(7)

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        assert self._task.cancelled()
        for node in self._nodes:
            await node.hears_offset(self._log.offset())

    async def _run(self) -> None:
        while True:
            records = self._log.append_many(self._dice.randint(1, 5))
            if self._dice.random() > 0.05:
                self._dice.choice(self._nodes).bus.publish(records)
            await asyncio.sleep(0.001)


async def more(log: Log, count: int = 50) -> None:
    """Returns when that many events more were committed: the traffic flows."""
    goal = log.offset() + count
    await eventually(lambda: log.offset() >= goal)


def nothing_is_lost(log: Log, *nodes: Node) -> None:
    for node in nodes:
        assert node.offsets() == list(range(1, log.offset() + 1))


def reconnects(node: Node) -> int:
    assert node.bus.listener is not None
    return node.bus.listener.reconnects


async def test_nothing_is_lost_when_valkey_is_killed_and_comes_back_empty(
    party: Party, log: Log, valkey: Valkey
) -> None:
    one, other = [await party.node(valkey.url, pace=QUICK) for _ in range(2)]
    async with Traffic(log, [one, other]):
        for _ in range(2):
            await more(log)
            valkey.kill()
            await eventually(lambda: not one.bus.connected and not other.bus.connected)
            await more(log)
            valkey.start()
            await eventually(lambda: one.bus.connected and other.bus.connected)
        await more(log)
    nothing_is_lost(log, one, other)
    assert min(reconnects(one), reconnects(other)) >= 2


async def test_after_valkey_is_back_records_arrive_by_it_again(
    party: Party, log: Log, valkey: Valkey
) -> None:
    one, other = [await party.node(valkey.url, poll_seconds=NEVER, pace=QUICK) for _ in range(2)]
    valkey.kill()
    await eventually(lambda: not other.bus.connected)
    valkey.start()
    await eventually(lambda: other.bus.connected)
    signal = Record(TENANT, "signal")
    while not other.told:
        one.bus.publish([signal])  # until its breaker closes
        await asyncio.sleep(0.01)
    assert {record.kind for record in other.told} == {"signal"}


async def test_what_was_missed_is_read_as_soon_as_valkey_is_back(
    party: Party, log: Log, valkey: Valkey
) -> None:
    node = await party.node(valkey.url, poll_seconds=NEVER, hole_seconds=NEVER, pace=QUICK)
    valkey.kill()
    await eventually(lambda: not node.bus.connected)
    log.append_many(5)
    valkey.start()
    await node.hears_offset(5)
    nothing_is_lost(log, node)


async def test_nothing_is_lost_while_valkey_is_stopped_and_continues(
    party: Party, log: Log, valkey: Valkey
) -> None:
    pace = replace(QUICK, silence=NEVER)  # the same connection sleeps and wakes
    one, other = [await party.node(valkey.url, pace=pace) for _ in range(2)]
    async with Traffic(log, [one, other]):
        for _ in range(3):
            await more(log)
            valkey.pause()
            await more(log, 300)
            valkey.resume()
            await more(log, 300)
    nothing_is_lost(log, one, other)
    assert reconnects(one) == reconnects(other) == 0


async def test_a_valkey_that_is_stopped_is_noticed(party: Party, log: Log, valkey: Valkey) -> None:
    one, other = [await party.node(valkey.url, pace=QUICK) for _ in range(2)]
    async with Traffic(log, [one, other]):
        await more(log)
        valkey.pause()
        await eventually(lambda: not one.bus.connected and not other.bus.connected)
        valkey.resume()
        await eventually(lambda: one.bus.connected and other.bus.connected)
    nothing_is_lost(log, one, other)


async def test_a_peer_that_stops_reading_is_noticed(party: Party, log: Log, proxy: Proxy) -> None:
    one, other = [await party.node(proxy.url, pace=QUICK) for _ in range(2)]
    async with Traffic(log, [one, other]):
        await more(log)
        proxy.freeze()
        await eventually(lambda: not one.bus.connected and not other.bus.connected)
        await more(log)
        proxy.thaw()
        await eventually(lambda: one.bus.connected and other.bus.connected)
        await more(log)
    nothing_is_lost(log, one, other)
    assert one.bus.publisher is not None
    assert one.bus.publisher.dropped > 0


async def test_a_quiet_connection_is_not_taken_for_a_dead_one(party: Party, valkey: Valkey) -> None:
    pace = replace(QUICK, ping=0.1, silence=1.0)
    node = await party.node(valkey.url, pace=pace)
    await asyncio.sleep(1.5 * pace.silence)  # nothing tells that nothing happens
    assert node.bus.connected
    assert reconnects(node) == 0


async def test_opening_and_following_go_on_without_valkey(party: Party, log: Log, valkey: Valkey) -> None:
    valkey.stop()
    one, other = [await party.node(valkey.url) for _ in range(2)]
    assert not one.bus.connected
    async with Traffic(log, [one, other]):
        await more(log)
        valkey.start()
        await eventually(lambda: one.bus.connected and other.bus.connected)
    nothing_is_lost(log, one, other)


async def test_following_does_not_wait_for_a_valkey_that_hangs(
    party: Party, log: Log, valkey: Valkey
) -> None:
    pace = replace(CALM, subscribe=0.05)
    node = await party.node(valkey.url, follow=False, pace=pace, poll_seconds=NEVER)
    valkey.pause()
    position = await node.bus.follow(TENANT)
    assert position.offset == 0
    node.bus.publish([log.append()])
    assert node.offsets() == [1]
    valkey.resume()


async def test_who_waits_for_a_subscription_goes_on_when_valkey_dies(party: Party, valkey: Valkey) -> None:
    node = await party.node(valkey.url, follow=False)
    valkey.pause()
    waiting = asyncio.create_task(node.bus.follow(TENANT))
    await asyncio.sleep(0)
    valkey.kill()
    assert (await waiting).offset == 0


async def test_the_position_is_read_after_the_subscription(party: Party, log: Log, valkey: Valkey) -> None:
    node = await party.node(valkey.url, follow=False, poll_seconds=NEVER)
    valkey.pause()
    waiting = asyncio.create_task(node.bus.follow(TENANT))
    for _ in range(20):
        await asyncio.sleep(0)
    assert log.asked == []
    log.append()
    valkey.resume()
    assert (await waiting).offset == 1


async def test_publishing_without_valkey_neither_raises_nor_waits_and_is_bounded(
    party: Party, log: Log, valkey: Valkey
) -> None:
    valkey.stop()
    node = await party.node(valkey.url, pace=replace(QUICK, rest=NEVER))
    assert node.bus.publisher is not None
    count = publisher.QUEUE_RECORDS + 500
    records = log.append_many(count)
    node.bus.publish(records)
    assert node.told == records
    assert node.bus.publisher.dropped == 500
    await eventually(lambda: node.bus.publisher and node.bus.publisher.dropped == count)
    node.bus.publish([log.append()])
    assert node.bus.publisher.dropped == count + 1  # the breaker is open
    assert node.offsets() == list(range(1, count + 2))


async def test_what_waits_for_valkey_is_bounded_in_bytes(
    party: Party, log: Log, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "QUEUE_BYTES", 100_000)
    valkey.pause()
    node = await party.node(valkey.url, pace=QUICK)
    assert node.bus.publisher is not None
    node.bus.publish([log.append(body=b"x" * 10_000) for _ in range(20)])
    assert 10 <= node.bus.publisher.dropped <= 12
    assert node.offsets() == list(range(1, 21))


async def test_a_publisher_whose_connection_was_closed_while_idle_loses_nothing(
    party: Party, log: Log, valkey: Valkey
) -> None:
    one, other = [await party.node(valkey.url, poll_seconds=NEVER) for _ in range(2)]
    one.bus.publish([log.append()])
    await other.hears_offset(1)
    valkey.kill()
    valkey.start()
    await eventually(lambda: reconnects(other) == 1 and other.bus.connected)
    one.bus.publish([Record(TENANT, "signal")])
    await other.hears(lambda: other.told[-1].kind == "signal")
    assert one.bus.publisher is not None
    assert one.bus.publisher.dropped == 0


async def test_what_valkey_refuses_is_a_fault_like_any_other(party: Party, log: Log, valkey: Valkey) -> None:
    async with Redis.from_url(valkey.url) as client:
        grant = ("ACL", "SETUSER", "hub", "on", ">secret", "resetkeys", "allchannels", "+@all")
        await client.execute_command(*grant, "-publish", "-subscribe")
        url = valkey.url.replace("//", "//hub:secret@")
        one, other = [await party.node(url, pace=replace(QUICK, silence=PATIENT)) for _ in range(2)]
        assert not one.bus.connected
        one.bus.publish([Record(TENANT, "signal", body=b"lost")])
        await eventually(lambda: one.bus.publisher and one.bus.publisher.dropped == 1)
        await client.execute_command(*grant)
        await eventually(lambda: one.bus.connected and other.bus.connected)
        async with asyncio.timeout(PATIENT):
            while not other.told:  # the breaker closes by itself
                one.bus.publish([Record(TENANT, "signal", body=b"heard")])
                await asyncio.sleep(0.02)
    assert {record.body for record in other.told} == {b"heard"}


async def test_closing_sends_what_waits(party: Party, log: Log, valkey: Valkey) -> None:
    one, other = [await party.node(valkey.url, poll_seconds=NEVER) for _ in range(2)]
    one.bus.publish(log.append_many(3000))
    await one.bus.close()
    await other.hears_offset(3000)
    nothing_is_lost(log, other)
    assert other.bus.repairs.filled == 0


async def test_closing_ends_soon_and_leaves_nothing_when_valkey_hangs(log: Log, valkey: Valkey) -> None:
    before = asyncio.all_tasks()
    node = Node(valkey.url, log, pace=QUICK)
    await node.bus.open()
    await node.bus.follow(TENANT)
    valkey.pause()
    node.bus.publish([log.append()])
    await node.bus.close()
    assert asyncio.all_tasks() == before


async def test_listening_ends_also_when_the_connection_breaks_at_that_moment(valkey: Valkey) -> None:
    pace = replace(CALM, backoff=0.02)
    async with Redis.from_url(valkey.url) as client:
        for ticks in range(40):
            listener = Listener(valkey.url, pace=pace, receive=lambda *_: None, restored=lambda: None)
            listener.want(b"news")
            await listener.open()
            assert listener.connected
            killing = asyncio.ensure_future(client.client_kill_filter(_type="pubsub"))
            for _ in range(ticks % 20):
                await asyncio.sleep(0)
            if ticks < 20:
                await killing
            async with asyncio.timeout(PATIENT):
                await listener.close()
            await killing
            assert not listener.connected
