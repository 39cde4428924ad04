"""What the store promises of its connections, against a real SQLite and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from hub.domain.errors import StoreUnavailable
from hub.store.engine import Database
from hub.store.patience import GRACE
from hub.store.tables import read_marks
from tests.appends import NOW
from tests.databases import Postgres

TIMEOUT = 0.6
# The bound that is promised, and room for a busy machine. Only the waiting for a timeout is limited.
BOUND = TIMEOUT + GRACE + 1.0
ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}
A_MARK = {"tenant": "acme", "user": "7", "offset": 1, "read_at": NOW}


@asynccontextmanager
async def opened(url: str, *, pool: int = 2) -> AsyncIterator[Database]:
    db = await Database.open(url, pool=pool, timeout=TIMEOUT)
    try:
        yield db
    finally:
        await db.close()


async def put_mark(db: Database, user: str) -> None:
    async with db.write() as conn:
        await conn.execute(insert(read_marks), A_MARK | {"user": user})


async def count_marks(db: Database) -> int:
    async with db.read() as conn:
        return (await conn.execute(select(func.count()).select_from(read_marks))).scalar_one()


async def require_unavailable(db: Database, statement: str, *, write: bool = False) -> StoreUnavailable:
    """Run `statement`, which must be refused within the bound."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as refused:
        async with db.write() if write else db.read() as conn:
            await conn.execute(text(statement))
    assert time.monotonic() - began < BOUND
    assert refused.value.retry_after is not None
    return refused.value


class Lock:
    """Holds a SQLite file's write lock, as another process would."""

    def __init__(self, url: str) -> None:
        self._conn = sqlite3.connect(url.partition("///")[2], isolation_level=None)

    def __enter__(self) -> Lock:
        self._conn.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, *_: object) -> None:
        self._conn.execute("ROLLBACK")
        self._conn.close()


async def test_a_write_is_seen_when_its_block_has_ended(database: Database) -> None:
    async with database.write() as conn:
        await conn.execute(insert(read_marks), A_MARK)
        assert await count_marks(database) == 0
    assert await count_marks(database) == 1


async def test_a_write_whose_block_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(LookupError):
        async with database.write() as conn:
            await conn.execute(insert(read_marks), A_MARK)
            raise LookupError
    assert await count_marks(database) == 0
    await put_mark(database, "7")
    assert await count_marks(database) == 1


async def test_a_write_that_is_cancelled_leaves_nothing(database: Database) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with database.write() as conn:
            await conn.execute(insert(read_marks), A_MARK)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count_marks(database) == 0
    await put_mark(database, "7")


async def test_a_wrong_statement_is_not_called_unavailable(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.read() as conn:
            await conn.execute(text("SELECT * FROM no_such_table"))
    with pytest.raises(DBAPIError):
        async with database.write() as conn:
            await conn.execute(insert(read_marks), [A_MARK, A_MARK])
    await database.ping()


async def test_times_and_truth_come_back_as_they_went_in(database: Database) -> None:
    await put_mark(database, "7")
    async with database.read() as conn:
        [found] = (await conn.execute(select(read_marks))).mappings()
    assert dict(found) == A_MARK | {"changes": 0}


async def test_who_waits_too_long_for_a_connection_is_refused(url: str) -> None:
    async with opened(url, pool=1) as db, db.read(timeout=60):
        await require_unavailable(db, "SELECT 1")


async def test_a_query_that_takes_too_long_is_cut(url: str) -> None:
    async with opened(url) as db:
        for _ in range(3):  # more often than there are connections
            refusal = await require_unavailable(db, ENDLESS[db.dialect])
            assert "did not answer within 0.6 s" in refusal.detail
        await db.ping()


async def test_queries_that_are_cancelled_give_their_connections_back(url: str) -> None:
    async with opened(url) as db:

        async def query() -> None:
            async with db.read() as conn:
                await conn.execute(text(ENDLESS[db.dialect]))

        tasks = [asyncio.create_task(query()) for _ in range(6)]
        for task, delay in zip(tasks, (0, 0.01, 0.02, 0, 0.01, 0), strict=True):
            await asyncio.sleep(delay)
            task.cancel()
        await asyncio.gather(db.ping(), db.ping(), db.ping())
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)


# -- SQLite ------------------------------------------------------------------------------------------


