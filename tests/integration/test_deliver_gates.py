"""Whether and when a claimed delivery leaves: wishes, quiet hours, budgets, what was seen, and digests.

The real store on both databases, the real gates, time held still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.domain.budgets import Budgets, Over, Spend
from hub.domain.delivery import Status
from hub.domain.preferences import merged
from hub.providers.receipt import Temporary
from hub.store.inbox import Inbox
from hub.store.spending import Draw, Spending
from tests.deliverers import LEASE, START, World

QUIET = {"quietHours": {"start": "09:00", "end": "12:00", "timezone": "UTC"}}  # it is 10:00


async def wants(world: World, user: str = "42", **said: Any) -> None:
    await world.preferences.change("acme", user, lambda before: merged(before, said), now=world.now)


async def states(world: World, ids: Sequence[str]) -> list[tuple[str, str | None]]:
    found = {one.id: one for one in await world.all(*ids)}
    return [(found[id].status, found[id].reason) for id in ids]


async def test_what_was_muted_meanwhile_is_not_sent(world: World) -> None:
    [id] = await world.put("42")
    await wants(world, types={"booking.confirmed": {"email": False}})
    assert await world.deliver().send(id) is Status.SKIPPED
    assert await states(world, [id]) == [("skipped", "muted")]
    assert world.provider.sent == []


async def test_a_retry_that_falls_into_quiet_hours_waits_for_their_end_and_counts_no_attempt(
    world: World,
) -> None:
    [id] = await world.put("42")
    world.provider.say(Temporary("busy", retry_after=5))
    await world.deliver().send(id)
    await wants(world, **QUIET)
    world.pass_time(60)
    assert await world.deliver().send(id) is Status.PLANNED
    assert await world.deliver().send(id) is None
    waiting = await world.delivery(id)
    assert (waiting.due_at, waiting.attempts) == (datetime(2026, 11, 20, 12, tzinfo=UTC), 1)
    assert waiting.reason == "quiet hours until 2026-11-20T12:00:00Z"
    world.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert await world.deliver().send(id) is Status.SENT
    assert len(world.provider.sent) == 2


async def test_many_waits_do_not_look_like_dead_workers(world: World) -> None:
    [id] = await world.put("42")
    await wants(world, **QUIET)
    for _ in range(12):
        assert await world.deliver().send(id) is Status.PLANNED
        world.now += timedelta(days=1)
    await wants(world, quietHours=None)
    world.pass_time(7200)
    assert await world.deliver().send(id) is Status.SENT


async def test_what_is_critical_passes_quiet_hours(world: World) -> None:
    [id] = await world.put("42", event={"severity": "critical"})
    await wants(world, **QUIET)
    assert await world.deliver().send(id) is Status.SENT


async def test_what_was_seen_is_not_escalated(world: World) -> None:
    ids = [(await world.put("42", due_in=60, unless_seen=True))[0] for _ in range(3)]
    events = [one.event_id for one in await world.all(*ids)]
    inbox, rooms = Inbox(world.db), ["user:42"]
    await inbox.mark_seen("acme", "42", rooms, [events[0]], now=world.now)
    world.pass_time(60)
    assert await world.deliver().send(ids[1]) is Status.SENT
    await inbox.mark_all_read("acme", "42", rooms, now=world.now)
    for id in (ids[0], ids[2]):
        assert await world.deliver().send(id) is None
    assert await states(world, ids) == [
        ("skipped", "already read"),
        ("sent", None),
        ("skipped", "already read"),
    ]


# -- budgets ---------------------------------------------------------------------------------------------
async def test_a_spent_budget_skips_and_what_is_tried_again_was_counted(world: World) -> None:
    budgets = Budgets(per_address={"email": 2})
    ids = [(await world.put("42"))[0] for _ in range(3)]
    world.provider.say(Temporary("busy", retry_after=1))
    deliver = world.deliver(budgets=budgets)
    assert await deliver.send(ids[0]) is Status.FAILED
    world.pass_time(10)
    assert await deliver.send(ids[0]) is Status.SENT
    assert await deliver.send(ids[1]) is Status.SENT
    assert await deliver.send(ids[2]) is Status.SKIPPED
    assert (await states(world, [ids[2]]))[0][1] == "throttled: at most 2 mail a day to one address"
    [other] = await world.put("7")
    assert await deliver.send(other) is Status.SENT
    world.now += timedelta(days=1)
    [tomorrow] = await world.put("42")
    assert await deliver.send(tomorrow) is Status.SENT


async def test_no_more_is_granted_than_there_is_however_many_ask_at_once(world: World) -> None:
    ids = [(await world.put(str(number)))[0] for number in range(12)]
    deliver = world.deliver(budgets=Budgets(per_tenant={"email": 5}))
    ended = await asyncio.gather(*(deliver.send(id) for id in ids))
    assert (ended.count(Status.SENT), ended.count(Status.SKIPPED)) == (5, 7)
    assert len(world.provider.sent) == 5


# -- digests ---------------------------------------------------------------------------------------------
async def test_what_waits_for_a_digest_leaves_in_one_message_each_once(world: World) -> None:
    ids = [(await world.put("42", due_in=60 * n, digest="d"))[0] for n in range(1, 4)]
    [other] = await world.put("42", due_in=60, digest="other")
    world.pass_time(60)
    assert await world.deliver().send(ids[0]) is Status.SENT
    [message] = world.provider.sent
    assert message.id == ids[0]
    assert await states(world, ids) == [("sent", None)] * 3
    assert {update.id for update in world.updates} == set(ids)
    for id in ids:
        [attempt] = await world.deliveries.attempts(id)
        assert attempt.outcome == "sent"
        assert await world.deliver().send(id) is None
    assert (await world.delivery(other)).status is Status.PLANNED


async def test_of_two_that_are_handed_out_at_once_one_leads_and_the_other_gets_nothing(world: World) -> None:
    ids = [(await world.put("42", digest="d"))[0] for _ in range(4)]
    ended = await asyncio.gather(*(world.deliver().send(id) for id in ids))
    assert sorted(ended, key=str) == [None, None, None, Status.SENT]
    assert len(world.provider.sent) == 1


async def test_a_crew_that_failed_is_tried_again_as_it_was(world: World) -> None:
    ids = [(await world.put("42", digest="d"))[0] for _ in range(2)]
    world.provider.say(Temporary("busy", retry_after=5))
    assert await world.deliver().send(ids[1]) is Status.FAILED
    assert [one.attempts for one in await world.all(*ids)] == [1, 1]
    [late] = await world.put("42", digest="d", due_in=600)
    world.pass_time(10)
    assert await world.deliver().send(ids[0]) is Status.SENT  # whoever of them is handed out
    assert [message.id for message in world.provider.sent] == [ids[1], ids[1]]
    assert await states(world, [*ids, late]) == [("sent", None), ("sent", None), ("planned", None)]


async def test_a_worker_that_dies_with_a_crew_leaves_nobody_behind(world: World) -> None:
    ids = [(await world.put("42", digest="d"))[0] for _ in range(3)]
    assert await world.deliveries.claim(ids[0], now=world.now, lease=LEASE) is not None
    world.pass_time(LEASE)
    assert {one.id for one in await world.backlog.recover(now=world.now)} == set(ids)
    await world.claim_and_call(ids[1])
    world.pass_time(LEASE)
    assert {one.status for one in await world.backlog.recover(now=world.now)} == {Status.UNKNOWN}
    assert await world.deliver().send(ids[2]) is Status.SENT
    assert [message.id for message in world.provider.sent] == [ids[1]]
    assert {(one.status, one.maybe_duplicate) for one in await world.all(*ids)} == {(Status.SENT, True)}


async def test_what_may_not_leave_drops_out_and_the_others_leave_without_it(world: World) -> None:
    muted = {"type": "review.created", "wire": "review.created"}
    first, *others = [
        (await world.put("42", digest="d", event=event))[0] for event in (muted, None, muted, None)
    ]
    await wants(world, types={"review.created": {"email": False}})
    assert await world.deliver().send(first) is Status.SKIPPED
    assert await world.deliver().send(others[0]) is Status.SENT
    assert await states(world, [first, *others]) == [
        ("skipped", "muted"),
        ("sent", None),
        ("skipped", "muted"),
        ("sent", None),
    ]
    assert len(world.provider.sent) == 1


async def test_a_crew_in_quiet_hours_waits_together(world: World) -> None:
    ids = [(await world.put("42", digest="d"))[0] for _ in range(2)]
    await wants(world, **QUIET)
    assert await world.deliver().send(ids[0]) is Status.PLANNED
    assert {one.due_at for one in await world.all(*ids)} == {datetime(2026, 11, 20, 12, tzinfo=UTC)}
    world.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert await world.deliver().send(ids[1]) is Status.SENT
    assert len(world.provider.sent) == 1


def _draw(most: int) -> Draw:
    return Draw("acme", (Spend("b", START, START + timedelta(days=1), most, "said"),))


async def test_a_look_at_a_budget_counts_nothing(world: World) -> None:
    spending, spends = Spending(world.db), _draw(1).spends
    for _ in range(2):
        assert await spending.look("acme", [spends]) == [None]
    [id] = await world.put("42")
    claim = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert claim is not None
    started = await world.deliveries.start_call(
        id, claim.fence, provider="scripted", now=world.now, draw=_draw(1)
    )
    assert started == 1
    assert await spending.look("acme", [spends, ()]) == [Over("said"), None]
    await spending.forget(START + timedelta(days=2))
    assert await spending.look("acme", [spends]) == [None]
