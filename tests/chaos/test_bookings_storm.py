"""3000 real bookings' events, two hubs, 200 clients, and everything breaks on the way.

One hub is killed twice and comes back, Valkey is killed and comes back empty, and clients drop and hop
between the processes while backends go on posting. In the end every client has exactly the events it is
entitled to, once and in order; the database holds what was accepted and nothing else; nothing of the other
hotel was on any wire. A last event to everyone closes each log: who has seen it, in order, has seen all there
is before it.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from examples.bookings import STAFF, Moment, read, sample, stream
from hub.settings import DEVELOPMENT_KEY
from tests.clients import Crowd, Watcher
from tests.hubs import HubCluster, token_for
from tests.oracle import Entry, Oracle

EVENTS = 3000
POSTERS = 8
PATIENCE = 40.0  # seconds for what takes well under one, on a machine that has better things to do
HOTELS = {"city-hotel": ("resort-hotel", "Resort Hotel"), "resort-hotel": ("city-hotel", "City Hotel")}
# An Idempotency-Key, a body and the rooms it goes to.
Request = tuple[str, dict[str, Any], frozenset[str]]
PER_HOTEL = {"admin": 30, "agent": 30, "guest": 40}


class Backends:
    """Posts a list of notifications, a few at once, to any hub that answers; each until it was accepted."""

    def __init__(self, http: aiohttp.ClientSession, urls: Sequence[str], oracle: Oracle) -> None:
        self._http = http
        self._urls = list(urls)
        self._oracle = oracle

    async def post(self, bodies: Sequence[Request]) -> None:
        """All of them; returns when the last is accepted."""
        waiting = deque(bodies)

        async def work() -> None:
            while waiting:
                await self._one(*waiting.popleft())

        async with asyncio.TaskGroup() as group:
            for _ in range(POSTERS):
                group.create_task(work())

    async def _one(self, key: str, body: dict[str, Any], rooms: frozenset[str]) -> None:
        headers = {"Idempotency-Key": key}
        while True:
            url = random.choice(self._urls)
            try:
                async with self._http.post(f"{url}/notifications", json=body, headers=headers) as answer:
                    text = await answer.text()
                    if answer.status == 202:
                        break
                    assert answer.status in {409, 503}, f"{answer.status} {text}"
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.02)  # that hub is away: the other one is next
        accepted = json.loads(text)
        offset = int(accepted["cursor"].partition(":")[2])
        self._oracle.accepted(Entry(body["tenantId"], offset, accepted["id"], body["type"], rooms))


def request(moment: Moment) -> Request:
    return moment.key, moment.body, frozenset(moment.rooms)


def to_everyone(kind: str) -> list[Request]:
    """One event of this type to everyone in each hotel. Who has it, has all that came before it."""
    return [
        (
            f"{kind}-{tenant}",
            {"tenantId": tenant, "type": kind, "to": f"tenant:{tenant}", "channels": ["inApp"]},
            frozenset({f"tenant:{tenant}"}),
        )
        for tenant in HOTELS
    ]


def watchers(moments: Sequence[Moment], urls: Sequence[str]) -> Iterator[Watcher]:
    """Per hotel: admins (every third an agent too), agents with several devices, guests; half on SSE."""
    number = 0
    for tenant, foreign in HOTELS.items():
        heard = Counter(room for moment in moments if moment.tenant == tenant for room in moment.rooms)
        people = [room.removeprefix("user:") for room, _ in heard.most_common() if room != STAFF]
        agents = [user for user in people if user.startswith("agent-")][:10]
        guests = [user for user in people if user.startswith("guest-")]
        for role, count in PER_HOTEL.items():
            for turn in range(count):
                user = {
                    "admin": agents[turn % 10] if turn % 3 == 0 else f"admin-{turn}",
                    "agent": agents[turn % 10],
                    "guest": guests[turn],
                }[role]
                roles = ("ADMIN",) if role == "admin" else ("STAFF",) if role == "agent" else ()
                number += 1
                yield Watcher(
                    f"{tenant} {role} {turn} {user}",
                    tenant=tenant,
                    rooms=frozenset(
                        {f"user:{user}", f"tenant:{tenant}", *(f"role:{name}" for name in roles)}
                    ),
                    token=token_for(tenant, user, *roles),
                    mode="sse" if number % 2 else ("typed", "generic", "plain")[number // 2 % 3],
                    namespace=("/", "/ws/notifications")[number // 4 % 2],
                    addresses=urls if number // 8 % 2 else urls[::-1],
                    foreign=foreign,
                )


def stored(database: Path) -> list[tuple[str, int, str]]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return list(connection.execute('SELECT tenant, "offset", id FROM events'))


@pytest.mark.chaos
@pytest.mark.timeout(240)
async def test_every_client_ends_with_exactly_its_events_whatever_was_killed(tmp_path: Path) -> None:
    moments = stream(sample(list(read()), EVENTS))
    assert len(moments) > EVENTS - 10
    requests = iter([request(moment) for moment in moments])

    def take(count: int) -> list[Request]:
        return list(islice(requests, count))

    oracle = Oracle()
    headers = {"Authorization": f"Bearer {DEVELOPMENT_KEY}"}
    async with HubCluster(tmp_path, hubs=2) as cluster, aiohttp.ClientSession(headers=headers) as http:
        backends = Backends(http, cluster.urls, oracle)
        async with Crowd(list(watchers(moments, cluster.urls))) as crowd:
            await crowd.all_live(PATIENCE)
            await backends.post(take(400))

            await cluster.kill9(0)  # half of the clients come back to the other one
            await backends.post(take(300))
            await asyncio.gather(cluster.start(0), backends.post(take(300)))
            await asyncio.gather(hop(crowd, 3), backends.post(take(200)))  # so that both have clients again

            cluster.kill_valkey()  # the hubs know nothing of each other
            await backends.post(take(300))
            await asyncio.gather(hop(crowd, 5), backends.post(take(200)))
            await backends.post(to_everyone("system"))
            await crowd.all_hear("system", PATIENCE)  # nobody needs Valkey for that
            cluster.start_valkey()  # and it is empty
            await backends.post(take(300))

            await cluster.kill9(0)
            await backends.post(take(300))
            await asyncio.gather(cluster.start(0), backends.post(take(200)))
            await asyncio.gather(hop(crowd, 2), backends.post(take(EVENTS)))

            await crowd.all_live(PATIENCE)
            await backends.post(to_everyone("system.maintenance"))
            await crowd.all_hear("system.maintenance", PATIENCE)
        logs = cluster.logs()

    assert len(oracle) == len(moments) + 2 * len(HOTELS)
    faults = oracle.holes() + oracle.compare(stored(cluster.database))
    for one in crowd.watchers:
        faults += [f"{one.name}: {fault}" for fault in one.faults]
        faults += [f"{one.name}: {fault}" for fault in oracle.judge(one.tenant, one.rooms, one.seen)]
    assert not faults, f"{len(faults)} faults, the first:\n" + "\n".join(faults[:20])
    assert sum(one.connects for one in crowd.watchers) > 2 * len(crowd.watchers)
    assert "Traceback" not in logs, logs[logs.index("Traceback") - 500 :][:3000]


async def hop(crowd: Crowd, every: int) -> None:
    """Each `every`-th client leaves, every other one without a word; returns when all are connected again."""
    for place, one in enumerate(crowd.watchers[::every]):
        one.hop(politely=place % 2 == 0)
        await asyncio.sleep(0)
    await crowd.all_live(PATIENCE)
