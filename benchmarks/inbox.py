"""How long a page of an inbox and its counts take, beside a million events: `python -m benchmarks.inbox`.

The database is SQLite: one tenant, a million events to a hundred thousand people and to the whole tenant, and
one heavy person with ten thousand notifications, of which a thousand have marks of their own. Asked is the
service that the doors ask. First the heavy person, one request after another; then everybody, at 500 requests
a second that begin on time whether or not those before have ended, every hundredth by the heavy person:
what is counted begins when a request was due. Prints p50, p99, the CPU time of a request (of this whole
process: the service, SQLite's threads and the asking), and the plan of each statement.

`python -m benchmarks.inbox --http` asks `hub serve` over HTTP instead: tokens checked, JSON encoded, a line
in the log for each; the hub on one core, what asks on the other.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jwt
from ulid import ULID

from benchmarks.generator import get
from benchmarks.machine import description, load
from benchmarks.servers import HubServer
from benchmarks.tokens import SECRET
from hub.domain.access import Principal
from hub.domain.errors import StoreUnavailable
from hub.domain.events import Event
from hub.realtime.fanout import Fanout
from hub.realtime.replay import Ring
from hub.services.claims import claims_of
from hub.services.inbox import InboxService
from hub.services.publish import Publish
from hub.store.deliveries import Deliveries
from hub.store.engine import Database
from hub.store.events import Append, EventLog
from hub.store.inbox import Inbox
from hub.store.migrate import migrate
from hub.store.trail import Trail
from hub.store.trips import Asks, Statement
from tests.asked import noting

TENANT, USER = "acme", "u42"
WHO = Principal(tenant=TENANT, user=USER, roles=("STAFF",), session="s1")
# How many notifications of the heavy person went to which room.
MINE = {f"user:{USER}": 6000, "role:STAFF": 3000, f"tenant:{TENANT}": 1000}
ROOMS = 100_000
NOW = datetime.now(UTC)
GOAL_MS = 20.0
# Title, message, link, data, severity, whether it stands in inboxes.
WORDS = ("New booking", "Ana booked Room 4", "/bookings/17", '{"bookingId":"17"}', "info", True)


def _somebody(number: int) -> Principal:
    return Principal(tenant=TENANT, user=str(number), roles=("GUEST",), session="s")


OTHERS = [_somebody(number) for number in range(1, 100)]


def fill(path: Path, events: int) -> None:
    """A million events straight into the tables, as the log would have written them."""
    mine = [room for room, count in MINE.items() for _ in range(count)]
    every = events // len(mine)
    rows: list[tuple[Any, ...]] = []
    rooms: list[tuple[Any, ...]] = []
    for offset in range(1, events + 1):
        at, place = divmod(offset, every)
        room = mine[(at * 7919) % len(mine)] if not place and at <= len(mine) else f"user:{offset % ROOMS}"
        when = (NOW - timedelta(seconds=events - offset)).strftime("%Y-%m-%d %H:%M:%S.%f")
        type = "booking.created" if offset % 3 else "system"
        id = str(ULID.from_timestamp(NOW.timestamp() - events + offset))
        rows.append((TENANT, offset, id, type, type, *WORDS, f'["{room}"]', when))
        rooms.append((TENANT, room, offset, True, False, type))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA synchronous=OFF")
        names = "id, epoch, offset, trimmed, settings, created_at"
        tenant = (TENANT, "bench", events, 0, "{}", rows[0][-1])
        db.execute(f"INSERT INTO tenants ({names}) VALUES (?, ?, ?, ?, ?, ?)", tenant)
        names = (
            "tenant, offset, id, type, wire, title, message, link, data, severity, inbox, rooms, created_at"
        )
        db.executemany(f"INSERT INTO events ({names}) VALUES ({', '.join('?' * 13)})", rows)
        db.executemany("INSERT INTO event_rooms VALUES (?, ?, ?, ?, ?, ?)", sorted(rooms))
        offsets = [offset for _, room, offset, *_ in rooms if room in MINE]
        when = rows[-1][-1]
        mark = (TENANT, USER, offsets[2000], when)
        db.execute('INSERT INTO read_marks (tenant, "user", "offset", read_at) VALUES (?, ?, ?, ?)', mark)
        marks = "tenant, user, offset, read, read_at, archived_at, deleted_at"
        receipts = [
            (TENANT, USER, offset, number % 2, when, _every(5, number, when), _every(11, number, when))
            for number, offset in enumerate(offsets[::5])
        ]
        db.executemany(f"INSERT INTO receipts ({marks}) VALUES (?, ?, ?, ?, ?, ?, ?)", receipts)


def _every(nth: int, number: int, when: str) -> str | None:
    return None if number % nth else when


Request = Callable[[], Awaitable[Any]]


async def latencies(request: Request, *, count: int, rate: float) -> list[float]:
    """Milliseconds from when each of `count` requests was due to when it was answered."""
    found: list[float] = []

    async def one(due: float) -> None:
        try:
            await request()
        except StoreUnavailable:
            found.append(math.inf)
        else:
            found.append(1000 * (time.perf_counter() - due))

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    return sorted(found)


async def plans(db: Database, request: Request) -> list[str]:
    """Every statement of a request once, with SQLite's plan of it."""
    seen: list[Statement] = []
    ask = db.ask

    async def noted(asks: Asks[Any], *, timeout: float | None = None) -> Any:
        return await ask(noting(asks, seen), timeout=timeout)

    with patch.object(db, "ask", noted):
        await request()
    lines = []
    for statement, values in seen:
        [plan] = await db.fetch([(f"EXPLAIN QUERY PLAN {statement}", values)])
        lines.append(" ".join(statement.split())[:100])
        lines += [f"    {step[3]}" for step in plan]
    return lines


