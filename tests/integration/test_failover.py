"""The next provider when one fails, and rest for one that goes on failing. On SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta

import pytest

from hub.domain.delivery import Status
from hub.domain.message import Message
from hub.providers.receipt import Permanent, Receipt, Temporary
from hub.services.calling import RESTING
from hub.services.deliver import MOST_LOST_CLAIMS, Deliver
from tests.deliverers import LEASE, RULES, Scripted, World

DOWN = Temporary("503 down")


def two(world: World) -> tuple[Scripted, Scripted, Deliver]:
    first, second = Scripted(name="first"), Scripted(name="second")
    return first, second, world.deliver(providers={"email": [first, second]}, attempts=8)


# -- the next one ------------------------------------------------------------------------------------
async def test_what_the_first_cannot_take_the_second_takes_in_the_same_breath(world: World) -> None:
    first, second, deliver = two(world)
    first.say(DOWN)
    [id] = await world.put("42")
    assert await deliver.send(id) is Status.SENT
    attempts = await world.deliveries.attempts(id)
    assert [(item.number, item.provider, item.outcome, item.detail) for item in attempts] == [
        (1, "first", "temporary", "503 down"),
        (2, "second", "sent", None),
    ]
    delivery = await world.delivery(id)
    assert (delivery.provider, delivery.attempts, delivery.maybe_duplicate) == ("second", 2, False)
    assert [update.status for update in world.updates] == ["sent"]
    assert len(second.sent) == 1


async def test_what_may_have_been_taken_is_not_given_to_another(world: World) -> None:
    first, second, deliver = two(world)
    first.say(Temporary("reset", unsure=True))
    [id] = await world.put("42")
    assert await deliver.send(id) is Status.FAILED
    assert second.sent == []
    assert (await world.delivery(id)).maybe_duplicate


async def test_what_is_refused_for_good_is_not_offered_to_another(world: World) -> None:
    first, second, deliver = two(world)
    first.say(Permanent("no such address"))
    [id] = await world.put("42")
    assert await deliver.send(id) is Status.DEAD
    assert second.sent == []


async def test_when_all_fail_the_one_that_is_well_first_decides_when(world: World) -> None:
    first, second, deliver = two(world)
    world.chance = 0.0
    first.say(Temporary("429", retry_after=50))
    second.say(Temporary("429", retry_after=20))
    [id] = await world.put("42")
    assert await deliver.send(id) is Status.FAILED
    assert (await world.delivery(id)).due_at == world.now + timedelta(seconds=20)
    world.pass_time(20)
    assert await deliver.send(id) is Status.SENT
    assert (len(first.sent), len(second.sent)) == (1, 2)  # the first has asked for more time


async def test_a_worker_that_dies_in_the_second_call_leaves_both_on_record(world: World) -> None:
    first, second, deliver = two(world)
    first.say(DOWN)
    second.go_on = asyncio.Event()
    [id] = await world.put("42")
    sending = asyncio.create_task(deliver.send(id))
    await second.called.wait()
    attempts = await world.deliveries.attempts(id)
    assert [(item.provider, item.outcome) for item in attempts] == [("first", "temporary"), ("second", None)]
    sending.cancel()
    world.pass_time(LEASE)
    [lost] = await world.backlog.recover(now=world.now)
    assert lost.status is Status.UNKNOWN
    assert [item.outcome for item in await world.deliveries.attempts(id)] == ["temporary", "lost"]


async def test_no_call_begins_that_the_lease_may_not_outlast(world: World) -> None:
    first, second, deliver = two(world)

    async def slowly(message: object) -> Temporary:
        world.pass_time(LEASE - 5)
        return DOWN

    first.send = slowly  # type: ignore[method-assign, assignment]
    [id] = await world.put("42")
    assert await deliver.send(id) is Status.FAILED
    assert second.sent == []


class OnlyFor(Scripted):
    def takes(self, message: Message) -> bool:
        return message.user == "a"


async def test_a_provider_that_is_for_some_gets_nothing_else(world: World) -> None:
    some, others = OnlyFor(name="some"), Scripted(name="others")
    deliver = world.deliver(providers={"email": [some, others]})
    for id in await world.put("a", "b"):
        assert await deliver.send(id) is Status.SENT
    assert ([m.user for m in some.sent], [m.user for m in others.sent]) == (["a"], ["b"])
    alone = world.deliver(providers={"email": OnlyFor(deque([Permanent("not for you")]))})
    [id] = await world.put("b")
    assert await alone.send(id) is Status.DEAD


# -- rest --------------------------------------------------------------------------------------------
async def break_it(world: World, provider: Scripted, deliver: Deliver, channel: str = "email") -> None:
    provider.say(*[DOWN] * RULES.failures)
    for id in await world.put(*map(str, range(RULES.failures)), channel=channel):
        assert await deliver.send(id) is Status.FAILED


async def test_one_that_fails_five_times_rests_and_costs_no_attempts(world: World) -> None:
    deliver = world.deliver()
    await break_it(world, world.provider, deliver)
    ids = await world.put("a", "b")
    for id in ids:
        assert await deliver.send(id) is Status.PLANNED
        delivery = await world.delivery(id)
        assert (delivery.attempts, delivery.reason) == (0, RESTING)
        assert delivery.due_at is not None
        assert RULES.rest <= (delivery.due_at - world.now).total_seconds() <= 1.1 * RULES.rest
    assert len(world.provider.sent) == RULES.failures

    world.pass_time(RULES.rest * 1.1)
    world.provider.go_on = asyncio.Event()
    probe = asyncio.create_task(deliver.send(ids[0]))
    await asyncio.wait({probe}, timeout=0)
    while len(world.provider.sent) == RULES.failures:
        await asyncio.sleep(0)
    assert await deliver.send(ids[1]) is Status.PLANNED  # one looks, the other waits
    world.provider.go_on.set()
    assert await probe is Status.SENT
    world.pass_time(60)
    assert await deliver.send(ids[1]) is Status.SENT
    assert (await world.delivery(ids[1])).reason is None
    assert [name for name in world.counts if name.startswith("breaker/")] == [
        "breaker/email/scripted/open",
        "breaker/email/scripted/half-open",
        "breaker/email/scripted/closed",
    ]


async def test_channels_and_their_providers_do_not_harm_each_other(world: World) -> None:
    mail, sms = Scripted(name="mail"), Scripted(name="sms")
    deliver = world.deliver(providers={"email": mail, "sms": sms})
    await break_it(world, mail, deliver)
    [id] = await world.put("42", channel="sms")
    assert await deliver.send(id) is Status.SENT


async def test_with_the_first_at_rest_the_second_is_asked_at_once(world: World) -> None:
    first, second, deliver = two(world)
    first.say(*[DOWN] * RULES.failures)
    ids = await world.put(*map(str, range(RULES.failures + 1)))
    for id in ids:
        assert await deliver.send(id) is Status.SENT
    assert len(first.sent) == RULES.failures
    assert (await world.delivery(ids[-1])).attempts == 1
    assert len(second.sent) == len(ids)


async def test_what_is_about_one_address_says_nothing_of_its_provider(world: World) -> None:
    deliver = world.deliver()
    world.provider.say(*[Temporary("451 greylisted", alone=True)] * 2 * RULES.failures)
    for id in await world.put(*map(str, range(2 * RULES.failures))):
        assert await deliver.send(id) is Status.FAILED
    [id] = await world.put("42")
    assert await deliver.send(id) is Status.SENT


class OfHosts(Scripted):
    def lane(self, address: str) -> str:
        return address[0]


async def test_a_provider_of_many_hosts_rests_for_the_one_that_fails(world: World) -> None:
    provider = OfHosts()
    deliver = world.deliver(providers={"email": provider})
    provider.say(*[DOWN] * RULES.failures)
    for id in await world.put(*(f"a{number}" for number in range(RULES.failures))):
        await deliver.send(id)
    bad, good = await world.put("a", "b")
    assert await deliver.send(bad) is Status.PLANNED
    assert await deliver.send(good) is Status.SENT


async def test_a_slow_provider_holds_its_share_of_the_calls_and_no_more(world: World) -> None:
    slow, quick = Scripted(name="slow"), Scripted(name="quick")
    slow.go_on = asyncio.Event()
    deliver = world.deliver(providers={"email": slow, "sms": quick})
    ids = await world.put(*map(str, range(6)))
    held = [asyncio.create_task(deliver.send(id)) for id in ids[:4]]
    while len(slow.sent) < 4:
        await asyncio.sleep(0.01)
    world.pass_time(3)
    for _ in range(MOST_LOST_CLAIMS + 2):  # who waits for long is not taken for a killer of workers
        for id in ids[4:]:
            assert await deliver.send(id) is Status.PLANNED
        world.pass_time(1.1)
    [other] = await world.put("42", channel="sms")
    assert await deliver.send(other) is Status.SENT
    slow.go_on.set()
    assert await asyncio.gather(*held) == [Status.SENT] * 4
    world.pass_time(2)
    assert await deliver.send(ids[4]) is Status.SENT


# -- what nobody knows -------------------------------------------------------------------------------
@pytest.mark.parametrize("channel", ["email", "discord", "sms"])
async def test_an_sms_that_may_have_been_sent_waits_and_the_others_are_repeated(
    world: World, channel: str
) -> None:
    provider = Scripted()
    provider.say(Temporary("reset", unsure=True), Receipt("r"))
    deliver = world.deliver(providers={channel: provider})
    [id] = await world.put("42", channel=channel)
    expected = Status.UNKNOWN if channel == "sms" else Status.FAILED
    assert await deliver.send(id) is expected
    delivery = await world.delivery(id)
    assert delivery.maybe_duplicate
    assert (delivery.due_at is None) is (channel == "sms")
