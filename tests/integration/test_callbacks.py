"""What providers say later moves deliveries forward, and never back; on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update

from hub.domain.callback import BOUNCED, COMPLAINED, Report
from hub.domain.delivery import Status
from hub.providers.receipt import Permanent, Receipt, Temporary
from hub.services.timeline import timeline
from hub.store.callbacks import Callbacks, Taken
from hub.store.push import PushSubscriptions
from hub.store.suppressions import Suppressions
from hub.store.tables import deliveries, suppressions
from hub.store.trail import Trail
from tests.deliverers import World

SENT, DELIVERED, OPENED, DEAD = Status.SENT, Status.DELIVERED, Status.OPENED, Status.DEAD


async def hear(world: World, *reports: Report) -> Taken:
    return await Callbacks(world.db).take(reports, now=world.now)


def report(delivery: str | None, status: Status | None = None, **more: Any) -> Report:
    given = {"provider": "scripted", "channel": "email", "provider_id": None, "detail": None, **more}
    at = given.pop("at", None)
    return Report(delivery=delivery, status=status, at=at, **given)


async def sent(world: World, *users: str) -> list[str]:
    ids = await world.put(*users or ("42",))
    deliver = world.deliver()
    for id in ids:
        assert await deliver.send(id) is SENT
    return ids


async def steps(world: World, user: str = "42") -> list[str]:
    stories = await Trail(world.db).of("acme", user, world.event_id)
    return [moment.step for moment in timeline(stories)]


async def struck(world: World) -> list[tuple[str, str, str]]:
    async with world.db.read() as conn:
        rows = await conn.execute(select(suppressions))
    return [(row.channel, row.hint, row.reason) for row in rows]


async def status(world: World, id: str) -> Status:
    return (await world.delivery(id)).status


async def test_a_delivery_goes_forward_and_every_step_is_told_in_order(world: World) -> None:
    [id] = await sent(world)
    world.pass_time(5)
    taken = await hear(world, report(id, DELIVERED, at=world.now))
    assert (taken.moved, [one.status for one in taken.deliveries]) == (1, [DELIVERED])
    world.pass_time(5)
    # By the provider's own name for it, and with a clock of its own.
    late = report(None, OPENED, provider_id="r-1", at=world.now - timedelta(seconds=1))
    assert (await hear(world, late)).moved == 1
    assert await status(world, id) is OPENED
    assert await steps(world) == ["planned", "attempt", "sent", "delivered", "opened"]
    [story] = await Trail(world.db).of("acme", "42", world.event_id)
    opened = timeline([story])[-1]
    assert (opened.at, opened.provider, opened.attempt) == (late.at, "scripted", 1)


async def test_a_batch_is_heard_in_the_order_in_which_it_happened(world: World) -> None:
    ids = await sent(world, "42", "43")
    world.pass_time(9)
    said = [
        report(ids[0], OPENED, at=world.now),
        report(ids[0], DELIVERED, at=world.now),  # in the same second
        report(ids[1], OPENED, at=world.now),
        report(ids[1], DELIVERED, at=world.now - timedelta(seconds=3)),
    ]
    taken = await hear(world, *said)
    assert (taken.moved, len(taken.deliveries)) == (4, 2)
    assert [one.status for one in await world.all()] == [OPENED, OPENED]
    for user in ("42", "43"):
        assert (await steps(world, user))[-2:] == ["delivered", "opened"]


async def test_what_is_late_said_twice_or_of_nobody_changes_nothing(world: World) -> None:
    [id] = await sent(world)
    await hear(world, report(id, DELIVERED, at=world.now), report(id, OPENED, at=world.now))
    before, told = await world.delivery(id), await steps(world)
    world.pass_time(60)
    for said in (SENT, DELIVERED, OPENED, DEAD, None):
        taken = await hear(world, report(id, said, at=world.now))
        assert (taken.moved, taken.idle, taken.unknown, taken.deliveries) == (0, 1, 0, [])
    other = [
        report("01KQD5X7M4J8Y3T2R6W9P0ZBCD", DELIVERED, at=world.now),
        report(None, DELIVERED, provider_id="nobody's", at=world.now),
        report(None, DELIVERED, provider_id="r-1", provider="another", at=world.now),
        report(id, DELIVERED, channel="sms", at=world.now),
        report(None, DELIVERED, at=world.now),
    ]
    assert (await hear(world, *other)).unknown == len(other)
    assert (await world.delivery(id), await steps(world)) == (before, told)


async def test_a_bounce_ends_a_delivery_and_the_next_to_that_address_is_skipped(world: World) -> None:
    [id] = await sent(world)
    world.pass_time(1)
    bounce = report(id, DEAD, suppress=BOUNCED, detail="550 no such user", at=world.now)
    assert (await hear(world, bounce)).moved == 1
    dead = await world.delivery(id)
    assert (dead.status, dead.error, dead.due_at) == (DEAD, "550 no such user", None)
    assert await steps(world) == ["planned", "attempt", "sent", "dead"]
    assert await struck(world) == [("email", "4***@example.org", BOUNCED)]
    await hear(world, report(id, DEAD, suppress=COMPLAINED, at=world.now))
    assert await struck(world) == [("email", "4***@example.org", BOUNCED)]  # the first reason stays
    again, other = await world.put("42", "43")
    deliver = world.deliver()
    assert await deliver.send(again) is Status.SKIPPED
    assert (await world.delivery(again)).reason == "suppressed"
    assert await deliver.send(other) is SENT
    assert len(world.provider.sent) == 2


async def test_a_suppression_holds_for_one_tenant_channel_and_address(world: World) -> None:
    [id] = await sent(world)
    await hear(world, report(id, DEAD, suppress=BOUNCED, at=world.now))
    [elsewhere] = await world.put("42", event={"tenant": "globex"})
    deliver = world.deliver(providers={"email": world.provider, "sms": world.provider})
    assert await deliver.send(elsewhere) is SENT
    [sms] = await world.put("42", channel="sms")
    assert await deliver.send(sms) is SENT
    [moved] = await world.put("42")
    async with world.db.write() as conn:  # the person has a new address, written in another case
        await conn.execute(update(deliveries).where(deliveries.c.id == moved).values(address="N@example.org"))
    assert await deliver.send(moved) is SENT
    [shouted] = await world.put("42")
    async with world.db.write() as conn:
        await conn.execute(
            update(deliveries).where(deliveries.c.id == shouted).values(address="42@EXAMPLE.org")
        )
    assert await deliver.send(shouted) is Status.SKIPPED
    assert await Suppressions(world.db).among([]) == set()


async def test_a_complaint_moves_nothing_and_is_told_and_heard(world: World) -> None:
    [id] = await sent(world)
    await hear(world, report(id, DELIVERED, at=world.now))
    world.pass_time(100)
    complaint = report(id, suppress=COMPLAINED, at=world.now)
    for _ in range(2):
        assert (await hear(world, complaint)).idle == 1
    assert await status(world, id) is DELIVERED
    assert await steps(world) == ["planned", "attempt", "sent", "delivered", "complained"]
    assert [reason for _, _, reason in await struck(world)] == [COMPLAINED]


# -- while nobody knows ----------------------------------------------------------------------------------
@pytest.mark.parametrize("said", [SENT, DELIVERED, OPENED, DEAD])
async def test_what_nobody_knew_is_settled_by_the_provider(world: World, said: Status) -> None:
    [id] = await world.put("42", channel="sms")
    await world.claim_and_call(id)
    world.pass_time(61)
    assert [one.status for one in await world.backlog.recover(now=world.now)] == [Status.UNKNOWN]
    taken = await hear(world, report(id, said, channel="sms", provider_id="SM1", at=world.now))
    [after] = taken.deliveries
    assert (after.status, after.due_at) == (said, None)
    assert await world.backlog.due("sms", now=world.now + timedelta(days=1), limit=9, settle=0, trust=0) == []
    assert (await steps(world))[-2:] == ["attempt", said.value]


async def test_a_callback_that_overtakes_the_answer_is_not_undone_by_it(world: World) -> None:
    [id] = await world.put("42")
    world.provider.go_on = asyncio.Event()
    sending = asyncio.create_task(world.deliver().send(id))
    await world.provider.called.wait()
    assert (await hear(world, report(id, DELIVERED, at=world.now))).moved == 1
    world.provider.go_on.set()
    await sending
    assert await status(world, id) is DELIVERED
    [story] = await Trail(world.db).of("acme", "42", world.event_id)
    assert story.attempts[0].outcome == "sent"
    assert (await hear(world, report(None, OPENED, provider_id="r-1", at=world.now))).moved == 1
    assert await steps(world) == ["planned", "attempt", "sent", "delivered", "opened"]


async def test_a_call_that_broke_off_is_not_repeated_once_its_message_has_arrived(world: World) -> None:
    [id] = await world.put("42")
    world.provider.say(Temporary("reset", unsure=True))
    deliver = world.deliver()
    assert await deliver.send(id) is Status.FAILED
    await hear(world, report(id, DELIVERED, at=world.now))
    world.pass_time(1000)
    assert await deliver.send(id) is None
    assert (await status(world, id), len(world.provider.sent)) == (DELIVERED, 1)


async def test_that_an_earlier_call_failed_says_nothing_of_a_later_one(world: World) -> None:
    [id] = await world.put("42")
    world.provider.say(Temporary("reset", unsure=True), Receipt("second"))
    deliver = world.deliver()
    await deliver.send(id)
    world.pass_time(1000)
    assert await deliver.send(id) is SENT
    for stale in ({"provider_id": "first"}, {"provider": "another", "provider_id": "second"}):
        assert (await hear(world, report(id, DEAD, at=world.now, **stale))).idle == 1
    assert await status(world, id) is SENT
    # That it arrived does: it has, whichever call brought it.
    assert (await hear(world, report(id, DELIVERED, provider="another", at=world.now))).moved == 1


async def test_an_operators_retry_is_not_ended_by_what_was_said_before(world: World) -> None:
    from hub.store.dead import DeadLetters

    [id] = await sent(world)
    bounce = report(id, DEAD, provider_id="r-1", at=world.now)
    await hear(world, bounce)
    await DeadLetters(world.db).retry("acme", id, now=world.now)
    assert (await hear(world, bounce)).idle == 1
    assert await world.deliver().send(id) is SENT
    assert (await hear(world, bounce)).idle == 1
    await hear(world, report(id, DELIVERED, provider_id="r-2", at=world.now))
    assert await steps(world) == ["planned", "attempt", "sent", "dead", "attempt", "sent", "delivered"]


async def test_what_left_in_one_message_arrives_together(world: World) -> None:
    first, second = await sent(world, "42", "43")
    async with world.db.write() as conn:
        one = update(deliveries).where(deliveries.c.id == second).values(digest_of=first, provider_id=None)
        await conn.execute(one)
    taken = await hear(world, report(first, DELIVERED, at=world.now))
    assert {one.id: one.status for one in taken.deliveries} == {first: DELIVERED, second: DELIVERED}


# -- addresses that are dead -----------------------------------------------------------------------------
async def test_an_address_that_a_provider_calls_gone_gets_nothing_more(world: World) -> None:
    [id] = await world.put("42", channel="discord")
    async with world.db.write() as conn:
        hook = "https://discord.com/api/webhooks/1/secret"
        await conn.execute(update(deliveries).values(address=hook))
    world.provider.say(Permanent("404 unknown webhook", gone=True))
    assert await world.deliver(providers={"discord": world.provider}).send(id) is DEAD
    assert await struck(world) == [("discord", "discord.com", "gone")]


async def test_a_browser_that_is_gone_is_forgotten(world: World) -> None:
    subscription = orjson.dumps({"endpoint": "https://push.example.com/1", "keys": {}}).decode()
    push = PushSubscriptions(world.db)
    for user, place in (("42", subscription), ("42", subscription.replace("/1", "/2"))):
        await push.put("acme", user, place, id=place[-30:-4], user_agent=None, now=world.now, most=9)
    [id] = await world.put("42", channel="webpush")
    async with world.db.write() as conn:
        await conn.execute(update(deliveries).values(address=subscription))
    world.provider.say(Permanent("410", gone=True))
    assert await world.deliver(providers={"webpush": world.provider}).send(id) is DEAD
    assert (await push.of("acme", ["42"]))["42"] == (subscription.replace("/1", "/2"),)
    assert await struck(world) == []


async def test_retention_takes_what_was_said_along(world: World) -> None:
    from hub.store.retention import Retention
    from hub.store.tables import callbacks

    [id] = await sent(world)
    await hear(world, report(id, DELIVERED, at=world.now))
    await Retention(world.db).trim(world.now + timedelta(days=1), keep=timedelta())
    async with world.db.read() as conn:
        assert (await conn.execute(select(callbacks))).all() == []
