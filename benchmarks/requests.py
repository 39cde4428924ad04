"""What backends feel: durable ingest over HTTP, one by one and in batches. The hub alone: no peer stores.

Every request has an API key, a quota and an Idempotency-Key of its own, is routed to a person, is stored
with SQLite's synchronous=FULL (or in a PostgreSQL of the run's own, with its fsync), is published, and writes
its log line.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from statistics import median
from typing import Any

from benchmarks.generator import Figures, post
from benchmarks.machine import GENERATOR_CORE, pin
from benchmarks.rows import Goal, Row, alone
from benchmarks.running import Run
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
IN_APP = "booking.created"
QUOTA = "100000000"  # it is counted, and never reached
WORDS = '"title":"New booking","message":"Ana booked Room 4 for Friday evening","link":"/bookings/17"'
TO = '"to":["user:u%u"],' + WORDS + ',"data":{"bookingId":"%i"}'


def ingest(run: Run) -> Iterable[Row]:
    with _server(run) as server:
        for what, kind in (("in-app", IN_APP), ("in-app and email", "booking.confirmed")):
            yield from _each(run, server, what, kind, Goal(8000, own=True))
        run.say("ingest, batches")
        rounds = [_batches(run, server) for _ in range(run.extent.long_rounds)]
        each = [figures["items_per_second"] for figures in rounds]
        yield alone(f"ingest, batches of {BATCH}", "/s", each, Goal(40_000, own=True), _cost(rounds))
    programs = postgres.programs()
    if programs is None:
        run.missing["PostgreSQL"] = postgres.NOT_FOUND
        return
    with postgres.running(programs, durable=True) as database:
        pin(database.pid, GENERATOR_CORE)  # a database is elsewhere; here it shares with who posts
        database.execute("CREATE DATABASE hub")
        with _server(run, DATABASE_URL=database.url("hub")) as server:
            yield from _each(run, server, "in-app, PostgreSQL", IN_APP, Goal(6000, own=True))


@contextmanager
def _server(run: Run, **settings: str) -> Iterator[Server]:
    with run.make("hub", settings={"HUB_TENANT_EVENTS_PER_MINUTE": QUOTA, **settings}) as server:
        people = [{"id": f"u{number}", "email": f"u{number}@example.com"} for number in range(PEOPLE)]
        ask(server, "PUT", "/users/batch", {"tenantId": TENANT, "users": people})
        yield server


def _each(run: Run, server: Server, what: str, kind: str, goal: Goal) -> Iterable[Row]:
    run.say(f"ingest, {what}")
    rounds = [_one_by_one(run, server, kind) for _ in range(run.extent.long_rounds)]
    each = [figures["items_per_second"] for figures in rounds]
    yield alone(f"ingest, {CLIENTS} clients, {what}", "/s", each, goal, _cost(rounds))
    late = [figures["p99_ms"] for figures in rounds]
    yield alone(f"ingest, {CLIENTS} clients, {what}, p99", "ms", late, Goal(20, most=True, own=True))


def _one_by_one(run: Run, server: Server, kind: str) -> Figures:
    body = f'{{"tenantId":"{TENANT}","type":"{kind}",{TO}}}'
    headers = [KEY, "Idempotency-Key: bench-%n"]
    figures = post(server, "/notifications", headers, body, connections=CLIENTS, seconds=_seconds(run))
    run.require_whole("hub", f"ingest of {kind}", figures)
    return figures


def _batches(run: Run, server: Server) -> Figures:
    entry = f'{{"type":"booking.created","idempotencyKey":"bench-batch-%i",{TO}}}'
    body = f'{{"tenantId":"{TENANT}","notifications":[%[{entry}%]]}}'
    figures = post(
        server,
        "/notifications/batch",
        [KEY],
        body,
        connections=BATCH_CLIENTS,
        seconds=_seconds(run),
        items=BATCH,
    )
    run.require_whole("hub", "ingest of batches", figures)
    return figures


def _seconds(run: Run) -> float:
    return SLICES * run.extent.slice


def _cost(rounds: Sequence[Figures]) -> str:
    return f"{median(figures['server_us_each'] for figures in rounds):.1f}"


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
