"""How SQLite is opened: by aiosqlite, which runs each connection in a thread of its own.

Promises: a commit is on the disk when it returns (`synchronous=FULL`); a connection that is closed while
its thread is busy gives its lock back as soon as the thread comes to it; a transaction that nobody waits
for any more is not committed. A whole transaction can run in one hop to the thread, which costs the event
loop as much as a single statement does.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import aiosqlite
from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hub.store.faults import is_busy
from hub.store.trips import Asks, Begin, Found, Statement, Trips

T = TypeVar("T")
# For the work of a connection's thread: what SQLAlchemy keeps for the raw connection there.
_engines: WeakKeyDictionary[aiosqlite.Connection, Engine] = WeakKeyDictionary()
# One wait for the file's lock. Short, because a statement that waits for a lock cannot be interrupted.
LOCK_WAIT = 0.1
# How often a statement asks whether anybody still waits for it, in steps of SQLite's machine (some 10 ms).
_STEPS = 1_000_000


def sqlite_engines(
    url: URL, pool: int, timeout: float, ending: set[asyncio.Future[Any]]
) -> tuple[AsyncEngine, AsyncEngine]:
    """The engine for reads and the one for writes. SQLite has one writer at a time: they queue in a pool.

    `ending` holds, at any time, the ends of threads that are still to come.
    """
    if not url.database or url.database == ":memory:":
        raise ValueError("SQLite in memory is not shared between connections; name a file")
    common = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=OFF")
    readers = (*common, f"PRAGMA busy_timeout={int(1000 * timeout)}", "PRAGMA query_only=ON")
    writers = (*common, f"PRAGMA busy_timeout={int(1000 * min(LOCK_WAIT, timeout))}")
    engines = []
    for size, pragmas in ((pool, readers), (1, writers)):
        engine = create_async_engine(
            url,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_size=size,
            max_overflow=0,
            pool_timeout=timeout,
            hide_parameters=True,  # what is stored does not belong into a traceback
        )
        event.listen(engine.sync_engine, "connect", _prepare(pragmas, ending))
        engines.append(engine)
    return engines[0], engines[1]


def _prepare(pragmas: tuple[str, ...], ending: set[asyncio.Future[Any]]) -> Any:
    def connected(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()
        driver: aiosqlite.Connection = connection.driver_connection
        stop = driver.stop

        # The thread answers the first stop() and ends; whoever awaited a second one would wait for ever.
        @cache
        def stop_once() -> asyncio.Future[Any] | None:
            end = stop()
            if end is not None:
                ending.add(end)
                end.add_done_callback(ending.discard)
            return end

        driver.stop = stop_once  # type: ignore[method-assign]
        driver.close = partial(_close, driver)  # type: ignore[method-assign]

    return connected


async def _close(driver: aiosqlite.Connection) -> None:
    """End what still runs, roll back, then close.

    SQLite keeps a connection that is closed while a statement is left, and its lock with it.
    """
    with suppress(aiosqlite.Error, ValueError):  # ValueError: it was abandoned meanwhile
        await driver.interrupt()
        await driver.rollback()
    with suppress(ValueError):
        await aiosqlite.Connection.close(driver)


async def ask(driver: aiosqlite.Connection, asks: Asks[T]) -> T:
    """What it returns, in one hop."""
    return await _in_thread(driver, _ask, asks)


async def transact(driver: aiosqlite.Connection, begin: Begin) -> None:
    """The whole transaction in one hop; tried again while another process holds the file's lock.

    Whoever is cancelled here must throw the connection away: its thread may still be busy.
    """
    left = threading.Event()
    try:
        while not await _in_thread(driver, _transact, begin(), left):
            pass
    except asyncio.CancelledError:
        left.set()
        raise


async def work(driver: aiosqlite.Connection, do: Callable[[Connection], T]) -> T:
    """What `do` returned of a whole transaction, in one hop; tried again while the file is locked.

    Whoever is cancelled here must throw the connection away: its thread may still be busy.
    """
    left = threading.Event()
    try:
        while (done := await _in_thread(driver, _work, driver, do, left)) is None:
            pass
    except asyncio.CancelledError:
        left.set()
        raise
    value: T = done[0]
    return value


async def _in_thread(driver: aiosqlite.Connection, work: Callable[..., T], *args: Any) -> T:
    """`work` on the raw connection. aiosqlite has no public way to do more than one thing in one hop."""
    done: T = await driver._execute(work, driver._conn, *args)  # type: ignore[no-untyped-call]
    return done


def in_transaction(driver: aiosqlite.Connection) -> bool:
    return driver.in_transaction


class _Left(Exception):
    """Nobody waits for this transaction any more."""


# -- in the connection's thread ----------------------------------------------------------------------
def _rows(conn: sqlite3.Connection, statements: Sequence[Statement]) -> list[Found]:
    return [conn.execute(sql, values).fetchall() for sql, values in statements]


def _ask(conn: sqlite3.Connection, asks: Asks[T]) -> T:
    try:
        statements = next(asks)
        while True:
            statements = asks.send(_rows(conn, statements))
    except StopIteration as end:
        answer: T = end.value
    return answer


def _run(conn: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    for sql, values in statements:
        conn.execute(sql, values)


def _transact(conn: sqlite3.Connection, trips: Trips, left: threading.Event) -> bool:
    """Whether it is over; False: the file is locked."""

    def do() -> None:
        try:
            question = next(trips)
            while True:
                _run(conn, question.before)
                question = trips.send(_rows(conn, question.asked))
        except StopIteration as end:
            _run(conn, end.value)

    return _within(conn, do, left) is not None


def _work(
    conn: sqlite3.Connection,
    driver: aiosqlite.Connection,
    do: Callable[[Connection], T],
    left: threading.Event,
) -> tuple[T] | None:
    """What `do` returned, in a tuple; None: the file is locked."""
    engine = _engines.get(driver)
    if engine is None:
        engine = _engines[driver] = create_engine(
            "sqlite://",
            creator=lambda: conn,
            poolclass=StaticPool,
            pool_reset_on_return=None,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            hide_parameters=True,
        )
    with engine.connect() as connection:
        return _within(conn, lambda: do(connection), left)


def _within(conn: sqlite3.Connection, do: Callable[[], T], left: threading.Event) -> tuple[T] | None:
    """What `do` returned between BEGIN and COMMIT, in a tuple; None: the file is locked."""
    if left.is_set():
        raise _Left
    try:
        conn.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if is_busy(error):
            return None
        raise
    # An interrupt from outside is lost when it comes between two statements.
    conn.set_progress_handler(left.is_set, _STEPS)
    try:
        done = do()
        if left.is_set():
            raise _Left
        conn.execute("COMMIT")
    finally:
        conn.set_progress_handler(None, 0)
        if conn.in_transaction:
            conn.execute("ROLLBACK")
    return (done,)
