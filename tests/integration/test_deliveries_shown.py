"""What people see of deliveries, and what they can take back."""

from __future__ import annotations

from hub.domain.delivery import Call, Status, Step
from tests.deliverers import LEASE, World


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
    world.pass_time(LEASE)
    await world.backlog.recover(now=world.now)
    assert [attempt.outcome for attempt in await world.deliveries.attempts(id)] == ["temporary", "lost"]


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
    await world.finish(sent, await world.claim_and_call(sent), Step(status=Status.SENT))
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
    assert not await world.deliveries.claim(pending, now=world.now, lease=LEASE)
    assert not await world.deliveries.claim(failed, now=world.now, lease=LEASE)
    assert await world.expansions.open(limit=10) == []
    assert await world.deliveries.cancel_pending("acme", event_id, now=world.now) == []
