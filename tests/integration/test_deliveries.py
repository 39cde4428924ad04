"""Deliveries in SQL: claimed once, fenced, found again. On SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from hub.domain.delivery import Status, Step
from hub.domain.drafts import Contact
from hub.store.deliveries import Deliveries
from hub.store.engine import Database
from tests.deliverers import LEASE, World

SENT = Step(status=Status.SENT)


async def claim(world: World, id: str) -> bool:
    return await world.deliveries.claim(id, now=world.now, lease=LEASE) is not None


# -- claims ------------------------------------------------------------------------------------------
async def test_of_many_claimers_exactly_one_gets_each_delivery(world: World) -> None:
    ids = await world.put(*map(str, range(20)))
    claims = await asyncio.gather(
        *(world.deliveries.claim(id, now=world.now, lease=LEASE) for id in ids for _ in range(25))
    )
    won = sorted(claim.id for claim in claims if claim)
    assert won == sorted(ids)


async def test_of_claimers_in_different_processes_exactly_one_gets_each_delivery(
    world: World, url: str
) -> None:
    ids = await world.put(*map(str, range(20)))
    others = [await Database.open(url, pool=3) for _ in range(4)]
    claims = await asyncio.gather(
        *(Deliveries(db).claim(id, now=world.now, lease=LEASE) for id in ids for db in others)
    )
    assert sorted(claim.id for claim in claims if claim) == sorted(ids)
    for db in others:
        await db.close()


async def test_a_claim_brings_what_is_needed_to_send(world: World) -> None:
    await world.people.put("acme", Contact(user="42", locale="de", timezone="Asia/Tokyo"), now=world.now)
    await world.people.put("other", Contact(user="42", locale="fr", timezone="Europe/Paris"), now=world.now)
    [id] = await world.put("42")
    found = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert found is not None
    assert found.event is not None
    assert (found.event.id, found.event.data) == (world.event_id, {"propertyName": "Sea Inn"})
    assert (found.address, found.locale, found.timezone) == ("42@example.org", "de", "Asia/Tokyo")
    assert (found.fence, found.attempts, found.maybe_duplicate) == (1, 0, False)


async def test_what_is_not_due_is_not_claimed(world: World) -> None:
    [id] = await world.put("42", due_in=10)
    assert not await claim(world, id)
    world.pass_time(10)
    assert await claim(world, id)


async def test_nobody_claims_what_does_not_exist(world: World) -> None:
    await world.put("42")
    assert not await claim(world, "01JNOTHERE0000000000000000")


@pytest.mark.parametrize("status", [Status.SENT, Status.DEAD, Status.SKIPPED])
async def test_what_is_over_is_not_claimed_again(world: World, status: Status) -> None:
    [id] = await world.put("42")
    fence = await world.claim_and_call(id)
    assert await world.finish(id, fence, Step(status=status))
    world.pass_time(LEASE * 2)
    assert not await claim(world, id)
    assert await world.backlog.recover(now=world.now) == []


# -- fences ------------------------------------------------------------------------------------------
async def test_who_lost_the_fence_can_write_nothing(world: World) -> None:
    [id] = await world.put("42")
    first = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert first is not None
    world.pass_time(LEASE)
    await world.backlog.recover(now=world.now)
    second = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert second is not None
    assert second.fence == first.fence + 1

    assert await world.deliveries.start_call(id, first.fence, provider="p", now=world.now) is None
    assert await world.finish(id, first.fence, SENT) is None
    assert (await world.delivery(id)).status is Status.SENDING
    assert await world.finish(id, second.fence, SENT)


async def test_the_fence_holds_between_two_that_act_in_the_same_moment(world: World) -> None:
    [id] = await world.put("42")
    old = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    world.pass_time(LEASE)
    await world.backlog.recover(now=world.now)
    new = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert old is not None
    assert new is not None
    fences = (old.fence, new.fence, old.fence)
    calls = await asyncio.gather(
        *(world.deliveries.start_call(id, fence, provider="p", now=world.now) for fence in fences)
    )
    assert calls == [None, 1, None]
    steps = (Step(status=Status.DEAD), SENT, Step(status=Status.DEAD))
    moved = await asyncio.gather(
        *(world.finish(id, fence, step) for fence, step in zip(fences, steps, strict=True))
    )
    assert [delivery.status if delivery else None for delivery in moved] == [None, Status.SENT, None]
    assert (await world.delivery(id)).status is Status.SENT


async def test_a_call_is_not_started_when_the_lease_has_ended(world: World) -> None:
    [id] = await world.put("42")
    found = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert found is not None
    world.pass_time(LEASE)
    assert await world.deliveries.start_call(id, found.fence, provider="p", now=world.now) is None
    assert (await world.delivery(id)).attempts == 0


async def test_a_worker_that_overslept_its_lease_finds_its_claim_gone(world: World) -> None:
    [id] = await world.put("42")
    found = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert found is not None
    world.pass_time(LEASE)
    await world.backlog.recover(now=world.now)
    world.pass_time(5)
    assert await due(world) == [(id, "email")]  # with the queue's own lease, and still the same fence
    assert await world.deliveries.start_call(id, found.fence, provider="p", now=world.now) is None
    assert await world.finish(id, found.fence, Step(status=Status.DEAD)) is None
    assert (await world.delivery(id)).status is Status.QUEUED


async def test_a_late_answer_counts_as_long_as_nobody_else_has_claimed(world: World) -> None:
    [id] = await world.put("42")
    fence = await world.claim_and_call(id)
    world.pass_time(LEASE)
    await world.backlog.recover(now=world.now)
    assert (await world.delivery(id)).status is Status.UNKNOWN
    assert await world.finish(id, fence, SENT)
    delivery = await world.delivery(id)
    assert (delivery.status, delivery.maybe_duplicate) == (Status.SENT, False)


# -- what dead workers leave behind ------------------------------------------------------------------
async def test_a_worker_that_died_before_the_call_leaves_a_planned_delivery(world: World) -> None:
    [id] = await world.put("42")
    assert await claim(world, id)
    world.pass_time(LEASE - 1)
    assert await world.backlog.recover(now=world.now) == []
    world.pass_time(1)
    [lost] = await world.backlog.recover(now=world.now)
    assert (lost.id, lost.status, lost.attempts, lost.due_at) == (id, Status.PLANNED, 0, world.now)
    again = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert again is not None
    assert not again.maybe_duplicate


async def test_a_worker_that_died_during_the_call_leaves_a_possible_duplicate(world: World) -> None:
    [id] = await world.put("42")
    await world.claim_and_call(id)
    world.pass_time(LEASE)
    [lost] = await world.backlog.recover(now=world.now)
    assert (lost.status, lost.due_at, lost.attempts) == (Status.UNKNOWN, world.now, 1)
    [attempt] = await world.deliveries.attempts(id)
    assert (attempt.number, attempt.outcome, attempt.provider) == (1, "lost", "scripted")
    assert [item for item, _ in await due(world)] == [id]
    assert (await world.delivery(id)).status is Status.UNKNOWN
    again = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert again is not None
    assert again.maybe_duplicate


async def test_a_text_message_that_may_have_left_waits_for_an_operator(world: World) -> None:
    [id] = await world.put("42", channel="sms")
    await world.claim_and_call(id)
    world.pass_time(LEASE)
    [lost] = await world.backlog.recover(now=world.now)
    assert (lost.status, lost.due_at) == (Status.UNKNOWN, None)
    world.pass_time(1e6)
    assert await due(world, channel="sms") == []
    assert not await claim(world, id)


async def test_two_sweepers_recover_a_delivery_once(world: World) -> None:
    for id in await world.put(*map(str, range(10))):
        assert await claim(world, id)
    world.pass_time(LEASE)
    found = await asyncio.gather(*(world.backlog.recover(now=world.now) for _ in range(8)))
    assert sum(map(len, found)) == 10


# -- what is due -------------------------------------------------------------------------------------
async def due(world: World, *, channel: str = "email", limit: int = 100) -> list[tuple[str, str]]:
    return await world.backlog.due(channel, now=world.now, limit=limit, settle=2, trust=20)


async def test_a_new_delivery_is_left_to_whoever_wrote_it_for_a_moment(world: World) -> None:
    [id] = await world.put("42")
    world.pass_time(1.9)
    assert await due(world) == []
    world.pass_time(0.2)
    assert await due(world) == [(id, "email")]
    assert (await world.delivery(id)).status is Status.QUEUED


async def test_what_was_handed_out_is_handed_out_again_only_when_it_seems_lost(world: World) -> None:
    [id] = await world.put("42")
    world.pass_time(5)
    assert await due(world) == [(id, "email")]
    world.pass_time(19)
    assert await due(world) == []
    world.pass_time(1)
    assert await due(world) == [(id, "email")]
    assert await claim(world, id)


async def test_a_delivery_for_later_comes_when_it_is_due(world: World) -> None:
    [id] = await world.put("42", due_in=3600)
    world.pass_time(3599)
    assert await due(world) == []
    world.pass_time(1)
    assert await due(world) == [(id, "email")]


async def test_a_failed_delivery_comes_back_when_its_wait_is_over(world: World) -> None:
    [id] = await world.put("42")
    fence = await world.claim_and_call(id)
    step = Step(status=Status.FAILED, due_at=world.now + timedelta(seconds=30), error="451 later")
    assert await world.finish(id, fence, step)
    world.pass_time(29)
    assert await due(world) == []
    assert not await claim(world, id)
    world.pass_time(1)
    assert await due(world) == [(id, "email")]


async def test_the_longest_due_come_first_and_no_more_than_asked_for(world: World) -> None:
    late = await world.put("a", "b", due_in=20)
    early = await world.put("c", "d", due_in=10)
    world.pass_time(60)
    first = [id for id, _ in await due(world, limit=2)]
    second = [id for id, _ in await due(world, limit=2)]
    assert (sorted(first), sorted(second)) == (sorted(early), sorted(late))


async def test_a_channel_gets_only_its_own(world: World) -> None:
    await world.put("42", channel="sms")
    world.pass_time(60)
    assert await due(world) == []


async def test_two_sweepers_never_hand_out_the_same(world: World) -> None:
    ids = await world.put(*map(str, range(60)))
    world.pass_time(60)
    found = await asyncio.gather(*(due(world, limit=10) for _ in range(10)))
    handed = [id for part in found for id, _ in part]
    assert len(handed) == len(set(handed))
    rest = [id for id, _ in await due(world)]
    assert sorted(handed + rest) == sorted(ids)


async def test_what_a_claimer_holds_is_not_handed_out(world: World) -> None:
    [id] = await world.put("42")
    world.pass_time(60)
    assert await claim(world, id)
    assert await due(world) == []
