"""The connection to SQL: SQLite by aiosqlite, PostgreSQL by psycopg 3.

Promises: a write is one transaction (`BEGIN IMMEDIATE` on SQLite, so that it never fails half way for a
lock); every operation ends within its timeout, also when the server is frozen or the file locked, and
then raises `StoreUnavailable`; a connection that was cut off or cancelled is thrown away, not reused.
It does not know any table.

Connections are in autocommit mode and the transaction is spelled out here. A read is therefore one
round trip, and each of its statements sees what was committed when that statement began.
"""

from __future__ import annotations

import asyncio
import math
import os
import select
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
import structlog
from sqlalchemy import URL, Table, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hub.domain.errors import StoreUnavailable
from hub.store.faults import is_away, is_busy

RETRY_AFTER = 1.0  # seconds, told to whom the database did not answer
# One wait for SQLite's lock. Short, because a statement that waits for a lock cannot be interrupted.
LOCK_WAIT = 0.25
# After the timeout the connection is cut. A driver that does not notice within this time is abandoned.
GRACE = 0.2

log = structlog.get_logger(__name__)


class Database:
    """One open database. `dialect` is `sqlite` or `postgresql`; `timeout` (seconds) bounds each operation."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, *, timeout: float) -> None:
        self.dialect = reader.dialect.name
        self.timeout = timeout
        self._reader = reader
        self._writer = writer
        self._begin = "BEGIN IMMEDIATE" if self.dialect == "sqlite" else "BEGIN"
        self._logged_at = -math.inf

    @classmethod
    async def open(cls, url: str, *, pool: int = 10, timeout: float = 5.0) -> Database:
        """Connect, or raise `StoreUnavailable`. `pool`: most connections of this process."""
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            engines = _sqlite(parsed, pool, timeout)
        else:
            engines = _postgresql(parsed, pool, timeout)
        database = cls(*engines, timeout=timeout)
        try:
            await database.ping()
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Close every connection that is not in use; those in use close when they are given back."""
        for engine in {self._reader, self._writer}:
            with suppress(SQLAlchemyError, TimeoutError):
                async with asyncio.timeout(self.timeout):
                    await engine.dispose()

    async def ping(self) -> None:
        """Return when the database answers a query, else raise `StoreUnavailable`."""
        async with self.read() as conn:
            await conn.execute(text("SELECT 1"))

    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    @asynccontextmanager
    async def read(self, *, timeout: float | None = None) -> AsyncIterator[AsyncConnection]:
        """A connection for queries. `timeout` in seconds, for all of the block."""
        async with self._connection(self._reader, timeout) as conn:
            yield conn

    @asynccontextmanager
    async def write(self, *, timeout: float | None = None) -> AsyncIterator[AsyncConnection]:
        """A connection inside a transaction that the database has begun; committed when the block ends.

        Any error rolls back. `StoreUnavailable` while committing means that nobody knows.
        """
        async with self._connection(self._writer, timeout) as conn:
            await self._begin_now(conn)
            try:
                yield conn
                await conn.exec_driver_sql("COMMIT")
            except BaseException:
                await _roll_back(conn)
                raise

    async def _begin_now(self, conn: AsyncConnection) -> None:
        while True:  # until the lock is ours, or the deadline around this cuts the connection
            try:
                await conn.exec_driver_sql(self._begin)
            except DBAPIError as error:
                if not is_busy(error):
                    raise
            else:
                return

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine, timeout: float | None) -> AsyncIterator[AsyncConnection]:
        loop = asyncio.get_running_loop()
        seconds = self.timeout if timeout is None else timeout
        deadline = loop.time() + seconds
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        try:
            # The second timeout is for a driver that waits for its thread before it believes the first.
            async with asyncio.timeout_at(deadline + 2 * GRACE), asyncio.timeout_at(deadline) as patience:
                conn = await engine.connect()
                patience.reschedule(deadline + GRACE)
                cut = loop.call_at(deadline, _cut, conn)
                try:
                    yield conn
                finally:
                    cut.cancel()
                    await conn.__aexit__(None, None, None)
        except (SQLAlchemyError, TimeoutError) as error:
            if task and task.cancelling() > cancelled:
                raise asyncio.CancelledError from error  # by the caller, while the driver failed
            late = loop.time() >= deadline
            if not is_away(error) and not (late and isinstance(error, TimeoutError | DBAPIError)):
                raise
            self._complain(error)
            detail = f"the database did not answer within {seconds:g} s" if late else ""
            raise StoreUnavailable(detail, retry_after=RETRY_AFTER) from error

    def _complain(self, error: Exception) -> None:
        """One line a second at most: while a database is away, every request finds out."""
        now = time.monotonic()
        if now - self._logged_at >= 1.0:
            self._logged_at = now
            cause = getattr(error, "orig", None) or error
            log.warning("the database does not answer", action="store_unavailable", error=repr(cause))


async def _roll_back(conn: AsyncConnection) -> None:
    """Leave no transaction open; a connection that cannot even roll back is thrown away."""
    if conn.closed or conn.invalidated:
        return
    try:
        await conn.exec_driver_sql("ROLLBACK")
    except SQLAlchemyError:
        if not conn.invalidated:
            await conn.invalidate()


def _cut(conn: AsyncConnection) -> None:
    """Make what runs on `conn` fail now.

    Cancelling would not do: psycopg first asks the server to cancel, and a frozen one never answers. A
    socket that is shut down ends the wait at once. SQLite is interrupted.
    """
    if conn.closed or conn.invalidated or conn.sync_connection is None:
        return
    driver: Any = conn.sync_connection.connection.driver_connection
    if isinstance(driver, psycopg.AsyncConnection):
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(driver.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)
    else:
        with suppress(ValueError):  # closed meanwhile
            driver._conn.interrupt()  # thread-safe; the public method only wraps it in a coroutine


def _sqlite(url: URL, pool: int, timeout: float) -> tuple[AsyncEngine, AsyncEngine]:
    """Two pools: SQLite has one writer at a time, so writers of this process queue up for one connection."""
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
        )
        event.listen(engine.sync_engine, "connect", _says(pragmas))
        engines.append(engine)
    return engines[0], engines[1]


def _says(pragmas: tuple[str, ...]) -> Any:
    def connected(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    return connected


def _postgresql(url: URL, pool: int, timeout: float) -> tuple[AsyncEngine, AsyncEngine]:
    milliseconds = int(1000 * timeout)
    arguments: dict[str, Any] = {
        "connect_timeout": max(2, math.ceil(timeout)),  # libpq's own least
        "tcp_user_timeout": milliseconds,
        "application_name": "hub",
    }
    if "options" not in url.query:
        # What the server may go on with after this process has given up or died with a tenant locked.
        arguments["options"] = (
            f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={2 * milliseconds}"
        )
    engine = create_async_engine(
        url,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=timeout,
        connect_args={name: value for name, value in arguments.items() if name not in url.query},
    )
    event.listen(engine.sync_engine, "checkout", _require_silent)
    return engine, engine


def _require_silent(connection: Any, _record: Any, _proxy: Any) -> None:
    """Refuse a pooled connection that the server has closed: an idle line has nothing to say but goodbye."""
    driver: psycopg.AsyncConnection[Any] = connection.driver_connection
    try:
        poll = select.poll()
        poll.register(driver.pgconn.socket, select.POLLIN)
        quiet = not poll.poll(0)
    except psycopg.Error:
        quiet = False
    if not quiet:
        raise DisconnectionError("the server has closed this connection")
