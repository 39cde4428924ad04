"""A small world with deliveries in it, for tests of what becomes of them.

`World` has the real stores on a real database, a clock that stands still until it is moved, and a provider
that answers what the test has put into it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy import select
from ulid import ULID

from hub.choices import registry
from hub.domain.breaker import Rules
from hub.domain.budgets import Budgets
from hub.domain.delivery import Delivery, DeliveryUpdate, Planned, Status, Step
from hub.domain.events import Event
from hub.domain.message import Message
from hub.domain.routing import Reach
from hub.domain.rules import Types
from hub.providers.receipt import Outcome, Provider, Receipt
from hub.services.calling import Patience
from hub.services.deliver import Deliver
from hub.services.gates import Gates
from hub.services.relay import Relay
from hub.services.render import TEMPLATES, Render
from hub.store.backlog import Backlog
from hub.store.deliveries import Deliveries
from hub.store.delivery_rows import delivery_of
from hub.store.engine import Database
from hub.store.events import Append, EventLog
from hub.store.expansions import Expansions
from hub.store.people import People
from hub.store.preferences import Preferences
from hub.store.tables import deliveries

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
LEASE = 60.0
RULES = Rules(failures=5, rest=30.0, longest=300.0, probe=30.0)


@dataclass
class Scripted:
    """A provider that answers what it is told, then Receipts. `sent` are the messages it was called with."""

    answers: deque[Outcome | Exception] = field(default_factory=deque)
    sent: list[Message] = field(default_factory=list)
    name: str = "scripted"
    called: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event | None = None  # when there is one, calls wait for it

    def say(self, *answers: Outcome | Exception) -> None:
        self.answers.extend(answers)

    async def send(self, message: Message) -> Outcome:
        self.sent.append(message)
        self.called.set()
        if self.go_on is not None:
            await self.go_on.wait()
        answer = self.answers.popleft() if self.answers else Receipt(f"r-{len(self.sent)}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        pass


class Queue:
    """Stands where the broker stands: what it was told, and how full it says it is."""

    def __init__(self) -> None:
        self.handed: list[tuple[str, str]] = []
        self.depth: int | None = 0

    def hand_out(self, deliveries: Any) -> None:
        self.handed += deliveries

    async def waiting(self, _channel: str) -> int | None:
        return self.depth

    def take(self) -> list[str]:
        ids, self.handed = [id for id, _ in self.handed], []
        return ids


class World:
    def __init__(self, db: Database) -> None:
        self.db = db
        self.now = START
        self.log = EventLog(db, clock=lambda: self.now)
        self.deliveries = Deliveries(db)
        self.backlog = Backlog(db)
        self.expansions = Expansions(db)
        self.people = People(db)
        self.preferences = Preferences(db)
        self.types = Types(registry())
        self.provider = Scripted()
        self.updates: list[DeliveryUpdate] = []
        self.chance = 1.0
        self.counts: Counter[str] = Counter()

    def clock(self) -> datetime:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def deliver(
        self,
        *,
        providers: Mapping[str, Provider | Sequence[Provider]] | None = None,
        templates: Path = TEMPLATES,
        attempts: int = 3,
        budgets: Budgets = Budgets(),  # noqa: B008  (it does not change)
    ) -> Deliver:
        """A new worker: its providers have failed at nothing yet."""
        chosen = {"email": self.provider} if providers is None else providers
        return Deliver(
            self.deliveries,
            Relay(
                {channel: some if isinstance(some, Sequence) else [some] for channel, some in chosen.items()},
                rules=RULES,
                monotonic=lambda: self.now.timestamp(),
                share=4,
                count=lambda name: self.counts.update([name]),
            ),
            Render(directory=templates),
            self.updates.extend,
            clock=self.clock,
            chance=lambda: self.chance,
            patience=Patience(lease=LEASE, attempts=attempts, backoff=10, backoff_max=1000),
            gates=Gates(self.types, Reach(chosen), budgets),
        )

    async def put(
        self,
        *users: str,
        channel: str = "email",
        status: Status = Status.PLANNED,
        due_in: float = 0,
        event: Mapping[str, Any] | None = None,
        digest: str | None = None,
        unless_seen: bool = False,
        expand: Sequence[tuple[str, tuple[str, ...]]] = (),
        address: Callable[[str], str] = "{}@example.org".format,
    ) -> list[str]:
        """One event with a delivery for each user; the deliveries' ids. The last event's id is `event_id`."""
        fields: dict[str, Any] = {
            "tenant": "acme",
            "type": "booking.confirmed",
            "wire": "booking.confirmed",
            "title": "T",
            "message": "M",
            "data": {"propertyName": "Sea Inn"},
            "rooms": tuple(f"user:{user}" for user in users) or ("role:ADMIN",),
            "created_at": self.now,
            "id": str(ULID()),
            **(event or {}),
        }
        planned = [
            Planned(
                id=str(ULID()),
                user=user,
                channel=channel,
                address=address(user),
                status=status,
                due_at=self.now + timedelta(seconds=due_in),
                digest=digest,
                unless_seen=unless_seen,
            )
            for user in users
        ]
        self.event_id: str = fields["id"]
        await self.log.append(
            Append(
                event=Event(**fields),
                answer=lambda _: b"{}",
                deliveries=planned,
                expand=expand,
                create_tenant=True,
            )
        )
        return [item.id for item in planned]

    async def delivery(self, id: str) -> Delivery:
        [found] = await self.all(id)
        return found

    async def all(self, *ids: str) -> list[Delivery]:
        """The stored deliveries with these ids, or all, in the order of their ids."""
        wanted = select(deliveries).order_by(deliveries.c.id)
        if ids:
            wanted = wanted.where(deliveries.c.id.in_(ids))
        async with self.db.read() as connection:
            return [delivery_of(row) for row in (await connection.execute(wanted)).mappings()]

    async def claim_and_call(self, id: str) -> int:
        """A worker that has just called the provider; its fence."""
        claim = await self.deliveries.claim(id, now=self.now, lease=LEASE)
        assert claim is not None
        assert await self.deliveries.start_call(id, claim.fence, provider="scripted", now=self.now)
        return claim.fence

    async def finish(self, id: str, fence: int, step: Step) -> Delivery | None:
        return await self.deliveries.advance(id, fence, step, now=self.now)


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """An empty world, once on each kind of database."""
    world = World(database)
    await world.log.open()
    yield world
    await world.log.close()