async def test_a_locked_file_is_refused_in_time_and_then_well_again(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        with Lock(sqlite_url):
            refusal = await require_unavailable(db, "DELETE FROM read_marks", write=True)
            assert "did not answer" in refusal.detail
            assert await count_marks(db) == 0  # readers are not in the way of a writer
        await put_mark(db, "7")
        assert await count_marks(db) == 1


async def test_writers_that_wait_for_a_lock_together_all_end_in_time(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        with Lock(sqlite_url):
            began = time.monotonic()
            ends = await asyncio.gather(
                *(put_mark(db, str(user)) for user in range(20)), return_exceptions=True
            )
            assert time.monotonic() - began < BOUND
            assert [type(end) for end in ends] == [StoreUnavailable] * 20
        await put_mark(db, "7")
        assert await count_marks(db) == 1


async def test_a_lock_that_is_given_back_in_time_only_delays(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        with Lock(sqlite_url):
            waiting = asyncio.create_task(put_mark(db, "7"))
            done, _ = await asyncio.wait([waiting], timeout=TIMEOUT / 2)
            assert not done
        await waiting
        assert await count_marks(db) == 1


async def test_a_full_disk_is_refused_and_stores_nothing(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        async with db.write() as conn:
            size = (await conn.execute(text("PRAGMA page_count"))).scalar_one()
            await conn.execute(text(f"PRAGMA max_page_count={size + 2}"))
        rows = [A_MARK | {"user": f"{user:0>100}"} for user in range(1000)]
        with pytest.raises(StoreUnavailable):
            async with db.write() as conn:
                await conn.execute(insert(read_marks), rows)
        assert await count_marks(db) == 0
        async with db.write() as conn:
            await conn.execute(text("PRAGMA max_page_count=1000000"))
            await conn.execute(insert(read_marks), rows)
        assert await count_marks(db) == 1000


async def test_a_disk_that_hangs_is_abandoned_and_replaced(sqlite_url: str) -> None:
    disk = threading.Event()
    async with opened(sqlite_url) as db:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            async with db.write() as conn:
                raw = await conn.get_raw_connection()
                assert raw.driver_connection is not None
                await raw.driver_connection.create_function("hang", 0, disk.wait)
                await conn.execute(insert(read_marks), A_MARK)
                await conn.execute(text('UPDATE read_marks SET "offset" = hang()'))
        assert time.monotonic() - began < BOUND
        disk.set()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:  # what was abandoned must end when the disk is back
            done, _ = await asyncio.wait(left, timeout=10)
            assert done == left
        await put_mark(db, "8")
        assert await count_marks(db) == 1  # what hung was never committed


async def test_readers_cannot_write(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        with pytest.raises(StoreUnavailable):
            async with db.read() as conn:
                await conn.execute(insert(read_marks), A_MARK)
        assert await count_marks(db) == 0


async def test_commits_reach_the_disk(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db, db.write() as conn:
        assert (await conn.execute(text("PRAGMA synchronous"))).scalar() == 2  # FULL
        assert (await conn.execute(text("PRAGMA journal_mode"))).scalar() == "wal"


async def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="name a file"):
        await Database.open("sqlite+aiosqlite://")


async def test_a_file_that_cannot_be_opened_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable):
        await Database.open("sqlite+aiosqlite:////no/such/directory/hub.db", timeout=TIMEOUT)
    for thread in threading.enumerate():  # the driver's, which must not outlive the loop
        if thread is not threading.current_thread():
            await asyncio.to_thread(thread.join, 10)


# -- PostgreSQL --------------------------------------------------------------------------------------


@pytest.mark.postgres
async def test_a_frozen_server_is_refused_in_time_and_then_well_again(
    postgres: Postgres, postgres_url: str
) -> None:
    async with opened(postgres_url) as db:
        await asyncio.gather(db.ping(), db.ping())
        postgres.freeze()
        try:
            # Pooled connections first, then new ones: neither gets an answer.
            for write in (False, True, False, True):
                await require_unavailable(db, "SELECT 1", write=write)
        finally:
            postgres.thaw()
        await put_mark(db, "7")
        assert await count_marks(db) == 1


@pytest.mark.postgres
async def test_a_caller_that_gives_up_on_a_frozen_server_leaks_nothing(
    postgres: Postgres, postgres_url: str
) -> None:
    async with opened(postgres_url) as db:
        await asyncio.gather(db.ping(), db.ping())
        postgres.freeze()
        try:
            tasks = [asyncio.create_task(db.ping()) for _ in range(4)]
            await asyncio.sleep(TIMEOUT / 4)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)
        finally:
            postgres.thaw()
        await asyncio.gather(db.ping(), db.ping(), db.ping())


@pytest.mark.postgres
async def test_connections_that_the_server_closed_are_replaced_unseen(
    postgres: Postgres, postgres_url: str
) -> None:
    async with opened(postgres_url) as db:
        await asyncio.gather(db.ping(), db.ping())
        postgres.stop()
        postgres.start()
        await asyncio.gather(db.ping(), db.ping(), db.ping())
        postgres.stop()
        await require_unavailable(db, "SELECT 1")
        postgres.start()
        await asyncio.gather(db.ping(), db.ping(), db.ping())


@pytest.mark.postgres
async def test_a_server_that_is_not_there_is_unavailable(postgres: Postgres) -> None:
    with pytest.raises(StoreUnavailable):
        await Database.open("postgresql+psycopg://hub@127.0.0.1:1/hub", timeout=TIMEOUT)


async def test_looks_find_a_connection_ready_and_one_that_failed_goes_back(sqlite_url: str) -> None:
    db = await Database.open(sqlite_url)
    made: list[object] = []
    event.listen(db._reader.sync_engine, "checkout", lambda connection, *_: made.append(connection))
    for _ in range(3):
        assert await db.fetch([("SELECT 1", ())]) == [[(1,)]]
    assert len(made) == 1
    with pytest.raises(sqlite3.OperationalError):
        await db.fetch([("SELECT nothing", ())])
    assert await db.fetch([("SELECT 1", ())]) == [[(1,)]]
    assert len(made) == 2
    await db.close()
    assert db._reader.sync_engine.pool.checkedout() == 0
