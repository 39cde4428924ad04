"""How PostgreSQL is opened: by psycopg 3.

Promises: a connection that the server has closed is replaced before anyone notices; the server itself
gives up on what this process no longer waits for.
"""

from __future__ import annotations

import math
import select
from typing import Any

import psycopg
from sqlalchemy import URL, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


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
