"""Escalations end when their person has dealt with the notification: at once, told live, never halfway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from ulid import ULID

from hub.domain.delivery import UNSENT, Delivery, Planned, Status
from hub.providers.receipt import Temporary
from hub.store import inbox_sql, tables
from hub.store.claims import ToClaim, claim
from hub.store.escalations import end
from hub.store.events import Append
from hub.store.inbox import AllRead, Changed, Inbox
from tests.appends import an_event
from tests.databases import somebody_waits
from tests.deliverers import World
from tests.living import Ear, Living, Start

ROOMS = ["user:42", "role:GUEST"]
WHO = ("acme", "42", ROOMS)
READ = (Status.SKIPPED, "already read")
Mark = Callable[[Inbox, str, World], Awaitable[Any]]
ENDS: dict[str, Mark] = {
    "seen": lambda inbox, id, world: inbox.mark_seen(*WHO, [id], now=world.now),
    "read": lambda inbox, id, world: inbox.mark_read(*WHO, [id], now=world.now),
    "archived": lambda inbox, id, world: inbox.archive(*WHO, [id], now=world.now),
    "deleted": lambda inbox, id, world: inbox.delete(*WHO, [id], now=world.now),
    "all read": lambda inbox, _, world: inbox.mark_all_read(*WHO, now=world.now),
}


async def escalated(world: World, *users: str) -> tuple[str, list[str]]:
    """A notification with an escalation for each user: its id, and theirs."""
    ids = await world.put(*users, due_in=60, unless_seen=True)
    return world.event_id, ids


def state(one: Delivery) -> tuple[Status, str | None]:
    return one.status, one.reason


@pytest.mark.parametrize("how", ENDS)
async def test_whoever_deals_with_a_notification_is_not_escalated_any_more(world: World, how: str) -> None:
    inbox = Inbox(world.db)
    event, [mine, theirs] = await escalated(world, "42", "43")
    [plain] = await world.put("42", due_in=60)
    changed = await ENDS[how](inbox, event, world)
    assert isinstance(changed, Changed | AllRead)
    assert [(one.id, state(one), one.due_at) for one in changed.ended] == [(mine, READ, None)]
    assert state(await world.delivery(mine)) == READ
    later, [after] = await escalated(world, "42")
    for id in (theirs, plain, after):
        assert state(await world.delivery(id)) == (Status.PLANNED, None)
    again = await ENDS[how](inbox, event, world)
    assert [one.id for one in again.ended] == ([after] if how == "all read" else [])
    # What is taken back does not begin to wait again, and what is unread was not dealt with.
    await inbox.mark_unread(*WHO, [event, later], now=world.now)
    await inbox.unarchive(*WHO, [event, later], now=world.now)
    assert state(await world.delivery(mine)) == READ
    if how != "all read":
        assert state(await world.delivery(after)) == (Status.PLANNED, None)


async def test_one_that_is_to_be_tried_again_ends_and_one_that_is_being_sent_does_not(world: World) -> None:
    inbox = Inbox(world.db)
    again, [failed] = await escalated(world, "42")
    now, [held] = await escalated(world, "42")
    world.pass_time(60)
    world.provider.say(Temporary("busy"))
    assert await world.deliver().send(failed) is Status.FAILED
    fence = await world.claim_and_call(held)
    changed = await inbox.mark_seen(*WHO, [again, now], now=world.now)
    assert [one.id for one in changed.ended] == [failed]
    assert fence == 1
    assert (await world.delivery(held)).status is Status.SENDING
    world.pass_time(3600)
    assert await world.deliver().send(failed) is None
    assert len(world.provider.sent) == 1


async def test_what_a_worker_is_claiming_stays_with_it_whatever_a_mark_says(world: World) -> None:
    inbox = Inbox(world.db)
    event, [id] = await escalated(world, "42")
    world.pass_time(60)
    async with world.db.write() as conn:
        assert await conn.run_sync(claim, [ToClaim(id, world.now, 60.0)])
        marking = asyncio.create_task(inbox.mark_seen(*WHO, [event], now=world.now))
        await somebody_waits(world.db)
    assert (await marking).ended == []
    assert state(await world.delivery(id)) == (Status.SENDING, None)


async def test_what_a_mark_is_ending_no_worker_gets(world: World) -> None:
    deliver = world.deliver()
    _, [id] = await escalated(world, "42")
    world.pass_time(60)
    async with world.db.write() as conn:
        assert await end(conn, "acme", "42", upto=100, now=world.now)
        if world.db.dialect == "postgresql":  # on SQLite it waits for its turn
            assert await deliver.send(id) is None
    assert await deliver.send(id) is None
    assert state(await world.delivery(id)) == READ
    assert world.provider.sent == []


@pytest.mark.parametrize("how", [*ENDS, "not at all"])
async def test_who_has_dealt_with_it_before_the_audience_was_written_out_is_left_alone(
    world: World, how: str
) -> None:
    await world.put(event={"rooms": ("role:GUEST",)}, expand=[("role:GUEST", ("email",))])
    if how in ENDS:
        await ENDS[how](Inbox(world.db), world.event_id, world)
    [audience] = await world.expansions.open(limit=10)
    mine = Planned(
        id=str(ULID()),
        user="42",
        channel="email",
        address="42@example.org",
        status=Status.PLANNED,
        due_at=world.now,
        unless_seen=True,
    )
    assert await world.expansions.write(audience, [mine], after="42", done=True, now=world.now)
    assert await world.deliver().send(mine.id) is (Status.SKIPPED if how in ENDS else Status.SENT)
    assert state(await world.delivery(mine.id)) == (READ if how in ENDS else (Status.SENT, None))


async def test_what_waits_is_found_by_an_index_of_its_own(world: World) -> None:
    unsent = ", ".join(f"'{one}'" for one in Status if one in UNSENT)
    assert f"unless_seen AND status IN ({unsent})" == tables.ESCALATED
    await escalated(world, "42")
    values = {"tenant": "acme", "user": "42", "ids": [world.event_id]}
    async with world.db.read() as conn:
        if world.db.dialect == "postgresql":
            for name in (
                "seqscan",
                "bitmapscan",
            ):  # the tables are empty, and it would rather read them whole
                await conn.execute(text(f"SET enable_{name} = off"))
        for statement in (inbox_sql.PLACES_WAITING, inbox_sql.NEWEST):
            explain = "EXPLAIN QUERY PLAN" if world.db.dialect == "sqlite" else "EXPLAIN"
            asked = text(f"{explain} {statement.text}").bindparams(*statement._bindparams.values())
            plan = str(
                (await conn.execute(asked, {name: values[name] for name in statement._bindparams})).all()
            )
            assert "ix_deliveries_escalated" in plan, plan


async def put(hub: Living, user: str = "42") -> tuple[str, str]:
    """A notification with an escalation in an hour; its id and the delivery's."""
    event = an_event(f"user:{user}", tenant="acme")
    planned = Planned(
        id=str(ULID()),
        user=user,
        channel="email",
        address="a@example.org",
        status=Status.PLANNED,
        due_at=event.created_at + timedelta(days=400),
        unless_seen=True,
    )
    await hub.hub.log.append(
        Append(event=event, answer=lambda _: b"", deliveries=[planned], create_tenant=True)
    )
    return event.id, planned.id


