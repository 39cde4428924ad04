"""One notification takes the place of another with the same collapse key, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from ulid import ULID

from hub.choices import registry
from hub.domain.delivery import DeliveryUpdate, Status
from hub.domain.drafts import Contact, Draft
from hub.services.ingest import Accepted, Ingest, Rules
from hub.store.collapse import Collapse
from hub.store.inbox import Inbox
from hub.store.scheduled import Scheduled
from tests.deliverers import World


class Told:
    """Stands where live events go out."""

    def __init__(self) -> None:
        self.signals: list[tuple[Any, ...]] = []
        self.updates: list[DeliveryUpdate] = []

    def signal(self, *what: Any) -> None:
        self.signals.append(what)

    def announce(self, updates: Sequence[DeliveryUpdate]) -> None:
        self.updates += updates


class Desk:
    """Where notifications are handed in."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told = Told()
        self.scheduled = Scheduled(world.db)
        self.inbox = Inbox(world.db)
        self.last = ULID()
        nothing: Any = None

        async def known(_tenant: str) -> None:
            """Every tenant is."""

        told: Any = self.told
        self.ingest = Ingest(
            registry=registry(),
            log=world.log,
            people=world.people,
            scheduled=self.scheduled,
            collapse=Collapse(world.db),
            locations=nothing,
            publish=told,
            words=lambda *_: ("T", "M"),
            quota=nothing,
            rules=Rules(),
            tenant=known,
            clock=world.clock,
            new_id=self.new_id,
        )

    def new_id(self) -> str:
        """Ids in the order in which they were asked for."""
        self.last = ULID.from_int(int(self.last) + 1)
        return str(self.last)

    async def open(self) -> Desk:
        await self.world.put(event={"rooms": ("role:NOBODY",)})  # the tenant
        for user in "ab":
            contact = Contact(user=user, email=f"{user}@example.org", roles=("ADMIN",))
            await self.world.people.put("acme", contact, now=self.world.now)
        return self

    async def send(self, *to: str, key: str | None = "k", **more: Any) -> str:
        """Its id."""
        return read(await self.ingest.accept(draft(*to, key=key, **more)))

    async def seen_by(self, user: str, *rooms: str) -> int:
        return await self.inbox.unread("acme", user, [f"user:{user}", *rooms], now=self.world.now)

    async def states(self, event_id: str) -> dict[str, tuple[Status, str | None]]:
        found = [item for item in await self.world.all() if item.event_id == event_id]
        return {item.user: (item.status, item.reason) for item in found}


def draft(*to: str, key: str | None = "k", **more: Any) -> Draft:
    return Draft(
        tenant="acme", type="booking.created", to=to, channels=("inApp", "email"), collapse_key=key, **more
    )


def read(accepted: Any) -> str:
    assert isinstance(accepted, Accepted)
    return str(json.loads(accepted.body)["id"])


async def test_a_newer_notification_takes_the_place_of_the_older(world: World) -> None:
    desk = await Desk(world).open()
    other, unnamed = await desk.send("user:a", key="other"), await desk.send("user:a", key=None)
    old = await desk.send("user:a")
    new = await desk.send("user:a")
    assert await desk.states(old) == {"a": (Status.CANCELLED, f"replaced by {new}")}
    assert {(await desk.states(id))["a"][0] for id in (other, unnamed, new)} == {Status.PLANNED}
    assert await desk.seen_by("a") == 3
    assert desk.told.signals == [("acme", ["user:a"], "notification:deleted", {"id": old})]
    [update] = desk.told.updates
    assert (update.notification, update.status, update.error) == (old, "cancelled", f"replaced by {new}")


async def test_only_what_both_went_to_is_replaced(world: World) -> None:
    desk = await Desk(world).open()
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


async def test_what_is_sent_or_read_stays(world: World) -> None:
    desk = await Desk(world).open()
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
    assert desk.told.signals == [("acme", ["user:b"], "notification:deleted", {"id": old})]
    assert (await desk.states(new))["a"][0] is Status.PLANNED


async def test_one_batch_and_many_at_once_leave_one_each(world: World) -> None:
    desk = await Desk(world).open()
    answers = await desk.ingest.accept_many([(draft("user:a"), None) for _ in range(5)])
    *_, last = map(read, answers)
    planned = [item for item in await world.all() if item.status is Status.PLANNED]
    assert [item.event_id for item in planned] == [last]
    await asyncio.gather(*(desk.send("user:a") for _ in range(10)))
    planned = [item for item in await world.all() if item.status is Status.PLANNED]
    assert len(planned) == 1
    assert await desk.seen_by("a") == 1


async def test_drafts_that_wait_are_replaced_as_well(world: World) -> None:
    desk = await Desk(world).open()
    later = world.now + timedelta(hours=1)
    first = await desk.send("user:a", send_at=later)
    both = await desk.send("user:a", "user:b", send_at=later)
    assert await desk.scheduled.get(first, tenant="acme") is None
    now = await desk.send("user:a")
    waiting = await desk.scheduled.get(both, tenant="acme")
    assert waiting is not None
    assert waiting.draft.to == ("user:b",)
    await desk.ingest.release(both, waiting.draft)
    assert (await desk.states(now))["a"][0] is Status.PLANNED
    third = await desk.send("user:a", send_at=later)
    assert (await desk.states(now))["a"][0] is Status.PLANNED  # not before it is sent
    waiting = await desk.scheduled.get(third, tenant="acme")
    assert waiting is not None
    await desk.ingest.release(third, waiting.draft)
    assert (await desk.states(now))["a"] == (Status.CANCELLED, f"replaced by {third}")