async def broadcast(db: Database, log: EventLog) -> str:
    """What one notification to everybody costs in rows, however many people there are."""

    async def rows() -> dict[str, int]:
        async with db.read() as conn:
            tables = ("events", "event_rooms", "receipts", "deliveries")
            return {
                name: (await conn.exec_driver_sql(f"SELECT count(*) FROM {name}")).scalar_one()
                for name in tables
            }

    before = await rows()
    event = Event(
        tenant=TENANT,
        id=str(ULID()),
        type="system",
        wire="system",
        created_at=datetime.now(UTC),
        rooms=(f"tenant:{TENANT}",),
    )
    await log.append(Append(event=event, answer=lambda cursor: b"{}"))
    return ", ".join(f"{name} +{count - before[name]}" for name, count in (await rows()).items())


def line(what: str, found: Sequence[float], goal: float | None = None) -> str:
    p50, p99 = found[len(found) // 2], found[int(len(found) * 0.99)]
    met = "" if goal is None else f"goal <= {goal:g} ms: {'met' if p99 <= goal else 'NOT MET'}"
    return f"{what:<36} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   {met}".rstrip()


async def measure(path: Path, *, count: int, rate: float) -> None:
    db = await Database.open(f"sqlite+aiosqlite:///{path}")
    log = EventLog(db)
    await log.open()
    try:
        publish = Publish(Fanout(), Ring(1), log)
        inbox = InboxService(
            Inbox(db),
            log,
            Deliveries(db),
            Trail(db),
            publish,
            announce=publish.announce,
            clock=lambda: datetime.now(UTC),
        )
        requests: dict[str, Callable[[Principal], Awaitable[Any]]] = {
            "page": lambda who: inbox.page(who, limit=20),
            "page of unread ones": lambda who: inbox.page(who, read=False, archived=False, limit=20),
            "unread count": inbox.unread_count,
        }
        lines = []
        for what, ask in [*requests.items(), ("stats", inbox.stats)]:
            await one_by_one(partial(ask, WHO), 10)  # its pages are in memory, its statements prepared
            lines.append(line(f"{what}, heavy, one by one", await one_by_one(partial(ask, WHO), 100)))
        for what, ask in requests.items():
            crowd = map(ask, cycle([*OTHERS, WHO]))
            used = time.process_time()
            found = await latencies(crowd.__next__, count=count, rate=rate)
            used = 1e6 * (time.process_time() - used) / count
            lines.append(f"{line(f'{what}, all, {rate:g}/s', found, GOAL_MS)}   {used:.0f} us CPU each")
        page = await inbox.page(WHO)
        print(f"\nthe heavy inbox: {page.total} items, {page.unread} unread; load {load()}\n")
        print("\n".join(lines))
        print(f"\nA broadcast to everybody: {await broadcast(db, log)}")
        for what, ask in requests.items():
            print(f"\n{what}:")
            print("\n".join(await plans(db, partial(ask, WHO))))
    finally:
        await log.close()
        await db.close()


def over_http(directory: Path, database: Path, *, count: int, rate: float) -> None:
    """The same from outside: GET by everybody in turn, at the rate."""
    tokens = _written(directory / "tokens", [*OTHERS, WHO])
    strangers = _written(directory / "strangers", [_somebody(at) for at in range(1000, 1000 + count)])
    settings = {"HUB_DATABASE_URL": f"sqlite+aiosqlite:///{database}"}
    with HubServer(directory / "hub", tokens, settings) as server:
        print(f"\nover HTTP; load {load()}\n")
        for what, path, who, known in (
            ("page, by everybody once", "/notifications", strangers, False),
            ("page", "/notifications", tokens, False),
            ("page that has not changed", "/notifications", tokens, True),
            ("page of unread ones", "/notifications?read=false&archived=false", tokens, False),
            ("unread count", "/notifications/unread-count", tokens, False),
        ):
            warm = 0.0 if who == strangers else 1.0
            found = get(server, path, who, rate=rate, seconds=count / rate, warm=warm, known=known)
            met = "met" if found["p99_ms"] <= GOAL_MS else "NOT MET"
            each = f"p50 {found['p50_ms']:7.2f} ms   p99 {found['p99_ms']:7.2f} ms"
            cost = f"{found['server_us_each']:.0f} us CPU each"
            refused = f"   {found['refused']} REFUSED" if found["refused"] else ""
            name = f"{what}, all, {rate:g}/s"
            print(f"{name:<36} {each}   goal <= {GOAL_MS:g} ms: {met}   {cost}{refused}")
        for what, path in (("page, heavy", "/notifications"), ("stats, heavy", "/notifications/stats")):
            heavy = directory / "heavy"
            heavy.write_text(tokens.read_text().splitlines()[-1] + "\n")
            found = get(server, path, heavy, rate=10, seconds=min(10, count / rate))
            print(f"{f'{what}, 10/s':<36} p50 {found['p50_ms']:7.2f} ms   p99 {found['p99_ms']:7.2f} ms")


def _written(path: Path, people: Sequence[Principal]) -> Path:
    """Their tokens, one on each line."""
    now = int(time.time())
    claims = [claims_of(who) | {"iat": now, "exp": now + 7200} for who in people]
    path.write_text("".join(jwt.encode(each, SECRET, algorithm="HS256") + "\n" for each in claims))
    return path


async def one_by_one(request: Request, count: int) -> list[float]:
    found = []
    for _ in range(count):
        started = time.perf_counter()
        await request()
        found.append(1000 * (time.perf_counter() - started))
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--http", action="store_true", help="ask a hub over HTTP, not the service")
    given = parser.parse_args()
    print(description())
    with tempfile.TemporaryDirectory(prefix="inbox-") as name:
        path = Path(name) / "hub.db"
        migrate(f"sqlite+aiosqlite:///{path}")
        started = time.perf_counter()
        fill(path, given.events)
        print(f"{given.events} events stored in {time.perf_counter() - started:.0f} s")
        if given.http:
            over_http(Path(name), path, count=given.requests, rate=given.rate)
        else:
            asyncio.run(measure(path, count=given.requests, rate=given.rate))


if __name__ == "__main__":
    main()
