"""A page of an inbox in one trip, and the plans of what is asked on it: nobody's whole history is sorted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.domain.delivery import Status
from hub.domain.events import Event
from hub.store.deliveries import Deliveries
from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.inbox import Inbox, Page
from hub.store.trips import Asks, Statement
from tests.appends import NOW, a_delivery, an_append, an_event
from tests.asked import noting

MINE = ["user:7", "role:ADMIN", "tenant:acme", "session:s"]
WHO = ("acme", "7", MINE)


class Trips:
    """What was sent together, trip by trip, and how many connections were held for step by step reading."""

    def __init__(self) -> None:
        self.sent: list[list[Statement]] = []
        self.held = 0


@pytest.fixture
def trips(database: Database, monkeypatch: pytest.MonkeyPatch) -> Trips:
    noted = Trips()
    ask, read = database.ask, database.read

    async def noted_ask(asks: Asks[Any], *, timeout: float | None = None) -> Any:
        noted.sent.append([])
        return await ask(noting(asks, noted.sent[-1]), timeout=timeout)

    def noted_read(*, timeout: float | None = None) -> AbstractAsyncContextManager[AsyncConnection]:
        noted.held += 1
        return read(timeout=timeout)

    monkeypatch.setattr(database, "ask", noted_ask)
    monkeypatch.setattr(database, "read", noted_read)
    return noted


def ids(page: Page) -> list[str]:
    return [line.content.id for line in page.lines if isinstance(line.content, Event)]


async def test_a_page_with_its_counts_and_deliveries_is_one_trip(
    database: Database, log: EventLog, trips: Trips
) -> None:
    inbox = Inbox(database)
    sent = [an_event("user:7", "tenant:acme") for _ in range(4)]
    for event in sent:
        mine = [a_delivery(), a_delivery(channel="sms", status=Status.SKIPPED, reason="no_address")]
        await log.append(an_append(event, deliveries=[*mine, a_delivery(user="8")]))
    await inbox.mark_read(*WHO, [sent[0].id], now=NOW)
    trips.sent.clear()
    trips.held = 0

    page = await inbox.page(*WHO, now=NOW, limit=2, offset=1)
    assert (len(trips.sent), trips.held) == (1, 0)
    assert ids(page) == [sent[2].id, sent[1].id]
    assert page.counts == (4, 3)
    assert [line.marks for line in page.lines] == [
        item[1:] for item in await inbox.list(*WHO, now=NOW, limit=2, offset=1)
    ]
    states = await Deliveries(database).channels_of("acme", "7", ids(page))
    assert [line.states for line in page.lines] == [states[id] for id in ids(page)]
    assert [state["channel"] for state in states[sent[2].id]] == ["email", "sms"]


async def test_pages_asked_for_at_once_are_one_trip_and_each_is_its_askers_own(
    database: Database, log: EventLog, trips: Trips
) -> None:
    inbox = Inbox(database)
    for user in range(4):
        for _ in range(user):
            await log.append(an_append(an_event(f"user:{user}", tenant="acme")))
    everybody = an_event("tenant:acme")
    await log.append(an_append(everybody))
    await inbox.delete("acme", "2", ["user:2", "tenant:acme"], [everybody.id], now=NOW)
    trips.sent.clear()
    pages = await asyncio.gather(
        *(inbox.page("acme", str(user), [f"user:{user}", "tenant:acme"], now=NOW) for user in range(4)),
        inbox.page("other", "3", ["user:3", "tenant:other"], now=NOW),
    )
    assert len(trips.sent) == 1
    assert [(len(page.lines), *page.counts) for page in pages] == [
        (1, 1, 1),
        (2, 2, 2),
        (2, 2, 2),
        (4, 4, 4),
        (0, 0, 0),
    ]


async def test_a_page_is_full_however_much_was_put_away_above_it(database: Database, log: EventLog) -> None:
    inbox = Inbox(database)
    sent = [an_event("user:7") for _ in range(30)]
    for event in sent:
        await log.append(an_append(event))
    for event in sent[5:]:
        await inbox.delete(*WHO, [event.id], now=NOW)
    page = await inbox.page(*WHO, now=NOW, limit=3)
    assert ids(page) == [event.id for event in sent[4:1:-1]]
    assert page.counts == (5, 5)


FILTERS: list[dict[str, Any]] = [{}, {"read": False, "archived": False}, {"read": True}, {"archived": True}]


async def test_no_plan_walks_a_table_or_sorts_a_history(
    database: Database, log: EventLog, trips: Trips
) -> None:
    inbox = Inbox(database)
    for _ in range(3):
        await log.append(an_append(an_event("user:7", "tenant:acme"), deliveries=[a_delivery()]))
    for filters in FILTERS:
        await inbox.page(*WHO, now=NOW, **filters)
    await inbox.unread(*WHO, now=NOW)
    statements = [statement for sent in trips.sent for statement in sent]
    assert len(statements) == 3 + 3 + 2 + 2 + 1  # two of the pages are empty: nothing to look up
    for sql, values in statements:
        if database.dialect == "sqlite":
            [plan] = await database.fetch([(f"EXPLAIN QUERY PLAN {sql}", values)])
            _require_indexes_of_sqlite([line[3] for line in plan])
        else:
            # An empty table is cheapest read whole: what is asked is whether it must be.
            off = [
                (f"SELECT set_config('enable_{way}', 'off', false)", ()) for way in ("seqscan", "bitmapscan")
            ]
            plan = (await database.fetch([*off, (f"EXPLAIN {sql}", values)]))[-1]
            lines = [line for (line,) in plan]
            assert not [line for line in lines if "Seq Scan" in line], lines


def _require_indexes_of_sqlite(plan: Sequence[str]) -> None:
    """Only what the statement has made itself is walked. Sorted is what a LIMIT has cut off, or marks."""
    made = {line.split()[-1] for line in plan if line.startswith("CO-ROUTINE")}
    made |= {"json_each", "CONSTANT", "a" if "MATERIALIZE marked" in plan else ""}
    walked = ""
    for line in plan:
        if scanned := re.match(r"SCAN (\w+)", line):
            walked = scanned[1]
            assert walked in made, plan
        elif re.match(r"SEARCH [rqx] ", line):
            assert "room=?" in line, plan
        elif line == "USE TEMP B-TREE FOR ORDER BY":
            assert re.fullmatch(r"room\d+|told", walked), plan
        elif "TEMP B-TREE" in line:
            assert walked in ("o", "e"), plan  # of `special` and of the unread counts
