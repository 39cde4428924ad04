"""Which errors of the drivers mean "the database does not answer".

Locked, full, read-only, out of connections, shut down, connection lost: trying again later can help, so
they become `StoreUnavailable`. A missing table, a broken constraint or a value that does not fit stays
what it is: waiting cures none of those. Errors come as the drivers raise them or as SQLAlchemy wraps them.
This file knows error codes and nothing about statements.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hub.domain.errors import Refusal, StateConflict, ValidationFailed

# https://www.sqlite.org/rescode.html, primary codes.
_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


def raised() -> tuple[type[BaseException], ...]:
    """What breaks off work in a database: a driver may raise when SQLAlchemy does not stand between."""
    return asyncio.CancelledError, SQLAlchemyError, sqlite3.Error, *_of_psycopg("Error")


def _of_psycopg(*names: str) -> tuple[type[Exception], ...]:
    """Errors of psycopg, which is loaded only where PostgreSQL is used: elsewhere nobody raises them."""
    psycopg: Any = sys.modules.get("psycopg")
    return tuple(getattr(psycopg.errors, name) for name in names) if psycopg is not None else ()


def is_away(error: BaseException) -> bool:
    """Whether the database is away, not the statement wrong."""
    if isinstance(error, PoolTimeout):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", None)
        # Without a code the driver itself spoke: the connection had been closed under the statement.
        if code is None:
            return isinstance(error, DBAPIError) and error.connection_invalidated
        return code & 0xFF in _SQLITE_AWAY
    # psycopg files everything the server or the network may do to us under OperationalError (classes 08,
    # 40, 53, 55, 57, 58), but for a primary that has become a replica.
    return isinstance(cause, _of_psycopg("OperationalError", "InterfaceError", "ReadOnlySqlTransaction"))


def is_busy(error: DBAPIError | sqlite3.Error) -> bool:
    """Whether SQLite refused because another connection holds the lock."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY


def refusal_of(error: Exception) -> Exception:
    """What the sender of one item is told when the database refuses that item alone."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, (IntegrityError, sqlite3.IntegrityError, *_of_psycopg("IntegrityError"))):
        return StateConflict("an event or a delivery with this id is already stored")
    if isinstance(
        error, (sqlite3.Error, *_of_psycopg("Error"), DBAPIError, UnicodeError, TypeError, OverflowError)
    ):
        return ValidationFailed("the event holds a value that cannot be stored")
    return error
