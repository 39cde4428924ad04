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
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Table, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.domain.errors import StoreUnavailable
from hub.store import dialects
from hub.store import sqlite as of_sqlite
from hub.store.faults import is_away, is_busy, raised
from hub.store.patience import Patience
from hub.store.trips import Asks, Begin, Found, Statement, once

T = TypeVar("T")
KEPT = 2  # connections of a SQLite that `fetch` has at hand, out of their pool
RETRY_AFTER = 1.0  # seconds, told to whom the database did not answer

log = structlog.get_logger(__name__)


class Database:
    """One open database. `dialect` is `sqlite` or `postgresql`; `timeout` (seconds) bounds each operation."""

    def __init__(
        self, reader: AsyncEngine, writer: AsyncEngine, *, timeout: float, ending: set[asyncio.Future[Any]]
    ) -> None:
        self.dialect = reader.dialect.name
        self.timeout = timeout
        self._reader = reader
        self._writer = writer
        self._begin = "BEGIN IMMEDIATE" if self.dialect == "sqlite" else "BEGIN"
        self._driver: Any = of_sqlite
        if self.dialect == "postgresql":
            from hub.store import postgresql

            self._driver = postgresql
        self._logged_at = -math.inf
        self._connecting: set[asyncio.Future[Any]] = set()
        self._ending = ending
        # What a pool does for each use costs as much as a small query. A server's connections go through it
        # anyway: there it is found out that the server has closed them.
        self._kept: list[AsyncConnection] | None = [] if self.dialect == "sqlite" else None

    @classmethod
    async def open(cls, url: str, *, pool: int = 10, timeout: float = 5.0) -> Database:
        """Connect, or raise `StoreUnavailable`. `pool`: most connections of this process."""
        parsed = make_url(url)
        ending: set[asyncio.Future[Any]] = set()
        if parsed.get_backend_name() == "sqlite":
            engines = of_sqlite.sqlite_engines(parsed, pool, timeout, ending)
        else:
            from hub.store.postgresql import postgresql_engines

            engines = postgresql_engines(parsed, pool, timeout)
        database = cls(*engines, timeout=timeout, ending=ending)
        try:
            await database.ping()
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Close every connection that is not in use; those in use close when they are given back."""
        if self._connecting:
            await asyncio.wait(self._connecting, timeout=self.timeout)
        kept, self._kept = self._kept or [], None
        for conn in kept:
            with suppress(SQLAlchemyError):
                await conn.close()
        for engine in {self._reader, self._writer}:
            with suppress(SQLAlchemyError, TimeoutError):
                async with asyncio.timeout(self.timeout):
                    await engine.dispose()
        if self._ending:
            await asyncio.wait(self._ending, timeout=self.timeout)

    async def ping(self) -> None:
        """Return when the database answers a query, else raise `StoreUnavailable`."""
        async with self.read() as conn:
            await conn.execute(text("SELECT 1"))

    def insert(self, table: Table) -> dialects.Insert:
        """An INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
        return dialects.insert(self.dialect, table)

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
        async with self._connection(self._writer, timeout) as conn, self._transaction(conn):
            yield conn

    async def transact(self, begin: Begin, *, timeout: float | None = None) -> None:
        """A whole transaction, described by `begin` in advance; many times cheaper than `write`.

        Raises what the driver raises, not what SQLAlchemy makes of it; any error rolls back.
        `StoreUnavailable` while committing means that nobody knows.
        """
        async with self._connection(self._writer, timeout) as conn:
            driver = _driver_of(conn)
            try:
                await self._driver.transact(driver, begin)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) or self._driver.in_transaction(driver):
                    await conn.invalidate()
                raise

    async def work(self, do: Callable[[Connection], T], *, timeout: float | None = None) -> T:
        """What `do` returned, once its whole transaction is committed. It is called between BEGIN and COMMIT,
        for SQLite in the connection's thread, so that the loop pays for one hop and not for each statement.

        Any error rolls back. `StoreUnavailable` while committing means that nobody knows.
        """
        async with self._connection(self._writer, timeout) as conn:
            if self.dialect != "sqlite":
                async with self._transaction(conn):
                    return await conn.run_sync(do)
            driver = _driver_of(conn)
            try:
                return await of_sqlite.work(driver, do)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) or of_sqlite.in_transaction(driver):
                    await conn.invalidate()
                raise

    async def fetch(self, statements: Sequence[Statement], *, timeout: float | None = None) -> list[Found]:
        """The rows of statements in the driver's SQL, together; many times cheaper than `read`."""
        return [*await self.ask(once(statements), timeout=timeout)]

    async def ask(self, asks: Asks[T], *, timeout: float | None = None) -> T:
        """What `asks` returns of what it was answered; for SQLite it runs in the connection's thread."""
        async with self._connection(self._reader, timeout, kept=self._kept) as conn:
            try:
                answer: T = await self._driver.ask(_driver_of(conn), asks)
            except asyncio.CancelledError:
                await conn.invalidate()
                raise
            return answer

    @asynccontextmanager
    async def _transaction(self, conn: AsyncConnection) -> AsyncIterator[None]:
        await self._begin_now(conn)
        try:
            yield
            await conn.exec_driver_sql("COMMIT")
        except BaseException:
            await _roll_back(conn)
            raise

    async def _begin_now(self, conn: AsyncConnection) -> None:
        while True:  # until SQLite's lock is ours, or the caller's time is over
            try:
                await conn.exec_driver_sql(self._begin)
            except DBAPIError as error:
                if not is_busy(error):
                    raise
            else:
                return

    @asynccontextmanager
    async def _connection(
        self, engine: AsyncEngine, timeout: float | None, *, kept: list[AsyncConnection] | None = None
    ) -> AsyncIterator[AsyncConnection]:
        seconds = self.timeout if timeout is None else timeout
        patience = Patience(seconds)
        try:
            with patience:
                conn = kept.pop() if kept else await self._connect(engine)
                well = False
                try:
                    yield conn
                    well = True
                finally:
                    if well and kept is not None and kept is self._kept and len(kept) < KEPT:
                        kept.append(conn)
                    else:
                        await conn.__aexit__(None, None, None)
        except raised() as error:
            if patience.cancelled and not isinstance(error, asyncio.CancelledError):
                raise asyncio.CancelledError from error  # the driver failed over it
            if patience.cancelled:
                raise
            if not patience.ended and not is_away(error):
                raise
            self._complain(error)
            detail = f"the database did not answer within {seconds:g} s" if patience.ended else ""
            raise StoreUnavailable(detail, retry_after=RETRY_AFTER) from error

    async def _connect(self, engine: AsyncEngine) -> AsyncConnection:
        """A connection of the pool. Who is cancelled stops waiting; the connecting goes on, because a driver
        that is interrupted then leaves a half-made connection behind, and what comes of it is given back."""
        connecting = asyncio.ensure_future(_start(engine))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            giving_back = asyncio.ensure_future(_give_back(connecting))
            self._connecting.add(giving_back)
            giving_back.add_done_callback(self._connecting.discard)
            raise

    def _complain(self, error: BaseException) -> None:
        """One line a second at most: while a database is away, every request finds out."""
        now = time.monotonic()
        if now - self._logged_at >= 1.0:
            self._logged_at = now
            cause = getattr(error, "orig", None) or error
            log.warning("the database does not answer", action="store_unavailable", error=repr(cause))


def _driver_of(conn: AsyncConnection) -> Any:
    """What SQLAlchemy's connection stands before; valid while that one is open."""
    assert conn.sync_connection is not None
    return conn.sync_connection.connection.driver_connection


async def _start(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


async def _give_back(connecting: asyncio.Future[AsyncConnection]) -> None:
    with suppress(SQLAlchemyError):
        await (await connecting).close()


async def _roll_back(conn: AsyncConnection) -> None:
    """Leave no transaction open; a connection that cannot even roll back is thrown away."""
    if conn.closed or conn.invalidated:
        return
    try:
        await conn.exec_driver_sql("ROLLBACK")
    except SQLAlchemyError:
        if not conn.invalidated:
            await conn.invalidate()
