"""One notification takes the place of another with the same collapse key, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import delete, select
from ulid import ULID

from hub.cluster.record import Record
from hub.domain.delivery import Status
from hub.domain.drafts import Contact, Draft
from hub.domain.errors import StateConflict, ValidationFailed
from hub.domain.events import Event
from hub.realtime.fanout import Fanout
from hub.realtime.replay import Ring
from hub.services.ingest import Accepted, Ingest
from hub.services.outlines import Outlines, Rules
from hub.services.publish import Publish
from hub.store import collapse, tables
from hub.store.collapse import Replaced
from hub.store.events import Append, Appended, EventLog
from hub.store.inbox import Inbox
from hub.store.scheduled import Scheduled, Waiting
from hub.store.trips import Trips
from tests.databases import somebody_waits
from tests.deliverers import World
from tests.living import Ear, Start, Stream

_E, _ER, _S = tables.events.c, tables.event_rooms.c, tables.scheduled.c


class Told:
    """Stands where the bus stands: what live clients are told."""

    def __init__(self) -> None:
        self.signals: list[tuple[Any, ...]] = []

    def publish(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.kind == "signal":
                meta, [said] = record.meta, json.loads(record.body)
                self.signals.append((meta["n"], meta["r"], said, meta.get("u", False)))

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [rest for said, *rest in self.signals if said == name]


class Desk:
    """Where notifications are handed in."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told = Told()
        self.scheduled = Scheduled(world.db)
        self.inbox = Inbox(world.db)
        self.last = ULID()
        self.log = EventLog(world.db, clock=world.clock, on_commit=self.committed)
        nothing: Any = None

        async def known(_tenant: str) -> None:
            """Every tenant is."""

        bus: Any = self.told
        self.publish = Publish(Fanout(), Ring(1), self.log)
        self.publish.attach(bus)
        self.outlines = Outlines(
            types=world.types,
            people=world.people,
            locations=nothing,
            words=lambda *_: ("T", "M"),
            rules=Rules(),
            new_id=self.new_id,
        )
        self.ingest = Ingest(
            outlines=self.outlines,
            log=self.log,
            people=world.people,
            scheduled=self.scheduled,
            publish=self.publish,
            quota=nothing,
            per_minute=None,
            tenant=known,
            clock=world.clock,
        )

    def committed(self, stored: Sequence[tuple[Event, Append]], replaced: Sequence[Replaced]) -> None:
        self.publish.events([event for event, _ in stored])
        self.publish.replaced(replaced)

    def new_id(self) -> str:
        """Ids in the order in which they were asked for, far from those that others make meanwhile."""
        self.last = ULID.from_int(int(self.last) + (1 << 40))
        return str(self.last)

    async def open(self) -> Desk:
        await self.log.open()
        await self.world.put(event={"rooms": ("role:NOBODY",)})  # the tenant
        for user in "ab":
            contact = Contact(user=user, email=f"{user}@example.org", roles=("ADMIN",))
            await self.world.people.put("acme", contact, now=self.world.now)
        return self

    async def send(self, *to: str, key: str | None = "k", **more: Any) -> str:
        """Its id."""
        return read(await self.ingest.accept(draft(*to, key=key, **more)))

    async def later(self, *to: str, key: str | None = "k") -> Waiting:
        """A draft whose time has come, taken to be released."""
        id = await self.send(*to, key=key, send_at=self.world.now + timedelta(seconds=1))
        self.world.pass_time(1)
        [taken] = [one for one in await self.scheduled.take_due(self.world.now, limit=100) if one.id == id]
        return taken

    async def release(self, taken: Waiting) -> None:
        await self.ingest.release(taken.id, taken.draft, taken.text)

    async def append(self, draft: Draft, taken: Waiting | None = None) -> Append:
        """What would be stored of a draft, or of one that was taken."""
        id = taken.id if taken is not None else None
        outline = await self.outlines.outline(draft, None, self.world.now, id=id)
        text = taken.text if taken is not None else None
        return self.outlines.append(outline, await self.outlines.known([outline]), draft=text)

    async def seen_by(self, user: str, *rooms: str) -> int:
        return await self.inbox.unread("acme", user, [f"user:{user}", *rooms], now=self.world.now)

    async def states(self, event_id: str) -> dict[str, tuple[Status, str | None]]:
        found = [item for item in await self.world.all() if item.event_id == event_id]
        return {item.user: (item.status, item.reason) for item in found}