async def test_its_end_is_told_live_and_stands_in_the_timeline(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    token = hub.token("42")

    async def rest(method: str, path: str) -> None:
        assert (await hub.user(method, path, token))[0] in (200, 204)

    async with Ear(hub.url, token) as ear, Ear(hub.url, hub.token("1", "ADMIN")) as admin:
        verbs: list[Callable[[str], Awaitable[Any]]] = [
            lambda id: ear.ask("markSeen", {"ids": [id]}),
            lambda id: ear.ask("markNotificationRead", {"id": id}),
            lambda _: ear.ask("markAllRead", {}),
            lambda id: rest("PATCH", f"/notifications/{id}/seen"),
            lambda id: rest("PATCH", f"/notifications/{id}/read"),
            lambda id: rest("PATCH", f"/notifications/{id}/archive"),
            lambda _: rest("PATCH", "/notifications/read-all"),
            lambda id: rest("DELETE", f"/notifications/{id}"),
        ]
        for number, verb in enumerate(verbs, 1):
            id, delivery = await put(hub)
            await ear.ask("ack", {"cursor": ear.connected["cursor"]})  # arrived is not seen
            await verb(id)
            for screen in (ear, admin):
                update = await screen.wait("delivery:update", count=number)
                assert [update[name] for name in ("id", "notificationId", "userId", "status", "error")] == [
                    *(delivery, id, "42", "skipped", "already read")
                ]
            _, steps = await hub.user("GET", f"/notifications/{id}/timeline", token)
            assert [(step["step"], step["detail"]) for step in steps if step["deliveryId"] == delivery] == [
                ("planned", None),
                ("skipped", "already read"),
            ]
