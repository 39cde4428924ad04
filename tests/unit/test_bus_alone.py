"""A bus without Redis: its own followers hear what it publishes, and the poll finds what others committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest
import pytest_asyncio

from hub.cluster.record import Record
from hub.domain.errors import Draining, StoreUnavailable, TenantUnknown
from hub.domain.events import Position
from tests.buses import CALM, NEVER, TENANT, Log, Node, Party, eventually


@pytest.fixture
def log() -> Log:
    return Log()


@pytest_asyncio.fixture
async def party(log: Log) -> AsyncIterator[Party]:
    party = Party(log, "test")
    yield party
    await party.close()


async def test_publishing_tells_local_followers_before_it_returns(party: Party, log: Log) -> None:
    node = await party.node(None)
    node.bus.publish(log.append_many(2))
    assert node.offsets() == [1, 2]
    assert node.bus.position(TENANT) == Position("e1", 2)
    assert not node.bus.connected


async def test_signals_and_volatile_events_pass_straight_through(party: Party, log: Log) -> None:
    node = await party.node(None)
    signal, volatile = Record(TENANT, "signal", body=b"1"), Record(TENANT, "event", body=b"2")
    node.bus.publish([log.append(), signal, volatile, signal])
    assert [record.kind for record in node.told] == ["event", "signal", "event", "signal"]


async def test_what_nobody_follows_is_not_told(party: Party, log: Log) -> None:
    node = await party.node(None, follow=False)
    node.bus.publish([log.append(), Record(TENANT, "signal")])
    assert node.told == []
    assert node.bus.position(TENANT) is None


async def test_control_reaches_every_process_without_following(party: Party) -> None:
    node = await party.node(None, follow=False)
    order = Record("", "control", meta={"revoke": "user:7"})
    node.bus.publish([order])
    assert node.told == [order]


async def test_own_records_out_of_order_are_put_in_order(party: Party, log: Log) -> None:
    node = await party.node(None, hole_seconds=NEVER, poll_seconds=NEVER)
    first, second, third = log.append_many(3)
    for record in (third, second, third, first, second):
        node.bus.publish([record])
    assert node.offsets() == [1, 2, 3]


async def test_following_starts_where_sql_stands(party: Party, log: Log) -> None:
    node = await party.node(None, follow=False)
    records = log.append_many(3)
    assert await node.bus.follow(TENANT) == Position("e1", 3)
    node.bus.publish(records)
    node.bus.publish([log.append()])
    assert node.offsets() == [4]


async def test_following_a_tenant_that_sql_does_not_know_is_refused(party: Party) -> None:
    node = await party.node(None, follow=False)
    with pytest.raises(TenantUnknown):
        await node.bus.follow("nobody")
    assert node.bus.position("nobody") is None


async def test_following_while_sql_is_away_is_refused_and_works_later(party: Party, log: Log) -> None:
    node = await party.node(None, follow=False)
    log.broken = True
    results = await asyncio.gather(*[node.bus.follow(TENANT) for _ in range(3)], return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 3
    log.broken = False
    assert await node.bus.follow(TENANT) == Position("e1", 0)


async def test_those_who_follow_at_once_share_one_question(party: Party, log: Log) -> None:
    node = await party.node(None, follow=False, poll_seconds=NEVER)
    positions = await asyncio.gather(*[node.bus.follow(TENANT) for _ in range(10)])
    assert set(positions) == {Position("e1", 0)}
    assert log.asked == [{TENANT}]


async def test_one_who_gives_up_following_does_not_stop_the_others(party: Party, log: Log) -> None:
    node = await party.node(None, follow=False)
    impatient, patient = (asyncio.create_task(node.bus.follow(TENANT)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == Position("e1", 0)
    with pytest.raises(asyncio.CancelledError):
        await impatient
    node.bus.publish([log.append()])
    assert node.offsets() == [1]
    node.bus.unfollow(TENANT)
    await eventually(lambda: node.bus.position(TENANT) is None)


async def test_a_tenant_is_followed_until_the_last_one_has_left(party: Party, log: Log) -> None:
    node = await party.node(None)
    await node.bus.follow(TENANT)
    node.bus.unfollow(TENANT)
    node.bus.publish([log.append()])
    node.bus.unfollow(TENANT)
    node.bus.publish([log.append()])  # it lingers
    assert node.offsets() == [1, 2]
    await eventually(lambda: node.bus.position(TENANT) is None)
    node.bus.publish([log.append()])
    assert node.offsets() == [1, 2]


async def test_coming_back_while_it_lingers_keeps_the_place(party: Party, log: Log) -> None:
    node = await party.node(None, poll_seconds=NEVER)
    node.bus.unfollow(TENANT)
    await node.bus.follow(TENANT)
    assert log.asked == [{TENANT}]
    await asyncio.sleep(2 * CALM.linger)  # nothing would tell of the lingering's end
    assert node.bus.position(TENANT) is not None


async def test_unfollowing_too_often_takes_nothing_from_others(party: Party) -> None:
    node = await party.node(None)
    for _ in range(3):
        node.bus.unfollow(TENANT)
    await node.bus.follow(TENANT)
    await asyncio.sleep(2 * CALM.linger)  # nothing would tell of the lingering's end
    assert node.bus.position(TENANT) is not None
    node.bus.unfollow(TENANT)
    await eventually(lambda: node.bus.position(TENANT) is None)


async def test_the_poll_finds_what_nobody_mentioned(party: Party, log: Log) -> None:
    node = await party.node(None)
    log.append_many(3)
    await node.hears_offset(3)
    assert node.offsets() == [1, 2, 3]


async def test_the_poll_asks_once_for_all_tenants(party: Party, log: Log) -> None:
    tenants = [f"t{number}" for number in range(20)]
    for tenant in tenants:
        log.append(tenant)
    node = await party.node(None, follow=False, poll_seconds=0.02)
    for tenant in tenants:
        await node.bus.follow(tenant)
    log.asked.clear()
    await eventually(lambda: log.asked)
    assert log.asked[0] == set(tenants)


async def test_the_poll_survives_a_database_that_is_away(party: Party, log: Log) -> None:
    node = await party.node(None, poll_seconds=0.02)
    log.append()
    log.broken = True
    log.asked.clear()
    await eventually(lambda: len(log.asked) > 2)
    assert node.offsets() == []
    log.broken = False
    await node.hears_offset(1)


async def test_catching_up_reads_now(party: Party, log: Log) -> None:
    node = await party.node(None, hole_seconds=NEVER, poll_seconds=NEVER)
    log.append_many(700)
    assert await node.bus.catch_up(TENANT) == Position("e1", 700)
    assert node.offsets() == list(range(1, 701))


async def test_catching_up_tells_when_sql_is_away(party: Party, log: Log) -> None:
    node = await party.node(None)
    log.broken = True
    with pytest.raises(StoreUnavailable):
        await node.bus.catch_up(TENANT)


async def test_catching_up_needs_following(party: Party) -> None:
    node = await party.node(None, follow=False)
    with pytest.raises(LookupError, match="acme"):
        await node.bus.catch_up(TENANT)


async def test_a_new_epoch_is_noticed_by_its_first_record(party: Party, log: Log) -> None:
    node = await party.node(None, poll_seconds=NEVER)
    node.bus.publish(log.append_many(3))
    log.restart("e2")
    log.asked.clear()
    node.bus.publish(log.append_many(3))
    await eventually(lambda: node.bus.position(TENANT) == Position("e2", 3))
    assert log.asked == [{TENANT}]
    node.bus.publish([log.append()])
    assert [(record.epoch, record.offset) for record in node.told[3:]] == [("e2", 4)]


async def test_a_new_epoch_is_noticed_by_the_poll(party: Party, log: Log) -> None:
    node = await party.node(None)
    node.bus.publish(log.append_many(3))
    log.restart("e2")
    await eventually(lambda: node.bus.position(TENANT) == Position("e2", 0))
    assert node.offsets() == [1, 2, 3]


async def test_who_publishes_while_told_is_told_in_order(party: Party, log: Log) -> None:
    node = await party.node(None, poll_seconds=NEVER, hole_seconds=NEVER)
    first, second, third = log.append_many(3)
    finished: list[int] = []

    def answer(record: Record) -> None:
        if record.offset == 1:
            node.bus.publish([third])
        finished.append(record.offset)

    node.on_told = answer
    node.bus.publish([second])
    node.bus.publish([first])
    assert node.offsets() == finished == [1, 2, 3]


async def test_a_record_that_cannot_be_delivered_does_not_stop_the_next(party: Party, log: Log) -> None:
    node = await party.node(None)

    def refuse(record: Record) -> None:
        if record.offset == 1:
            raise RuntimeError("a bug")

    node.on_told = refuse
    node.bus.publish(log.append_many(2))
    assert node.offsets() == [1, 2]
    assert node.bus.counts.failed == 1


async def test_closing_ends_every_task_and_who_waits_is_told(log: Log) -> None:
    asked = asyncio.Event()

    async def positions(tenants: Collection[str]) -> dict[str, Position]:
        asked.set()
        await asyncio.sleep(NEVER)
        return {}

    before = asyncio.all_tasks()
    node = Node(None, log, positions=positions)
    await node.bus.open()
    waiting = asyncio.create_task(node.bus.follow(TENANT))
    await asked.wait()
    await node.bus.close()
    with pytest.raises(Draining):
        await waiting
    assert asyncio.all_tasks() == before


def test_a_url_that_is_none_is_refused_at_once(log: Log) -> None:
    with pytest.raises(ValueError, match="Redis URL"):
        Node("localhost", log)