@pytest_asyncio.fixture
async def desk(world: World) -> AsyncIterator[Desk]:
    desk = await Desk(world).open()
    yield desk
    await desk.log.close()


def draft(*to: str, key: str | None = "k", **more: Any) -> Draft:
    return Draft(
        tenant="acme", type="booking.created", to=to, channels=("inApp", "email"), collapse_key=key, **more
    )


def read(accepted: Any) -> str:
    assert isinstance(accepted, Accepted)
    return str(json.loads(accepted.body)["id"])


async def test_a_newer_notification_takes_the_place_of_the_older(world: World, desk: Desk) -> None:
    other, unnamed = await desk.send("user:a", key="other"), await desk.send("user:a", key=None)
    old = await desk.send("user:a")
    new = await desk.send("user:a")
    assert await desk.states(old) == {"a": (Status.CANCELLED, f"replaced by {new}")}
    assert {(await desk.states(id))["a"][0] for id in (other, unnamed, new)} == {Status.PLANNED}
    assert await desk.seen_by("a") == 3
    assert desk.told.named("notification:deleted") == [[["user:a"], {"id": old}, True]]
    [[rooms, update, _]] = desk.told.named("delivery:update")
    assert rooms == ["user:a", "role:ADMIN"]
    assert [update[name] for name in ("notificationId", "userId", "status", "error")] == [
        *(old, "a", "cancelled", f"replaced by {new}")
    ]


async def test_only_what_both_went_to_is_replaced(world: World, desk: Desk) -> None:
    apart = await desk.send("user:b")
    old = await desk.send("user:a", "user:b", "role:ADMIN")
    new = await desk.send("user:a", "role:GUEST")
    assert (await desk.states(apart))["b"] == (Status.CANCELLED, f"replaced by {old}")
    assert await desk.states(old) == {
        "a": (Status.CANCELLED, f"replaced by {new}"),
        "b": (Status.PLANNED, None),
    }
    assert (await desk.seen_by("a"), await desk.seen_by("b", "role:ADMIN")) == (1, 1)
    assert len(await world.expansions.open(limit=10)) == 2  # the older one's for admins still stands
    last = await desk.send("user:a", "user:b", "role:ADMIN")
    assert (await desk.states(old))["b"] == (Status.CANCELLED, f"replaced by {last}")
    assert (await desk.seen_by("a"), await desk.seen_by("b", "role:ADMIN")) == (1, 1)


async def test_what_is_sent_or_read_stays(world: World, desk: Desk) -> None:
    old = await desk.send("user:a", "user:b")
    sent = next(item for item in await world.all() if item.event_id == old and item.user == "a")
    await world.claim_and_call(sent.id)
    await desk.inbox.mark_read("acme", "a", ["user:a"], [old], now=world.now)
    new = await desk.send("user:a", "user:b")
    assert {user: state for user, (state, _) in (await desk.states(old)).items()} == {
        "a": Status.SENDING,
        "b": Status.CANCELLED,
    }
    counts = [await desk.inbox.counts("acme", user, [f"user:{user}"], now=world.now) for user in "ab"]
    assert [count.total for count in counts] == [2, 1]
    assert desk.told.named("notification:deleted") == [[["user:b"], {"id": old}, True]]
    assert (await desk.states(new))["a"][0] is Status.PLANNED


async def test_one_batch_and_many_at_once_leave_one_each(world: World, desk: Desk) -> None:
    answers = await desk.ingest.accept_many([(draft("user:a"), None) for _ in range(5)])
    *_, last = map(read, answers)
    planned = [item for item in await world.all() if item.status is Status.PLANNED]
    assert [item.event_id for item in planned] == [last]
    await asyncio.gather(*(desk.send("user:a") for _ in range(10)))
    planned = [item for item in await world.all() if item.status is Status.PLANNED]
    assert len(planned) == 1
    assert await desk.seen_by("a") == 1


