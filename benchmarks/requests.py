"""What backends feel: durable ingest over HTTP, one by one and in batches.

Every request has an API key, a quota and an Idempotency-Key of its own, is routed to a person, is stored
with SQLite's synchronous=FULL (or in a PostgreSQL of the run's own, with its fsync), is published, and writes
its log line. The peer, `peers/plain_ingest.py`, only stores. The goals were set on a machine on which such a
program took 13 100 a second with a p99 of 7.5 ms; beside it they are what they were of that.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from statistics import median
from typing import Any

from benchmarks.generator import Figures, post
from benchmarks.machine import GENERATOR_CORE, pin
from benchmarks.rows import Goal, Row, alone, compared
from benchmarks.running import Run, shuffled
from benchmarks.servers import Server
from benchmarks.tokens import TENANT
from hub.settings import DEVELOPMENT_KEY
from tests import postgres

KEY = f"Authorization: Bearer {DEVELOPMENT_KEY}"
CLIENTS = 64
BATCH = 500
BATCH_CLIENTS = 4
PEOPLE = 1000
SLICES = 4
IN_APP, MAILED = "booking.created", "booking.confirmed"
RATE, RATE_PEER = 8000, 13_100  # a second: the goal, and what the peer took where it was set
LATE, LATE_PEER = 20.0, 7.5  # ms, likewise
BATCH_RATE, POSTGRES_RATE = 40_000, 6000
QUOTA = "100000000"  # it is counted, and never reached
WORDS = '"title":"New booking","message":"Ana booked Room 4 for Friday evening","link":"/bookings/17"'
TO = '"to":["user:u%u"],' + WORDS + ',"data":{"bookingId":"%i"}'


Measure = Callable[[Run, Server], Figures]
Rounds = Mapping[str, Sequence[Figures]]


def ingest(run: Run) -> Iterable[Row]:
    with _server(run) as hub, run.make("plain") as plain:
        both = {"hub": hub, "plain": plain}
        in_app = _rounds(run, both, "in-app", partial(_one_by_one, kind=IN_APP))
        yield from _rows("in-app", in_app, RATE)
        mailed = _rounds(run, both, "in-app and email", partial(_one_by_one, kind=MAILED))
        yield from _rows("in-app and email", mailed, RATE)
        batches = _rounds(run, both, "batches", _batches)
        yield from _batch_rows({"hub": batches["hub"], "plain": in_app["plain"]}, batches)
    programs = postgres.programs()
    if programs is None:
        run.missing["PostgreSQL"] = postgres.NOT_FOUND
        return
    with postgres.running(programs, durable=True) as database:
        pin(database.pid, GENERATOR_CORE)  # a database is elsewhere; here it shares with who posts
        database.execute("CREATE DATABASE hub")
        with _server(run, DATABASE_URL=database.url("hub")) as hub, run.make("plain") as plain:
            both = {"hub": hub, "plain": plain}
            found = _rounds(run, both, "in-app, PostgreSQL", partial(_one_by_one, kind=IN_APP))
            yield from _rows("in-app, PostgreSQL", found, POSTGRES_RATE)


def _rounds(run: Run, servers: Mapping[str, Server], what: str, measure: Measure) -> Rounds:
    """All are up; one after the other, in another order each round."""
    found: dict[str, list[Figures]] = {name: [] for name in servers}
    for number in range(run.extent.long_rounds):
        run.say(f"ingest, {what}, round {number + 1} of {run.extent.long_rounds}")
        for name in shuffled(servers):
            figures = measure(run, servers[name])
            run.require_whole(name, f"ingest, {what}", figures)
            found[name].append(figures)
    return found


def _rows(what: str, rounds: Rounds, goal: float) -> Iterable[Row]:
    what = f"ingest, {CLIENTS} clients, {what}"
    each = _every(rounds, "items_per_second")
    yield from compared(what, "/s", each, {"plain": Goal(goal / RATE_PEER)}, costs=_costs(rounds))
    yield alone(what, "/s", each["hub"], Goal(goal, own=True))
    late = _every(rounds, "p99_ms")
    yield from compared(f"{what}, p99", "ms", late, {"plain": Goal(LATE / LATE_PEER, most=True)})
    yield alone(f"{what}, p99", "ms", late["hub"], Goal(LATE, most=True, own=True))


def _batch_rows(beside_single: Rounds, batches: Rounds) -> Iterable[Row]:
    what = f"ingest, batches of {BATCH}"
    each = _every(batches, "items_per_second")
    yield from compared(what, "/s", each, {}, costs=_costs(batches))
    single = _every(beside_single, "items_per_second")
    yield from compared(f"{what}, and single ones", "/s", single, {"plain": Goal(BATCH_RATE / RATE_PEER)})
    yield alone(what, "/s", each["hub"], Goal(BATCH_RATE, own=True))


def _every(rounds: Rounds, figure: str) -> dict[str, list[float]]:
    return {name: [figures[figure] for figures in each] for name, each in rounds.items()}


def _costs(rounds: Rounds) -> dict[str, float]:
    return {name: median(each) for name, each in _every(rounds, "server_us_each").items()}


@contextmanager
def _server(run: Run, **settings: str) -> Iterator[Server]:
    with run.make("hub", settings={"HUB_TENANT_EVENTS_PER_MINUTE": QUOTA, **settings}) as server:
        people = [{"id": f"u{number}", "email": f"u{number}@example.com"} for number in range(PEOPLE)]
        ask(server, "PUT", "/users/batch", {"tenantId": TENANT, "users": people})
        yield server


def _one_by_one(run: Run, server: Server, *, kind: str) -> Figures:
    body = f'{{"tenantId":"{TENANT}","type":"{kind}",{TO}}}'
    headers = [KEY, "Idempotency-Key: bench-%n"]
    return post(server, "/notifications", headers, body, connections=CLIENTS, seconds=_seconds(run))


def _batches(run: Run, server: Server) -> Figures:
    entry = f'{{"type":"booking.created","idempotencyKey":"bench-batch-%i",{TO}}}'
    body = f'{{"tenantId":"{TENANT}","notifications":[%[{entry}%]]}}'
    path, clients, seconds = "/notifications/batch", BATCH_CLIENTS, _seconds(run)
    return post(server, path, [KEY], body, connections=clients, seconds=seconds, items=BATCH)


def _seconds(run: Run) -> float:
    return SLICES * run.extent.slice


def ask(server: Server, method: str, path: str, body: Mapping[str, Any]) -> Any:
    """One request, answered with JSON. Raises HTTPError when it is refused."""
    name, _, value = KEY.partition(": ")
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", name: value},
        method=method,
    )
    with closing(urllib.request.urlopen(request, timeout=30)) as answer:
        return json.loads(answer.read())
