"""A database, a broker and a mail server, and workers that come and go: the place where mails are sent from.

`require_sound` is what holds after every fault: each mail was taken once, or more often and says so.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hub.domain.delivery import Delivery, Status
from hub.store.engine import Database
from hub.store.tables import attempts, deliveries, events
from tasks.hints import Hints
from tests.brokers import Broker, app_for
from tests.deliverers import World
from tests.hubs import HubCluster
from tests.mailservers import LOOPBACK, MailServer

LEASE_SECONDS = 5
LOOK_SECONDS = 0.05


class Mailroom:
    def __init__(self, cluster: HubCluster, world: World, mails: MailServer, broker: Broker) -> None:
        self.cluster = cluster
        self.world = world
        self.mails = mails
        self.broker = broker
        self.hints = Hints(partial(app_for, broker, heartbeat=None))

    async def put(self, count: int, *, told: bool = True, **event: Any) -> list[str]:
        """One event with deliveries to `count` people, due now; their ids. `told`: the queue is told."""
        self.world.now = datetime.now(UTC)
        ids = await self.world.put(*(f"u{number}" for number in range(count)), event=event)
        if told:
            self.hints.send([(id, "email") for id in ids])
        return ids

    async def all_over(self, *, timeout: float = 60.0) -> list[Delivery]:
        """Every delivery, once none of them is pending."""
        async with asyncio.timeout(timeout):
            while True:
                found = await self.world.all()
                if all(item.due_at is None for item in found):
                    return found
                await asyncio.sleep(LOOK_SECONDS)

    async def waits(self) -> tuple[list[float], list[float]]:
        """Seconds from each event to the first call for each of its deliveries, and until each was over."""
        d, a = deliveries.c, attempts.c
        asked = (
            select(events.c.created_at, a.started_at, d.updated_at)
            .join_from(deliveries, events, (events.c.tenant == d.tenant) & (events.c.offset == d.offset))
            .join(attempts, (a.delivery_id == d.id) & (a.number == 1))
        )
        async with self.world.db.read() as connection:
            rows = (await connection.execute(asked)).all()
        return (
            [(called - due).total_seconds() for due, called, _ in rows],
            [(over - due).total_seconds() for due, _, over in rows],
        )

    def taken(self) -> Counter[str]:
        """How often the mail server took the mail of each delivery."""
        return Counter(mail.message["Message-ID"].partition("@")[0].lstrip("<") for mail in self.mails.mails)

    def require_sound(self, found: Sequence[Delivery]) -> None:
        """All sent; taken once each, or more often and marked."""
        assert {item.status for item in found} == {Status.SENT}
        taken = self.taken()
        assert set(taken) == {item.id for item in found}
        assert [item.id for item in found if taken[item.id] > 1 and not item.maybe_duplicate] == []


@asynccontextmanager
async def open_mailroom(
    directory: Path, mails: MailServer, broker: Broker, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Mailroom]:
    env = {
        "HUB_BROKER_URL": broker.url,
        "EMAIL_HOST": LOOPBACK,
        "EMAIL_PORT": str(mails.port),
        "HUB_PROVIDER_TIMEOUT": "3",
        "HUB_DELIVERY_LEASE": str(LEASE_SECONDS),
        "HUB_DELIVERY_BACKOFF": "0.5",
        "HUB_SWEEP_SECONDS": "0.5",
        **(settings or {}),
    }
    async with HubCluster(directory, hubs=0, env=env) as cluster:
        db = await Database.open(f"sqlite+aiosqlite:///{cluster.database}")
        world = World(db)
        await world.log.open()
        room = Mailroom(cluster, world, mails, broker)
        try:
            yield room
        finally:
            room.hints.close()
            await world.log.close()
            await db.close()