async def test_drafts_that_wait_are_replaced_as_well(world: World, desk: Desk) -> None:
    later = world.now + timedelta(hours=1)
    first = await desk.send("user:a", send_at=later)
    both = await desk.send("user:a", "user:b", send_at=later)
    assert await desk.scheduled.get(first, tenant="acme") is None
    now = await desk.send("user:a")
    waiting = await desk.scheduled.get(both, tenant="acme")
    assert waiting is not None
    assert waiting.draft.to == ("user:b",)
    await desk.release(waiting)
    assert await desk.scheduled.get(both, tenant="acme") is None
    assert (await desk.states(now))["a"][0] is Status.PLANNED
    third = await desk.send("user:a", send_at=later)
    assert (await desk.states(now))["a"][0] is Status.PLANNED  # not before it is sent
    waiting = await desk.scheduled.get(third, tenant="acme")
    assert waiting is not None
    await desk.release(waiting)
    assert (await desk.states(now))["a"] == (Status.CANCELLED, f"replaced by {third}")


async def test_what_is_replaced_while_it_is_being_released_does_not_go_out(world: World, desk: Desk) -> None:
    taken = await desk.later("user:a")
    now = await desk.send("user:a")
    await desk.release(taken)
    assert (await desk.states(taken.id), (await desk.states(now))["a"][0]) == ({}, Status.PLANNED)

    taken = await desk.later("user:a")
    later = await desk.send("user:a", send_at=world.now + timedelta(hours=1))
    await desk.release(taken)
    assert await desk.states(taken.id) == {}
    assert await desk.scheduled.get(later, tenant="acme") is not None

    taken = await desk.later("user:a", "user:b")
    await desk.send("user:a")
    await desk.release(taken)
    assert await desk.states(taken.id) == {}
    [left] = await desk.scheduled.take_due(world.now, limit=10)
    await desk.release(left)
    assert await desk.states(taken.id) == {"b": (Status.PLANNED, None)}


async def test_what_is_replaced_in_the_very_group_that_stores_it_does_not_go_out(
    world: World, desk: Desk
) -> None:
    taken, mine = await desk.later("user:a", "user:b"), await desk.later("user:a", key="other")
    newer = await desk.append(draft("user:a"))
    stored, refused = await desk.log.append_many([newer, await desk.append(taken.draft, taken)])
    assert isinstance(stored, Appended)
    assert isinstance(refused, StateConflict)
    left = await desk.scheduled.get(taken.id, tenant="acme")
    assert left is not None
    assert left.draft.to == ("user:b",)
    late = await desk.append(draft("user:a", key="other"))
    await desk.log.append_many([await desk.append(mine.draft, mine), late])
    assert await desk.states(mine.id) == {"a": (Status.CANCELLED, f"replaced by {late.event.id}")}


async def test_what_is_cancelled_while_it_is_being_released_does_not_go_out(world: World, desk: Desk) -> None:
    taken = await desk.later("user:a")
    async with world.db.write() as conn:
        await conn.execute(delete(tables.scheduled).where(_S.id == taken.id))
        releasing = asyncio.create_task(desk.release(taken))
        await somebody_waits(world.db)
    await releasing
    assert await desk.states(taken.id) == {}


async def test_a_draft_that_is_released_by_several_is_sent_once(world: World, desk: Desk) -> None:
    taken = await desk.later("user:a", key=None)
    await asyncio.gather(*(desk.release(taken) for _ in range(3)))
    assert await desk.states(taken.id) == {"a": (Status.PLANNED, None)}
    assert await desk.scheduled.take_due(world.now, limit=10) == []


async def test_the_newer_is_stored_and_the_older_taken_back_together_or_not_at_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await desk.send("user:a")
    with monkeypatch.context() as broken:
        broken.setattr(collapse, "_OVER", "UPDATE nothing SET is_there = ? WHERE is_there = ?")
        with pytest.raises(ValidationFailed):
            await desk.send("user:a")
        beside = await desk.ingest.accept_many([(draft("user:b", key=None), None)])
    assert await desk.states(old) == {"a": (Status.PLANNED, None)}
    assert (await desk.seen_by("a"), await desk.seen_by("b"), len(beside)) == (1, 1, 1)


