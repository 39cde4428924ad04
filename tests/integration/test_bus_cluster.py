"""Two hub processes over one Valkey: what one commits, the other tells, in order and once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from hub.cluster.parcel import Packer, part_of
from hub.cluster.record import Record
from tests.buses import CALM, NEVER, TENANT, Log, Node, Party, eventually
from tests.certificates import Pair
from tests.realtime import on_both_loops
from tests.valkeys import Proxy, Valkey

KEY = b"a key that processes share"


@pytest.fixture
def log() -> Log:
    return Log()


@pytest_asyncio.fixture
async def party(log: Log, prefix: str) -> AsyncIterator[Party]:
    party = Party(log, prefix)
    yield party
    await party.close()


@pytest_asyncio.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey_url) as client:
        yield client


async def two(
    party: Party,
    url: str,
    *,
    key: bytes | None = None,
    hole_seconds: float = NEVER,
    poll_seconds: float = NEVER,
) -> tuple[Node, Node]:
    """Two nodes; unless told otherwise they hear each other by Valkey or not at all."""
    one, other = [
        await party.node(url, key=key, hole_seconds=hole_seconds, poll_seconds=poll_seconds) for _ in range(2)
    ]
    assert one.bus.connected
    assert other.bus.connected
    return one, other


@on_both_loops
async def test_valkey_is_talked_to_over_tls(valkey: Valkey, certificate: Pair, prefix: str, log: Log) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    proxy, party = Proxy(valkey.port, tls=context), Party(log, prefix)
    await proxy.open()
    try:
        url = f"rediss://127.0.0.1:{proxy.port}/0?ssl_ca_certs={certificate.chain}"
        one, other = await two(party, url)
        one.bus.publish([log.append(body=b'"%b"' % (b"long" * 50_000)), log.append()])
        await other.hears_offset(2)
        assert other.told == one.told
    finally:
        await party.close()
        await proxy.close()


async def test_both_are_told_once_whoever_publishes(party: Party, log: Log, valkey_url: str) -> None:
    one, other = await two(party, valkey_url)
    for _ in range(50):
        one.bus.publish([log.append()])
        await other.hears_offset(log.offset())
        other.bus.publish([log.append()])
        await one.hears_offset(log.offset())
    assert one.offsets() == other.offsets() == list(range(1, 101))
    assert one.told == other.told
    assert log.fills == []


async def test_everything_of_one_tick_arrives(party: Party, log: Log, valkey_url: str) -> None:
    one, other = await two(party, valkey_url)
    records = log.append_many(5000)
    for record in records:
        one.bus.publish([record])
    await other.hears_offset(5000)
    assert other.told == records
    assert one.bus.publisher is not None
    assert (one.bus.publisher.published, one.bus.publisher.dropped) == (5000, 0)


async def test_two_who_commit_in_turns_are_heard_in_the_order_of_the_log(
    party: Party, log: Log, valkey_url: str
) -> None:
    one, other = await two(party, valkey_url, hole_seconds=5.0)
    for _ in range(500):
        first, second = log.append_many(2)
        one.bus.publish([second])
        other.bus.publish([first])
        await asyncio.sleep(0)
    for node in (one, other):
        await node.hears_offset(1000)
        assert node.offsets() == list(range(1, 1001))


async def test_records_in_any_order_are_told_in_order(party: Party, log: Log, valkey_url: str) -> None:
    one, other = await two(party, valkey_url)
    records = log.append_many(40)
    one.bus.publish([*records[20:], *reversed(records[:20])])
    await other.hears_offset(40)
    assert other.told == one.told == records


async def test_withheld_records_are_read_from_sql(party: Party, log: Log, valkey_url: str) -> None:
    one, other = await two(party, valkey_url, hole_seconds=0.02, poll_seconds=0.1)
    for number in range(300):
        record = log.append()
        if number % 7:
            one.bus.publish([record])
        if number % 10 == 0:
            await asyncio.sleep(0)
    for node in (one, other):
        await node.hears_offset(300)
        assert node.offsets() == list(range(1, 301))
    assert other.bus.repairs.filled > 0


async def test_signals_and_orders_reach_the_other_process(party: Party, valkey_url: str) -> None:
    one, other = await two(party, valkey_url)
    signal = Record(TENANT, "signal", meta={"rooms": ["user:7"]}, body=b'{"count":3}')
    order = Record("", "control", meta={"revoke": "user:7"})
    one.bus.publish([signal, order])
    await other.hears(lambda: len(other.told) == 2)
    # They stand on different channels, so nothing is promised about their order.
    assert {record.kind: record for record in other.told} == {"signal": signal, "control": order}
    assert one.told == [signal, order]


async def test_a_process_hears_only_the_tenants_it_follows(party: Party, log: Log, valkey_url: str) -> None:
    one, other = await two(party, valkey_url)
    log.append("globex")
    await one.bus.follow("globex")
    one.bus.publish([log.append("globex"), log.append()])
    await other.hears_offset(1)
    assert [record.tenant for record in other.told] == [TENANT]
    assert other.bus.counts.received == 1


async def test_leaving_a_tenant_ends_its_subscription(
    party: Party, log: Log, valkey_url: str, prefix: str, redis: Redis
) -> None:
    node = await party.node(valkey_url)

    async def channels() -> list[str | bytes]:
        return sorted(await redis.pubsub_channels(f"{prefix}:*"), key=str)

    control, tenant = f"{prefix}:control".encode(), f"{prefix}:t:{TENANT}".encode()
    assert await channels() == [control, tenant]
    node.bus.unfollow(TENANT)
    while await channels() != [control]:
        await asyncio.sleep(0.01)
    await node.bus.follow(TENANT)
    assert await channels() == [control, tenant]


async def test_with_a_key_signed_records_pass_and_others_are_counted(
    party: Party, log: Log, valkey_url: str
) -> None:
    one, other = await two(party, valkey_url, key=KEY)
    stranger = await party.node(valkey_url, key=None)
    forger = await party.node(valkey_url, key=b"a guess")
    for who in (stranger, forger):
        who.bus.publish([Record(TENANT, "signal", body=b"false")])
    await eventually(lambda: other.bus.counts.forged == 2)
    one.bus.publish([Record(TENANT, "signal", body=b"true")])
    await other.hears(lambda: other.told)
    assert [record.body for record in other.told] == [b"true"]


async def test_garbage_is_counted_and_the_listener_lives(
    party: Party, log: Log, valkey_url: str, prefix: str, redis: Redis
) -> None:
    one, other = await two(party, valkey_url)
    channels = f"{prefix}:t:{TENANT}".encode(), f"{prefix}:control".encode()
    order, signal = (
        Packer("x", None).pack(b"", [part_of(Record("", kind))]) for kind in ("control", "signal")
    )
    for channel, misplaced in zip(channels, (order, signal), strict=True):
        for data in (b"", b"garbage", b"{}", b"\xff" * 500, misplaced):
            await redis.publish(channel, data)
    await eventually(lambda: other.bus.counts.malformed == 10)
    one.bus.publish([log.append()])
    await other.hears_offset(1)
    assert other.told == one.told
    assert len(other.told) == 1
    assert other.bus.listener is not None
    assert other.bus.listener.reconnects == 0


async def test_a_record_that_cannot_be_encoded_is_told_here_and_counted(
    party: Party, log: Log, valkey_url: str
) -> None:
    one, other = await two(party, valkey_url)
    one.bus.publish([Record(TENANT, "signal", meta={"odd": object()}), log.append()])
    await other.hears_offset(1)
    assert len(one.told) == 2
    assert one.bus.counts.malformed == 1


async def test_many_tenants_are_subscribed_in_few_commands(
    party: Party, log: Log, valkey_url: str, prefix: str, redis: Redis
) -> None:
    tenants = [f"t{number}" for number in range(1200)]
    for tenant in tenants:
        log.append(tenant)
    # A ping would cut one write into two.
    node = await party.node(valkey_url, follow=False, pace=replace(CALM, ping=NEVER))
    before = (await redis.info("commandstats")).get("cmdstat_subscribe", {"calls": 0})["calls"]
    await asyncio.gather(*[node.bus.follow(tenant) for tenant in tenants])
    after = (await redis.info("commandstats"))["cmdstat_subscribe"]["calls"]
    assert len(await redis.pubsub_channels(f"{prefix}:t:*")) == 1200
    assert after - before == 3


async def test_what_is_published_in_one_turn_travels_in_one_message(
    party: Party, log: Log, valkey_url: str, prefix: str, redis: Redis
) -> None:
    one, other = await two(party, valkey_url)
    async with redis.pubsub(ignore_subscribe_messages=True) as listener:
        await listener.psubscribe(f"{prefix}:t:*")
        await listener.parse_response()
        one.bus.publish([*log.append_many(50), log.append("globex")])
        seen = [await listener.parse_response() for _ in range(2)]
    assert sorted(message[2] for message in seen) == [
        f"{prefix}:t:{TENANT}".encode(),
        f"{prefix}:t:globex".encode(),
    ]
    await other.hears_offset(50)
    assert other.told == one.told
