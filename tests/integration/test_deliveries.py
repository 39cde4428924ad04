"""Deliveries in SQL: claimed once, fenced, found again. On SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from hub.domain.delivery import Status
from hub.domain.drafts import Contact
from hub.store.deliveries import Call, Deliveries, Step
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


async def test_a_call_is_not_started_when_the_lease_has_ended(world: World) -> None:
    [id] = await world.put("42")
    found = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert found is not None
    world.pass_time(LEASE)
    assert await world.deliveries.start_call(id, found.fence, provider="p", now=world.now) is None
    assert (await world.delivery(id)).attempts == 0


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


# -- what people see ---------------------------------------------------------------------------------
async def test_a_call_is_in_the_history_from_its_start_to_its_end(world: World) -> None:
    [id] = await world.put("42")
    fence = await world.claim_and_call(id)
    [running] = await world.deliveries.attempts(id)
    assert (running.number, running.outcome, running.started_at) == (1, None, world.now)
    call = Call(number=1, outcome="temporary", duration_ms=12.5, detail="451 later")
    await world.finish(id, fence, Step(status=Status.FAILED, due_at=world.now, call=call))
    await world.claim_and_call(id)
    first, second = await world.deliveries.attempts(id)
    assert (first.outcome, first.duration_ms, first.detail) == ("temporary", 12.5, "451 later")
    assert (second.number, second.outcome) == (2, None)


async def test_a_person_sees_their_own_deliveries_of_the_events_asked_for(world: World) -> None:
    [mine, _] = await world.put("42", "7")
    first = world.event_id
    fence = await world.claim_and_call(mine)
    await world.finish(mine, fence, Step(status=Status.FAILED, due_at=world.now, error="451 later"))
    await world.put("42")
    assert await world.deliveries.channels_of("acme", "42", [first]) == {
        first: [{"channel": "email", "status": "retrying", "attempts": 1, "error": "451 later"}]
    }
    assert await world.deliveries.channels_of("other", "42", [first]) == {}
    assert await world.deliveries.channels_of("acme", "42", []) == {}


async def test_cancelling_stops_what_has_not_left_and_nothing_else(world: World) -> None:
    pending, failed, sent, held = await world.put("a", "b", "c", "d", expand=[("role:ADMIN", ("email",))])
    event_id = world.event_id
    [other] = await world.put("a")
    fence = await world.claim_and_call(failed)
    await world.finish(failed, fence, Step(status=Status.FAILED, due_at=world.now))
    await world.finish(sent, await world.claim_and_call(sent), SENT)
    await world.claim_and_call(held)

    assert await world.deliveries.cancel_pending("other", event_id, now=world.now) == []
    cancelled = await world.deliveries.cancel_pending("acme", event_id, now=world.now)
    assert sorted(item.id for item in cancelled) == sorted([pending, failed])
    assert {item.update.status for item in cancelled} == {"cancelled"}
    assert [item.status for item in await world.all(sent, held, other)] == [
        Status.SENT,
        Status.SENDING,
        Status.PLANNED,
    ]
    world.pass_time(1e6)
    assert not await claim(world, pending)
    assert not await claim(world, failed)
    assert await world.expansions.open(limit=10) == []
    assert await world.deliveries.cancel_pending("acme", event_id, now=world.now) == []