async def test_who_hangs_up_while_it_is_stored_keeps_nobody_from_being_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await desk.send("user:a")
    loop, real = asyncio.get_running_loop(), collapse.Collapse.replace

    def replace(*given: Any) -> Trips:
        loop.call_soon_threadsafe(gone.cancel)  # before the database can have answered
        return (yield from real(*given))

    monkeypatch.setattr(collapse.Collapse, "replace", replace)
    looks: list[asyncio.Task[Any]] = []

    def told(replaced: Sequence[Replaced]) -> None:
        if replaced:
            looks.append(asyncio.create_task(desk.states(old)))

    monkeypatch.setattr(desk.publish, "replaced", told)
    gone = asyncio.create_task(desk.send("user:a"))
    with pytest.raises(asyncio.CancelledError):
        await gone
    await desk.send("user:b", key=None)  # what was stored before it was told before
    [look] = looks
    assert (await look)["a"][0] is Status.CANCELLED, "it is told when it is true"
    assert await desk.seen_by("a") == 1


async def test_in_one_batch_they_replace_each_other_as_one_after_the_other(world: World, desk: Desk) -> None:
    rooms, chance = ("user:a", "user:b", "role:ADMIN", "role:GUEST"), Random(4)
    wanted = [
        draft(*chance.sample(rooms, chance.randint(1, 4)), *more, key=chance.choice("kl"), send_at=send_at)
        for send_at, more in [(world.now + timedelta(hours=1), ("topic:t",))] * 8 + [(None, ())] * 40
    ]

    async def left(tenant: str, size: int) -> Any:
        """What is left of them by their places, when they come `size` at a time."""
        await desk.log.tenant(tenant, create=True)
        for user in "ab":
            await world.people.put(tenant, Contact(user=user, email=f"{user}@x.org"), now=world.now)
        drafts, ids = [replace(one, tenant=tenant) for one in wanted], dict[str, int]()
        for start in range(0, len(drafts), size):
            some = await desk.ingest.accept_many([(one, None) for one in drafts[start : start + size]])
            ids |= {read(one): start + place for place, one in enumerate(some)}
        states, inboxes = [], []
        async with world.db.read() as conn:
            for id, inbox, rooms in await conn.execute(
                select(_E.id, _ER.inbox, _ER.room)
                .join_from(
                    tables.events, tables.event_rooms, (_E.tenant == _ER.tenant) & (_E.offset == _ER.offset)
                )
                .where(_E.tenant == tenant)
            ):
                inboxes.append((ids[id], rooms, inbox))
            waiting = {
                ids[id]: sorted(json.loads(text)["to"])
                for id, text in await conn.execute(select(_S.id, _S.draft).where(_S.tenant == tenant))
            }
        for item in await world.all():
            if item.tenant == tenant:
                by = ids[item.reason.rpartition(" ")[2]] if item.reason else None
                states.append((ids[item.event_id], item.user, item.status, by))
        return sorted(states), sorted(inboxes), waiting

    one_by_one = await left("one", 1)
    assert {status for _, _, status, _ in one_by_one[0]} == {Status.PLANNED, Status.CANCELLED}
    assert one_by_one[2]
    assert await left("many", len(wanted)) == one_by_one


async def test_everybody_whose_inbox_has_lost_one_is_told_their_own_count(living: Start) -> None:
    one, two = await living(), await living()
    for to in ("user:7", "user:42", "role:GUEST"):
        await one.notify(to=to, collapseKey="jobs")
    await one.notify(to=["user:7", "user:42", "role:GUEST"])
    plain = Stream(two.http)
    async with (
        Ear(one.url, one.token("7")) as here,
        Ear(two.url, two.token("42", "GUEST")) as there,
        Ear(two.url, two.token("8")) as other,
    ):
        await plain.open(two.token("42", "GUEST"))
        await plain.wait("connected")
        await one.notify(to=["user:7", "role:GUEST"], collapseKey="jobs")
        assert await here.wait("notification:unread_count") == {"count": 2}
        for ear in (there, plain):
            assert await ear.wait("notification:unread_count") == {"count": 3}
            names = [item.event for item in ear.heard]
            assert names.index("notification:deleted") < names.index("notification:unread_count")
        await one.notify(to="tenant:acme")
        await other.wait("notification:new")
        assert other.all("notification:unread_count") == []
        assert [len(ear.all("notification:unread_count")) for ear in (here, there, plain)] == [1, 1, 1]
    await plain.close()
