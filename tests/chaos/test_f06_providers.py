"""Providers that limit, fail, hang, break off and go away, with a real worker and the real SDKs.

The providers are simulated; their ledger and the database are held against each other afterwards. Time is
compressed: a rest of the breaker is half a second instead of half a minute, a call may take one and a half.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from ulid import ULID

from hub.commands.simulate import environment
from hub.domain.delivery import Delivery, Status
from hub.domain.timing import RETRY_AFTER_SPREAD
from hub.providers.vapid import generate
from hub.services.calling import RESTING
from hub.simulator.server import Simulator
from hub.store.dead import DeadLetters
from hub.store.engine import Database
from hub.store.push import PushSubscriptions
from tasks.hints import Hints
from tasks.queues import celery_app
from tests.chaos.scale import patience, report, scaled
from tests.deliverers import World
from tests.hubs import HubCluster

pytestmark = [pytest.mark.chaos, patience(120)]

MESSAGES = scaled(12, 300)  # of each channel
DOWN_SECONDS = scaled(3.0, 40.0)  # for ten minutes, with rests that are as much shorter
CONCURRENCY = 8
TIMEOUT, REST, FAILURES = 1.5, 0.5, 5
LOOK_SECONDS = 0.1


class Sending:
    """A worker, its database, and providers that do as they are told."""

    def __init__(self, cluster: HubCluster, world: World, simulator: Simulator) -> None:
        self.cluster = cluster
        self.world = world
        self.simulator = simulator
        self.hints = Hints(partial(celery_app, cluster.valkey.url, prefix="hub", socket_seconds=1.0))
        self._addresses: dict[str, Callable[[str], str]] = {
            "email": "{}@example.org".format,
            "sms": lambda user: f"+8490{int(user):07}",
            "discord": lambda user: f"{simulator.url}/api/webhooks/{1 + int(user) % 3}/token",
        }

    async def _subscribe(self, count: int) -> None:
        """So many users have a browser each."""
        made = {str(number): json.dumps(self.simulator.subscribe()) for number in range(count)}
        for user, subscription in made.items():
            await PushSubscriptions(self.world.db).put(
                "acme",
                user,
                subscription,
                id=str(ULID()),
                user_agent=None,
                now=self.world.now,
                most=1,
            )
        self._addresses["webpush"] = made.__getitem__

    async def put(self, count: int, channel: str) -> list[str]:
        self.world.now = datetime.now(UTC)
        if channel == "webpush":
            await self._subscribe(count)
        address = self._addresses[channel]
        ids = await self.world.put(*map(str, range(count)), channel=channel, address=address)
        self.hints.send([(id, channel) for id in ids])
        return ids

    async def until(self, reached: Callable[[Delivery], bool], ids: list[str]) -> list[Delivery]:
        """These deliveries, once all of them have reached that."""
        async with asyncio.timeout(90):
            while True:
                found = await self.world.all(*ids)
                if all(map(reached, found)):
                    return found
                await asyncio.sleep(LOOK_SECONDS)

    async def over(self, ids: list[str]) -> list[Delivery]:
        return await self.until(
            lambda delivery: delivery.due_at is None and delivery.status != "sending", ids
        )

    def require_sound(self, deliveries: list[Delivery]) -> None:
        """What was sent was taken once; twice only where that is said; what was not, not at all."""
        accepts = self.simulator.ledger.accepts()
        for item in deliveries:
            taken = accepts[item.id]
            assert taken <= (2 if item.maybe_duplicate else 1), item
            assert taken or item.status is not Status.SENT, item
            assert not taken or item.status in (Status.SENT, Status.UNKNOWN), item


@pytest_asyncio.fixture
async def sending(tmp_path: Path, simulator: Simulator) -> AsyncIterator[Sending]:
    env = environment(simulator.url) | {
        "HUB_EMAIL_PROVIDERS": "sendgrid",
        "HUB_SMS_PROVIDERS": "twilio",
        "HUB_VAPID_PRIVATE_KEY": generate(),
        "HUB_PUBLIC_URL": simulator.url,
        "HUB_WORKER_CONCURRENCY": str(CONCURRENCY),
        "HUB_PROVIDER_TIMEOUT": str(TIMEOUT),
        "HUB_BREAKER_SECONDS": str(REST),
        "HUB_DELIVERY_ATTEMPTS": "20",
        "HUB_DELIVERY_LEASE": "6",
        "HUB_DELIVERY_BACKOFF": "0.2",
        "HUB_DELIVERY_BACKOFF_MAX": "1",
        "HUB_SWEEP_SECONDS": "0.2",
    }
    async with HubCluster(tmp_path, hubs=0, env=env) as cluster:
        db = await Database.open(f"sqlite+aiosqlite:///{cluster.database}")
        world = World(db)
        await world.log.open()
        sending = Sending(cluster, world, simulator)
        await cluster.start_worker()
        try:
            yield sending
        finally:
            sending.hints.close()
            await world.log.close()
            await db.close()


async def test_whatever_providers_do_each_message_is_taken_or_said_to_be_dead(sending: Sending) -> None:
    simulator = sending.simulator
    simulator.say("sendgrid", "500", "429:0.5", "reset", "accept-reset", "hang", "400", "503:1", "408")
    simulator.say("twilio", "503", "429:1", "400", "502", "reset", "accept-reset")
    simulator.say("discord", "429:1", "500", "accept-reset")
    simulator.say("webpush", "429:1", "503", "reset", "410", "accept-reset", "hang")
    began = time.monotonic()
    ids = {
        channel: await sending.put(MESSAGES, channel) for channel in ("email", "sms", "discord", "webpush")
    }
    found = {channel: await sending.over(some) for channel, some in ids.items()}
    for channel, some in found.items():
        sending.require_sound(some)
        ends = {item.status for item in some}
        # An SMS that may have been sent waits for Twilio's word, or for an operator.
        assert ends <= {Status.SENT, Status.DEAD} | ({Status.UNKNOWN} if channel == "sms" else set()), channel
    dead = [item for some in found.values() for item in some if item.status is Status.DEAD]
    assert sorted(item.channel for item in dead) == ["email", "sms", "webpush"]
    assert {item.attempts for item in dead} <= set(range(1, 20))
    assert [item.status for item in found["sms"]].count(Status.UNKNOWN) == 2
    # Nothing is hopeless: what is dead is sent when an operator says so.
    letters = DeadLetters(sending.world.db)
    again = [
        item.id for item in dead if item.channel != "webpush"
    ]  # a subscription that ended has no address
    for id in again:
        await letters.retry("acme", id, now=datetime.now(UTC))
    assert {item.status for item in await sending.over(again)} == {Status.SENT}
    doubles = sum(count - 1 for count in simulator.ledger.accepts().values())
    taken = len(simulator.ledger.accepts())
    report("F6 faults", taken=taken, doubles=doubles, seconds=round(time.monotonic() - began, 1))


async def require_the_wait_kept(sending: Sending) -> None:
    """A wait that is asked for is kept within a tenth."""
    sending.simulator.say("sendgrid", "429:1")
    [id] = await sending.put(1, "email")
    [limited] = await sending.until(lambda delivery: delivery.status is Status.FAILED, [id])
    assert limited.due_at is not None
    wait = (limited.due_at - limited.updated_at).total_seconds()
    assert 0.95 <= wait <= 1 * (1 + RETRY_AFTER_SPREAD)
    await sending.over([id])
    refused, taken = sending.simulator.ledger.of("sendgrid")
    assert taken.at - refused.at >= 1
    report("F6 Retry-After", asked=1.0, came=round(taken.at - refused.at, 2))


async def require_the_others_go_on_beside_one_that_hangs(sending: Sending) -> None:
    simulator = sending.simulator
    simulator.say("sendgrid", f"hang*{CONCURRENCY}")
    mails = await sending.put(MESSAGES, "email")
    await simulator.ledger.until(lambda ledger: any(ledger.of("sendgrid")))
    began = time.monotonic()
    texts = await sending.put(MESSAGES, "sms")
    assert {item.status for item in await sending.over(texts)} == {Status.SENT}
    unharmed = time.monotonic() - began
    found = await sending.over(mails)
    assert {item.status for item in found} == {Status.SENT}
    sending.require_sound(found)
    slow = [item for id in mails for item in await sending.world.deliveries.attempts(id)]
    longest = max(item.duration_ms or 0.0 for item in slow)
    report("F6 hang", texts_after=round(unharmed, 1), longest_call_ms=round(longest))


async def test_limits_are_kept_and_one_that_is_down_rests_while_the_other_channels_go_on(
    sending: Sending,
) -> None:
    simulator = sending.simulator
    await require_the_wait_kept(sending)
    await require_the_others_go_on_beside_one_that_hangs(sending)
    simulator.ledger.clear()
    simulator.say("sendgrid", "503*")
    began = time.monotonic()
    mails = await sending.put(MESSAGES, "email")
    await simulator.ledger.until(lambda ledger: len(list(ledger.of("sendgrid"))) >= FAILURES)
    texts = await sending.put(MESSAGES, "sms")
    assert {item.status for item in await sending.over(texts)} == {Status.SENT}
    unharmed = time.monotonic() - began
    await sending.until(lambda delivery: delivery.reason == RESTING or delivery.attempts > 0, mails)
    await asyncio.sleep(max(0.0, DOWN_SECONDS - (time.monotonic() - began)))
    calls = list(simulator.ledger.of("sendgrid"))
    # Five failures, what was under way beside them, and one look after each rest, which doubles.
    assert FAILURES <= len(calls) <= FAILURES + CONCURRENCY + DOWN_SECONDS / REST
    assert all(item.due_at is not None for item in await sending.world.all(*mails))
    simulator.forget("sendgrid")
    found = await sending.over(mails)
    assert {item.status for item in found} == {Status.SENT}
    sending.require_sound(found)
    report(
        "F6 down",
        calls=len(calls),
        texts_after=round(unharmed, 1),
        all_after=round(time.monotonic() - began, 1),
    )
