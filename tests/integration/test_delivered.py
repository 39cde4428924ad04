"""What clients acknowledge: a mark per user that only moves on, and what the timeline says of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from hub.domain.events import Cursor
from hub.store import tables
from hub.store.delivered import DeliveredMarks
from hub.store.engine import Database
from hub.store.events import EventLog
from tests.appends import NOW, an_append
from tests.living import Ear, Living, Start

MARKS = select(tables.delivered_marks)


async def steps(hub: Living, answer: Any, user: str = "42") -> list[tuple[str, str]]:
    """What the user sees of the notification in the app."""
    await hub.hub.delivered.flush()
    status, story = await hub.user("GET", f"/notifications/{answer['id']}/timeline", hub.token(user, "ADMIN"))
    assert status == 200
    assert all(step["deliveryId"] is None and step["at"].endswith("Z") for step in story)
    return [(step["channel"], step["step"]) for step in story]


async def test_what_was_acknowledged_is_delivered_in_the_timeline(living: Start) -> None:
    hub = await living()
    first = await hub.notify("system", ["user:42", "role:ADMIN"], title="first")
    second = await hub.notify("system", ["user:42", "role:ADMIN"], title="second")
    async with Ear(hub.url, hub.token("42", "ADMIN")) as ear:
        assert await steps(hub, first) == []
        assert await ear.ask("ack", {"cursor": first["cursor"]}) is None
        assert await steps(hub, first) == [("inApp", "delivered")]
        assert await steps(hub, second) == []
        assert await steps(hub, first, "7") == []  # it is the other user's own affair
        await ear.ask("ack", {"cursor": second["cursor"]})
        await ear.ask("ack", {"cursor": first["cursor"]})
        assert await steps(hub, second) == [("inApp", "delivered")]
    assert not [item for item in ear.heard if item.event in ("ack", "error")]


async def test_a_plain_websocket_acknowledges_in_silence(living: Start) -> None:
    hub = await living()
    answer = await hub.notify("system", "user:42", title="x")
    async with hub.http.ws_connect(f"/ws/notifications?token={hub.token('42')}") as ws:
        assert json.loads(await ws.receive_str(timeout=5))["event"] == "connected"
        await ws.send_json({"event": "ack", "data": {"cursor": answer["cursor"]}})
        await ws.send_json({"event": "ack", "data": {"cursor": answer["cursor"]}, "ack": 7})
        assert json.loads(await ws.receive_str(timeout=5)) == {"event": "ack", "data": None, "ack": 7}
    assert await steps(hub, answer) == [("inApp", "delivered")]


@pytest.mark.parametrize("data", [None, {}, {"cursor": 7}, {"cursor": "x"}, {"cursor": ["e:1"]}, "e:-1"])
async def test_what_is_no_cursor_is_refused(living: Start, data: Any) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42")) as ear:
        assert (await ear.ask("ack", data))["code"] in ("cursor_invalid", "invalid_request")


async def test_marks_wait_while_the_database_is_away_and_are_written_when_the_hub_stops(
    living: Start, sqlite_url: str
) -> None:
    hub = await living(database_timeout=0.3)
    answers = [await hub.notify("system", "user:42", title=title) for title in "ab"]
    path = sqlite_url.partition(":///")[2]
    async with Ear(hub.url, hub.token("42")) as ear:
        with closing(sqlite3.connect(path, isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            await ear.ask("ack", {"cursor": answers[1]["cursor"]})
            writing = asyncio.create_task(hub.hub.delivered.flush())
            await ear.ask("ack", {"cursor": answers[0]["cursor"]})  # older, and it comes meanwhile
            await writing
            lock.execute("ROLLBACK")
    await hub.hub.close()
    with closing(sqlite3.connect(path)) as conn:
        rows = conn.execute('SELECT tenant, "user", "offset" FROM delivered_marks').fetchall()
    assert rows == [("acme", "42", 2)]


async def test_a_mark_only_moves_on_and_never_beyond_the_log(database: Database, log: EventLog) -> None:
    await log.append(an_append())
    epoch = (await log.tenant("acme", create=False)).epoch
    for _ in range(4):
        await log.append(an_append())
    marks, later = DeliveredMarks(database), NOW + timedelta(hours=1)

    async def move(offset: int, *, epoch: str = epoch, tenant: str = "acme", now: Any = NOW) -> Any:
        await marks.move({(tenant, "7"): Cursor(epoch, offset)}, now=now)
        async with database.read() as conn:
            return [tuple(row) for row in await conn.execute(MARKS)]

    assert await move(3) == [("acme", "7", 3, NOW)]
    assert await move(2, now=later) == [("acme", "7", 3, NOW)]
    assert await move(3, now=later) == [("acme", "7", 3, NOW)]
    assert await move(5, epoch="other", now=later) == [("acme", "7", 3, NOW)]
    assert await move(5, tenant="nobody", now=later) == [("acme", "7", 3, NOW)]
    assert await move(10**18, now=later) == [("acme", "7", 5, later)]


async def test_marks_of_many_users_from_many_processes_are_all_written(
    database: Database, log: EventLog
) -> None:
    await log.append(an_append())
    epoch = (await log.tenant("acme", create=False)).epoch
    marks = DeliveredMarks(database)
    users = [f"{n}" for n in range(1200)]
    one = {("acme", user): Cursor(epoch, 1) for user in users}
    other = {("acme", user): Cursor(epoch, 1) for user in reversed(users)}
    await asyncio.gather(marks.move(one, now=NOW), marks.move(other, now=NOW))
    async with database.read() as conn:
        found = (await conn.execute(MARKS)).all()
    assert {row.user for row in found} == set(users)
    assert {row.offset for row in found} == {1}
