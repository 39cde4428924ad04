"""How SQLite is opened: by aiosqlite, which runs each connection in a thread of its own.

Promises: a commit is on the disk when it returns (`synchronous=FULL`); a connection that is closed while
its thread is busy gives its lock back as soon as the thread comes to it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import cache, partial
from typing import Any

import aiosqlite
from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# One wait for the file's lock. Short, because a statement that waits for a lock cannot be interrupted.
LOCK_WAIT = 0.1


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
