"""What backends feel: durable ingest over HTTP, one by one and in batches. The hub alone: no peer stores.

Every request has an API key, a quota and an Idempotency-Key of its own, is routed to a person, is stored
with SQLite's synchronous=FULL, is published, and writes its log line.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from statistics import median
from typing import Any

from benchmarks.generator import Figures, post
from benchmarks.rows import Goal, Row, alone
from benchmarks.running import Run
from benchmarks.servers import Server
from benchmarks.tokens import TENANT
from hub.settings import DEVELOPMENT_KEY

KEY = f"Authorization: Bearer {DEVELOPMENT_KEY}"
CLIENTS = 64
BATCH = 500
BATCH_CLIENTS = 4
PEOPLE = 1000
SLICES = 4
QUOTA = "100000000"  # it is counted, and never reached
WORDS = '"title":"New booking","message":"Ana booked Room 4 for Friday evening","link":"/bookings/17"'
TO = '"to":["user:u%u"],' + WORDS + ',"data":{"bookingId":"%i"}'


def ingest(run: Run) -> Iterable[Row]:
    seconds = SLICES * run.extent.slice
    with run.make("hub", settings={"HUB_TENANT_EVENTS_PER_MINUTE": QUOTA}) as server:
        people = [{"id": f"u{number}", "email": f"u{number}@example.com"} for number in range(PEOPLE)]
        ask(server, "PUT", "/users/batch", {"tenantId": TENANT, "users": people})
        for what, kind in (("in-app", "booking.created"), ("in-app and email", "booking.confirmed")):
            run.say(f"ingest, {what}")
            rounds = [_one_by_one(run, server, kind, seconds) for _ in range(run.extent.long_rounds)]
            each = [figures["items_per_second"] for figures in rounds]
            yield alone(f"ingest, {CLIENTS} clients, {what}", "/s", each, Goal(8000, own=True), _cost(rounds))
            late = [figures["p99_ms"] for figures in rounds]
            yield alone(f"ingest, {CLIENTS} clients, {what}, p99", "ms", late, Goal(20, most=True, own=True))
        run.say("ingest, batches")
        rounds = [_batches(run, server, seconds) for _ in range(run.extent.long_rounds)]
        each = [figures["items_per_second"] for figures in rounds]
        yield alone(f"ingest, batches of {BATCH}", "/s", each, Goal(40_000, own=True), _cost(rounds))


def _one_by_one(run: Run, server: Server, kind: str, seconds: float) -> Figures:
    body = f'{{"tenantId":"{TENANT}","type":"{kind}",{TO}}}'
    headers = [KEY, "Idempotency-Key: bench-%n"]
    figures = post(server, "/notifications", headers, body, connections=CLIENTS, seconds=seconds)
    run.require_whole("hub", f"ingest of {kind}", figures)
    return figures


def _batches(run: Run, server: Server, seconds: float) -> Figures:
    entry = f'{{"type":"booking.created","idempotencyKey":"bench-batch-%i",{TO}}}'
    body = f'{{"tenantId":"{TENANT}","notifications":[%[{entry}%]]}}'
    figures = post(
        server, "/notifications/batch", [KEY], body, connections=BATCH_CLIENTS, seconds=seconds, items=BATCH
    )
    run.require_whole("hub", "ingest of batches", figures)
    return figures


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
