"""What happens without anyone asking: due deliveries, audiences, scheduled drafts, cleaning up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from ulid import ULID

from hub.domain.delivery import Status
from hub.domain.drafts import Contact, Draft
from hub.domain.errors import StoreUnavailable, TypeUnknown, Unavailable
from hub.domain.geo import Near
from hub.domain.routing import Reach
from hub.services.expand import Expand
from hub.services.timers import FULL, Keep, Timers
from hub.store.audit import Audit
from hub.store.outbox import Outbox
from hub.store.retention import Retention
from hub.store.revocations import RevocationRows
from hub.store.scheduled import Scheduled
from hub.store.spending import Spending
from tests.deliverers import LEASE, Queue, World


@pytest.fixture
def queue() -> Queue:
    return Queue()


def expand(world: World, *, chunk: int = 500, webhook: str | None = None) -> Expand:
    return Expand(
        world.expansions,
        world.people,
        world.preferences,
        types=world.types,
        reach=Reach({"email"}),
        clock=world.clock,
        new_id=lambda: str(ULID()),
        chunk=chunk,
        webhook=webhook,
    )


def timers(
    world: World, queue: Queue, *, release: Callable[[str, Draft, str], Any] | None = None, chunk: int = 500
) -> Timers:
    async def no_release(_id: str, _draft: Draft, _stored: str) -> None:
        raise AssertionError("nothing was scheduled")

    return Timers(
        backlog=world.backlog,
        scheduled=Scheduled(world.db),
        expand=expand(world, chunk=chunk),
        retention=Retention(world.db),
        revocations=RevocationRows(world.db),
        audit=Audit(world.db),
        spending=Spending(world.db),
        outbox=Outbox(world.db),
        channels=("email",),
        hand_out=queue.hand_out,
        waiting=queue.waiting,
        release=release or no_release,
        announce=world.updates.extend,
        clock=world.clock,
        keep=Keep(events=timedelta(days=30), keys=timedelta(hours=24), audit=timedelta(days=365)),
    )


# -- due deliveries ----------------------------------------------------------------------------------
async def test_a_sweep_hands_out_what_is_due(world: World, queue: Queue) -> None:
    ids = await world.put("1", "2", "3")
    await world.put("later", due_in=100)
    world.pass_time(3)
    await timers(world, queue).sweep()
    assert sorted(queue.take()) == sorted(ids)


async def test_what_the_queue_lost_is_handed_out_again_until_it_is_done(world: World, queue: Queue) -> None:
    [id] = await world.put("42")
    sweeper = timers(world, queue)
    for _ in range(3):
        world.pass_time(25)
        await sweeper.sweep()
        assert queue.take() == [id]  # and lost
    await world.deliver().send(id)
    world.pass_time(25)
    await sweeper.sweep()
    assert queue.take() == []


async def test_a_dead_workers_delivery_is_sent_by_the_next(world: World, queue: Queue) -> None:
    [id] = await world.put("42")
    await world.claim_and_call(id)
    world.pass_time(LEASE)
    await timers(world, queue).sweep()
    assert [update.status for update in world.updates] == ["unknown"]
    assert queue.take() == [id]
    assert await world.deliver().send(id) is Status.SENT


async def test_a_full_queue_is_not_made_fuller(world: World, queue: Queue) -> None:
    ids = await world.put("1", "2", "3")
    world.pass_time(60)
    for depth in (FULL, FULL + 5, None):
        queue.depth = depth
        await timers(world, queue).sweep()
        assert queue.take() == []
    queue.depth = FULL - 2
    await timers(world, queue).sweep()
    assert len(queue.take()) == 2
    queue.depth = 0
    await timers(world, queue).sweep()
    assert len(queue.take()) == 1
    assert {item.status for item in await world.all(*ids)} == {Status.QUEUED}


async def test_a_part_that_fails_keeps_no_other_from_its_turn(world: World, queue: Queue) -> None:
    [id] = await world.put("42")
    world.pass_time(60)
    sweeper = timers(world, queue, release=broken)
    await schedule(world)
    with pytest.raises(ZeroDivisionError):
        await sweeper.sweep()
    assert queue.take() == [id]


async def broken(_id: str, _draft: Draft, _stored: str) -> None:
    raise ZeroDivisionError


# -- audiences ---------------------------------------------------------------------------------------
async def people(world: World, count: int, *, role: str = "ADMIN") -> list[str]:
    users = [f"{role.lower()}-{number:03}" for number in range(count)]
    await world.people.put_many(
        "acme",
        [Contact(user=user, email=f"{user}@example.org", roles=(role,)) for user in users],
        now=world.now,
    )
    return users


async def test_a_role_becomes_a_delivery_for_each_of_its_people(world: World, queue: Queue) -> None:
    users = await people(world, 23)
    await people(world, 5, role="GUEST")
    await world.put(expand=[("role:ADMIN", ("email",))])
    await timers(world, queue, chunk=10).sweep()
    deliveries = await world.all()
    assert sorted(item.user for item in deliveries) == users
    assert sorted(queue.take()) == [item.id for item in deliveries]
    assert {item.event_id for item in deliveries} == {world.event_id}
    assert await world.expansions.open(limit=10) == []
    deliver = world.deliver()
    assert {await deliver.send(item.id) for item in deliveries} == {Status.SENT}
    assert sorted(message.address for message in world.provider.sent) == [f"{u}@example.org" for u in users]


async def test_a_tenant_is_everyone_in_it_and_nobody_else(world: World, queue: Queue) -> None:
    users = await people(world, 3) + await people(world, 3, role="GUEST")
    await world.people.put("other", Contact(user="stranger", email="s@example.net"), now=world.now)
    await world.put(event={"rooms": ("tenant:acme",)}, expand=[("tenant:acme", ("email",))])
    await timers(world, queue).sweep()
    assert sorted(item.user for item in await world.all()) == sorted(users)


async def test_an_audience_is_taken_up_where_it_stopped(world: World) -> None:
    users = await people(world, 12)
    await world.put(expand=[("role:ADMIN", ("email",))])
    assert len(await expand(world, chunk=5).run(chunks=1)) == 5
    [rest] = await world.expansions.open(limit=10)
    assert rest.after == users[4]
    assert len(await expand(world, chunk=5).run(chunks=100)) == 7
    assert sorted(item.user for item in await world.all()) == users


async def test_two_processes_write_an_audience_out_once(world: World) -> None:
    users = await people(world, 40)
    await world.put(expand=[("role:ADMIN", ("email",)), ("tenant:acme", ("email",))])
    written = await asyncio.gather(*(expand(world, chunk=7).run(chunks=30) for _ in range(4)))
    while await world.expansions.open(limit=1):
        written.append(await expand(world, chunk=7).run(chunks=30))
    assert sorted(item.user for part in written for item in part) == users
    assert sorted(item.user for item in await world.all()) == users


async def test_a_chunk_moves_its_own_audience_and_only_from_where_it_stood(world: World) -> None:
    await world.put(expand=[("role:ADMIN", ("email",))])
    await world.put(expand=[("role:ADMIN", ("email",))])
    first, other = await world.expansions.open(limit=10)

    async def write(after: str) -> None:
        await world.expansions.write(first, [], after=after, done=False, now=world.now)

    await write("m")
    await write("c")  # by somebody who began before, and is late
    moved, untouched = await world.expansions.open(limit=10)
    assert (moved.id, moved.after) == (first.id, "m")
    assert untouched == other


async def test_who_was_named_and_is_in_the_role_gets_one_mail(world: World, queue: Queue) -> None:
    users = await people(world, 3)
    await world.put(
        users[0],
        event={"rooms": (f"user:{users[0]}", "role:ADMIN")},
        expand=[("role:ADMIN", ("email",))],
    )
    await timers(world, queue).sweep()
    assert sorted(item.user for item in await world.all()) == users


@pytest.mark.parametrize("excluded", ["user:admin-001", "role:NIGHT"])
async def test_who_is_excluded_gets_no_mail(world: World, queue: Queue, excluded: str) -> None:
    users = await people(world, 3)
    await world.people.put("acme", Contact(user=users[1], roles=("ADMIN", "NIGHT")), now=world.now)
    await world.put(event={"exclude": (excluded,)}, expand=[("role:ADMIN", ("email",))])
    await timers(world, queue).sweep()
    assert sorted(item.user for item in await world.all()) == [users[0], users[2]]


async def test_who_has_no_address_is_skipped_with_the_reason(world: World, queue: Queue) -> None:
    await world.people.put("acme", Contact(user="mute", roles=("ADMIN",)), now=world.now)
    await world.put(expand=[("role:ADMIN", ("email",))])
    await timers(world, queue).sweep()
    [delivery] = await world.all()
    assert (delivery.status, delivery.reason, delivery.due_at) == (Status.SKIPPED, "no address", None)
    assert queue.take() == []


async def test_an_audience_of_something_expired_stays_unwritten(world: World, queue: Queue) -> None:
    await people(world, 3)
    await world.put(
        event={"expires_at": world.now + timedelta(seconds=10)}, expand=[("role:ADMIN", ("email",))]
    )
    world.pass_time(10)
    await timers(world, queue).sweep()
    assert await world.all() == []
    assert await world.expansions.open(limit=10) == []


@pytest.mark.parametrize("room", ["role:ADMIN", "tenant:acme"])
async def test_admins_together_are_told_once_on_their_own_webhook(world: World, room: str) -> None:
    await people(world, 7)
    rooms = [(room, ("discord",)), ("role:ADMIN", ("discord",))]
    await world.put(expand=rooms)
    await world.put(expand=[("role:CUSTOMER", ("discord",)), ("role:ADMIN", ("email",))])
    await world.put(event={"exclude": ("role:ADMIN",)}, expand=rooms)
    due = await expand(world, chunk=3, webhook="https://discord.example/w").run(chunks=100)
    together = [item for item in due if item.user == "role:ADMIN"]
    assert [(item.channel, item.address) for item in together] == [("discord", "https://discord.example/w")]


# -- scheduled drafts --------------------------------------------------------------------------------
async def schedule(world: World, *, send_in: float = -1) -> str:
    id = str(ULID())
    send_at = world.now + timedelta(seconds=send_in)
    draft = Draft(tenant="acme", type="system", to=("user:42",), title="T", send_at=send_at)
    await Scheduled(world.db).add(id, draft, key=None, answer=b"{}", now=world.now)
    return id


async def sent(world: World, id: str) -> None:
    """What storing its event does to a draft."""
    assert await Scheduled(world.db).remove(id, tenant="acme")


async def test_a_draft_is_released_when_its_time_has_come_and_once(world: World, queue: Queue) -> None:
    released: list[tuple[str, Draft]] = []

    async def release(id: str, draft: Draft, stored: str) -> None:
        released.append((id, draft))
        await sent(world, id)

    sweeper = timers(world, queue, release=release)
    id = await schedule(world, send_in=60)
    await sweeper.sweep()
    assert released == []
    world.pass_time(60)
    await sweeper.sweep()
    await sweeper.sweep()
    [(found, draft)] = released
    assert (found, draft.to, draft.title) == (id, ("user:42",), "T")


async def test_a_draft_that_is_no_longer_acceptable_is_dropped_and_blocks_no_other(
    world: World, queue: Queue
) -> None:
    bad, good = await schedule(world, send_in=-2), await schedule(world, send_in=-1)
    released = []

    async def release(id: str, _draft: Draft, _stored: str) -> None:
        if id == bad:
            raise TypeUnknown
        released.append(id)
        await sent(world, id)

    await timers(world, queue, release=release).sweep()
    assert released == [good]
    assert await Scheduled(world.db).take_due(world.now, limit=10) == []


async def test_a_draft_for_a_place_waits_for_redis_and_blocks_no_other(world: World, queue: Queue) -> None:
    near = Near(21.0285, 105.8542, 500)
    local = Draft(tenant="acme", type="system", to=(), near=near, title="T", send_at=world.now)
    id = str(ULID())
    await Scheduled(world.db).add(id, local, key=None, answer=b"{}", now=world.now)
    other = await schedule(world, send_in=0)
    released = []

    async def release(id: str, draft: Draft, _stored: str) -> None:
        if draft.near is not None and not released:
            raise Unavailable
        released.append(id)
        await sent(world, id)

    sweeper = timers(world, queue, release=release)
    await sweeper.sweep()
    assert released == [other]
    await sweeper.sweep()
    assert released == [other, id]


async def test_a_draft_stays_when_the_database_goes_away(world: World, queue: Queue) -> None:
    async def release(_id: str, _draft: Draft, _stored: str) -> None:
        raise StoreUnavailable

    id = await schedule(world)
    with pytest.raises(StoreUnavailable):
        await timers(world, queue, release=release).sweep()
    assert [waiting.id for waiting in await Scheduled(world.db).take_due(world.now, limit=10)] == [id]


# -- cleaning up -------------------------------------------------------------------------------------
async def test_what_is_old_and_over_is_removed_with_its_history(world: World, queue: Queue) -> None:
    [old] = await world.put("1")
    assert await world.deliver().send(old) is Status.SENT
    await people(world, 1)
    world.pass_time(40 * 86400)
    [new] = await world.put("2")
    await timers(world, queue).clean()
    assert [item.id for item in await world.all()] == [new]
    assert await world.deliveries.attempts(old) == []


async def test_a_delivery_whose_notification_is_gone_is_dead_and_says_so(world: World, queue: Queue) -> None:
    [id] = await world.put("1", due_in=35 * 86400)
    world.pass_time(40 * 86400)
    await world.put("2")
    await timers(world, queue).clean()
    assert await world.deliver().send(id) is Status.DEAD
    assert (await world.delivery(id)).error == "the notification is no longer stored"
