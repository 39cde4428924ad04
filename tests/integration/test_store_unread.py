"""Unread counts asked by many at once: one statement, and nobody's rooms or marks count for another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.inbox import Inbox
from hub.store.trips import Found, Statement
from tests.appends import NOW, an_append, an_event


@pytest.fixture
def reads(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many statements each read had."""
    seen: list[int] = []
    fetch = database.fetch

    async def counted(statements: Sequence[Statement], *, timeout: float | None = None) -> list[Found]:
        seen.append(len(statements))
        return await fetch(statements, timeout=timeout)

    monkeypatch.setattr(database, "fetch", counted)
    return seen


async def test_many_who_ask_at_once_are_one_statement_and_each_has_their_own_count(
    database: Database, log: EventLog, reads: list[int]
) -> None:
    inbox, staff = Inbox(database), "role:STAFF"
    for user in range(5):  # person n has n of their own
        for _ in range(user):
            await log.append(an_append(an_event(f"user:{user}")))
    everybody = an_event("tenant:acme")
    soon_over = an_event("tenant:acme", expires_at=NOW + timedelta(seconds=1))
    twice = an_event("user:1", staff)
    not_for_2 = an_event(staff, exclude=("user:2",))
    elsewhere = an_event("user:1", tenant="other")
    for event in (everybody, soon_over, twice, not_for_2, elsewhere):
        await log.append(an_append(event))
    rooms = {user: [f"user:{user}", "tenant:acme"] for user in range(5)}
    rooms[1] += [staff, "session:one"]
    rooms[2] += [staff]
    await inbox.mark_read("acme", "3", rooms[3], [everybody.id], now=NOW)
    await inbox.archive("acme", "4", rooms[4], [everybody.id], now=NOW)
    later = NOW + timedelta(seconds=2)

    reads.clear()
    counts = await asyncio.gather(
        *(inbox.unread("acme", str(user), rooms[user], now=NOW) for user in range(5)),
        *(inbox.unread("acme", str(user), rooms[user], now=later) for user in range(2)),
        inbox.unread("other", "1", ["user:1", "tenant:other"], now=NOW),
        inbox.unread("acme", "4", rooms[4], now=NOW, upto=9),
        inbox.unread("acme", "nobody", [], now=NOW),
    )
    assert counts == [2, 1 + 2 + 2, 2 + 2 + 1, 3 + 1, 4 + 1, 2 - 1, 5 - 1, 1, 3, 0]
    assert reads == [1]


async def test_a_mark_of_everything_read_is_its_owners_alone(database: Database, log: EventLog) -> None:
    inbox, rooms = Inbox(database), ["tenant:acme"]
    for _ in range(3):
        await log.append(an_append(an_event("tenant:acme")))
    await inbox.mark_all_read("acme", "ana", rooms, now=NOW)
    newest = an_event("tenant:acme")
    await log.append(an_append(newest))

    async def both() -> list[int]:
        return list(
            await asyncio.gather(*(inbox.unread("acme", who, rooms, now=NOW) for who in ("ana", "ben")))
        )

    assert await both() == [1, 4]
    await inbox.mark_unread("acme", "ana", rooms, [newest.id], now=NOW)
    assert await both() == [1, 4]
    await inbox.delete("acme", "ana", rooms, [newest.id], now=NOW)
    assert await both() == [0, 4]
