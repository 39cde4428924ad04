"""How PostgreSQL is opened: by psycopg 3.

Promises: a connection that the server has closed is replaced before anyone notices; the server itself
gives up on what this process no longer waits for. A whole transaction takes as many round trips as it
asks questions, and one to end.
"""

from __future__ import annotations

import math
import select
from collections.abc import Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hub.store.trips import Asks, Begin, Found, Statement, Trips

T = TypeVar("T")


def postgresql_engines(url: URL, pool: int, timeout: float) -> tuple[AsyncEngine, AsyncEngine]:
    """The engine for reads and the one for writes, which share a pool."""
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
        hide_parameters=True,  # what is stored does not belong into a traceback
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


async def ask(driver: psycopg.AsyncConnection[Any], asks: Asks[T]) -> T:
    """What it returns, in a round trip for each of its questions."""
    async with driver.pipeline():
        try:
            statements = next(asks)
            while True:
                statements = asks.send(await _rows(driver, statements))
        except StopIteration as end:
            answer: T = end.value
    return answer


async def transact(driver: psycopg.AsyncConnection[Any], begin: Begin) -> None:
    """A transaction; `BEGIN` goes with the first question and `COMMIT` with the last statements."""
    wrong: Exception | None = None
    try:
        async with driver.pipeline():
            try:
                await _transact(driver, begin())
            except Exception as error:
                wrong = error
    except psycopg.Error as error:  # what the rest of the pipeline came to is no news after the first error
        wrong = wrong or error
    if wrong is not None:
        await driver.execute("ROLLBACK")
        raise wrong


def in_transaction(driver: psycopg.AsyncConnection[Any]) -> bool:
    return driver.info.transaction_status != TransactionStatus.IDLE


async def _transact(driver: psycopg.AsyncConnection[Any], trips: Trips) -> None:
    await _run(driver, [("BEGIN", ())])
    try:
        question = next(trips)
        while True:
            await _run(driver, question.before)
            question = trips.send(await _rows(driver, question.asked))
    except StopIteration as end:
        last: Sequence[Statement] = end.value
    await _run(driver, [*last, ("COMMIT", ())])


# Not prepared: in a pipeline that was broken off, psycopg takes a statement for prepared that is not.
async def _run(driver: psycopg.AsyncConnection[Any], statements: Sequence[Statement]) -> None:
    for sql, values in statements:
        await driver.execute(sql, values, prepare=False)


async def _rows(driver: psycopg.AsyncConnection[Any], statements: Sequence[Statement]) -> list[Found]:
    cursors = [await driver.execute(sql, values, prepare=False) for sql, values in statements]
    return [await cursor.fetchall() for cursor in cursors]
