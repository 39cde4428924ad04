"""Whole transactions in one go, and reads of several statements: the same promises as of the slow way."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from hub.domain.errors import StoreUnavailable
from hub.store.bulk import sqlite_time
from hub.store.engine import Database
from hub.store.faults import raised
from hub.store.patience import GRACE
from hub.store.tables import read_marks
from hub.store.trips import Begin, Question, Statement, Trips
from tests.appends import NOW
from tests.databases import Postgres

TIMEOUT = 0.6
BOUND = TIMEOUT + GRACE + 1.0
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def a_mark(db: Database, user: str, offset: int = 1) -> Statement:
    now: datetime | str = sqlite_time(NOW) if db.dialect == "sqlite" else NOW
    slot = "?" if db.dialect == "sqlite" else "%s"
    columns = '(tenant, "user", "offset", read_at)'
    return (
        f"INSERT INTO read_marks {columns} VALUES ({slot}, {slot}, {slot}, {slot})",
        ("acme", user, offset, now),
    )


def storing(*statements: Statement) -> Begin:
    """A transaction that asks nothing of interest and ends with `statements`."""

    def trips() -> Trips:
        yield Question((), [("SELECT 1", ())])
        return statements

    return trips


async def users(db: Database) -> list[str]:
    async with db.read() as conn:
        return sorted((await conn.execute(select(read_marks.c.user))).scalars())


async def test_what_is_asked_is_answered_and_what_follows_is_stored(database: Database) -> None:
    answers: list[Sequence[Any]] = []

    def trips() -> Trips:
        count = 'SELECT count(*) FROM read_marks WHERE "offset" = 1'
        answers.extend((yield Question([a_mark(database, "7")], [(count, ()), ("SELECT 2, 3", ())])))
        answers.extend((yield Question((), [(count, ())])))
        return [a_mark(database, "8"), a_mark(database, "9")]

    await database.transact(trips)
    assert answers == [[(1,)], [(2, 3)], [(1,)]]
    assert await users(database) == ["7", "8", "9"]


async def test_an_error_leaves_nothing_and_harms_no_one_after_it(database: Database) -> None:
    await database.transact(storing(("CREATE TEMPORARY TABLE kept (number INTEGER)", ())))
    for _ in range(3):
        with pytest.raises(raised()):
            await database.transact(storing(a_mark(database, "7"), a_mark(database, "7")))
    assert await users(database) == []
    # The connection is still the same: an error that a sender causes must not cost one each time.
    await database.transact(storing(a_mark(database, "7"), ("INSERT INTO kept VALUES (1)", ())))
    assert await users(database) == ["7"]


async def test_a_mistake_between_the_questions_leaves_nothing(database: Database) -> None:
    def trips() -> Trips:
        yield Question([a_mark(database, "7")], [("SELECT 1", ())])
        raise LookupError

    with pytest.raises(LookupError):
        await database.transact(trips)
    await database.transact(storing(a_mark(database, "8")))
    assert await users(database) == ["8"]


async def test_several_reads_come_back_in_order(database: Database) -> None:
    await database.transact(storing(a_mark(database, "7")))
    found = await database.fetch([("SELECT 1", ()), ('SELECT "user" FROM read_marks', ()), ("SELECT 3", ())])
    assert [list(rows) for rows in found] == [[(1,)], [("7",)], [(3,)]]


async def test_a_transaction_that_is_cancelled_is_not_committed(url: str) -> None:
    db = await Database.open(url, pool=2, timeout=10)
    endless = {
        "sqlite": ENDLESS,
        "postgresql": "SELECT pg_sleep(60)",
    }
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def trips() -> Trips:
        loop.call_soon_threadsafe(asked.set)
        yield Question([a_mark(db, "7")], [(endless[db.dialect], ())])
        return ()

    task = asyncio.create_task(db.transact(trips))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.transact(storing(a_mark(db, "8")))
    assert await users(db) == ["8"]
    await db.close()


# -- written with SQLAlchemy -------------------------------------------------------------------------


def marking(user: str, then: Callable[[Connection], Any] = lambda _: None) -> Callable[[Connection], str]:
    """A transaction that marks for `user`, goes on with `then`, and answers with the user."""

    def do(connection: Connection) -> str:
        row = {"tenant": "acme", "user": user, "offset": 1, "read_at": NOW}
        connection.execute(insert(read_marks), row)
        then(connection)
        return user

    return do


async def test_work_is_committed_when_its_answer_comes_and_not_at_all_when_it_fails(
    database: Database,
) -> None:
    assert await database.work(marking("7")) == "7"
    assert await users(database) == ["7"]

    def fail(_: Connection) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await database.work(marking("8", fail))
    with pytest.raises(IntegrityError):
        await database.work(marking("7"))
    assert await database.work(marking("9")) == "9"
    assert await users(database) == ["7", "9"]


async def test_work_that_is_cancelled_is_not_committed(url: str) -> None:
    db = await Database.open(url, pool=2, timeout=10)
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def endless(connection: Connection) -> None:
        loop.call_soon_threadsafe(asked.set)
        connection.execute(text(ENDLESS if db.dialect == "sqlite" else "SELECT pg_sleep(60)"))

    task = asyncio.create_task(db.work(marking("7", endless)))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.work(marking("8"))
    assert await users(db) == ["8"]
    await db.close()


# -- SQLite ------------------------------------------------------------------------------------------


async def test_work_waits_for_a_locked_file_until_its_time_is_over(sqlite_url: str) -> None:
    db = await Database.open(sqlite_url, timeout=TIMEOUT)
    lock = sqlite3.connect(sqlite_url.partition("///")[2], isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await db.work(marking("7"))
    assert time.monotonic() - started < BOUND
    waiting = asyncio.create_task(db.work(marking("8")))
    await asyncio.sleep(0)
    lock.execute("ROLLBACK")
    lock.close()
    assert await waiting == "8"
    assert await users(db) == ["8"]
    await db.close()


async def test_who_leaves_between_two_statements_ends_the_next_one_too(sqlite_url: str) -> None:
    db = await Database.open(sqlite_url, timeout=TIMEOUT)
    asked, gone = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def trips() -> Trips:
        loop.call_soon_threadsafe(asked.set)
        assert gone.wait(TIMEOUT)
        yield Question([], [(ENDLESS, ())])
        return ()

    task = asyncio.create_task(db.transact(trips))
    await asked.wait()
    task.cancel()
    for _ in range(5):  # the connection is interrupted while it runs no statement
        await asyncio.sleep(0)
    gone.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.transact(storing(a_mark(db, "8")))
    assert await users(db) == ["8"]
    await db.close()


async def test_a_locked_file_is_tried_again_until_time_is_over(sqlite_url: str) -> None:
    db = await Database.open(sqlite_url, timeout=TIMEOUT)
    lock = sqlite3.connect(sqlite_url.partition("///")[2], isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    begun = 0

    def begin() -> Trips:
        nonlocal begun
        begun += 1
        return storing(a_mark(db, "7"))()

    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await db.transact(begin)
    assert time.monotonic() - started < BOUND
    assert begun > 1
    lock.execute("ROLLBACK")
    lock.close()
    assert await users(db) == []
    await db.transact(storing(a_mark(db, "8")))
    assert await users(db) == ["8"]
    await db.close()


async def test_a_full_disk_stores_nothing(sqlite_url: str) -> None:
    db = await Database.open(sqlite_url, timeout=10)
    async with db.write() as conn:
        size = (await conn.execute(text("PRAGMA page_count"))).scalar_one()
        await conn.execute(text(f"PRAGMA max_page_count={size + 2}"))
    with pytest.raises(StoreUnavailable):
        await db.transact(storing(*(a_mark(db, f"{user:0>100}") for user in range(1000))))
    assert await users(db) == []
    await db.close()


async def test_what_hung_and_was_given_up_is_never_committed(sqlite_url: str) -> None:
    db = await Database.open(sqlite_url, timeout=TIMEOUT)
    disk = threading.Event()
    async with db.write() as conn:
        raw = await conn.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.create_function("hang", 0, hanging(disk))
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await db.transact(storing(a_mark(db, "7"), ("SELECT hang()", ())))
    assert time.monotonic() - started < BOUND
    disk.set()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        done, _ = await asyncio.wait(left, timeout=10)
        assert done == left
    await db.transact(storing(a_mark(db, "8")))
    assert await users(db) == ["8"]
    await db.close()


def hanging(disk: threading.Event) -> Callable[[], int]:
    def hang() -> int:
        disk.wait()
        return 1

    return hang


# -- PostgreSQL --------------------------------------------------------------------------------------


@pytest.mark.postgres
async def test_a_frozen_server_is_given_up_in_time(postgres: Postgres, postgres_url: str) -> None:
    db = await Database.open(postgres_url, timeout=TIMEOUT)
    postgres.freeze()
    try:
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await db.transact(storing(a_mark(db, "7")))
            with pytest.raises(StoreUnavailable):
                await db.fetch([("SELECT 1", ())])
            assert time.monotonic() - started < 2 * BOUND
    finally:
        postgres.thaw()
    await db.transact(storing(a_mark(db, "8")))
    async with db.read() as conn:
        found = await conn.execute(select(func.count()).where(read_marks.c.user == "8"))
        assert found.scalar_one() == 1
    await db.close()
