"""Which errors of the drivers mean that the database is away, and which that the statement is wrong."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from psycopg import errors
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hub.domain.errors import StateConflict, TenantUnknown, ValidationFailed
from hub.store.faults import is_away, is_busy, refusal_of


def of_sqlite(code: int) -> DBAPIError:
    cause = sqlite3.OperationalError("what SQLite says")
    cause.sqlite_errorcode = code
    return DBAPIError("SELECT 1", None, cause)


AWAY = {
    "busy": of_sqlite(sqlite3.SQLITE_BUSY),
    "busy, in recovery": of_sqlite(sqlite3.SQLITE_BUSY_RECOVERY),
    "locked": of_sqlite(sqlite3.SQLITE_LOCKED),
    "full": of_sqlite(sqlite3.SQLITE_FULL),
    "I/O": of_sqlite(sqlite3.SQLITE_IOERR_FSYNC),
    "cannot open": of_sqlite(sqlite3.SQLITE_CANTOPEN),
    "read-only": of_sqlite(sqlite3.SQLITE_READONLY),
    "interrupted": of_sqlite(sqlite3.SQLITE_INTERRUPT),
    "connection lost": DBAPIError("SELECT 1", None, psycopg.OperationalError()),
    "connection closed": DBAPIError("SELECT 1", None, psycopg.InterfaceError()),
    "shutting down": DBAPIError("SELECT 1", None, errors.AdminShutdown()),
    "disk full": DBAPIError("SELECT 1", None, errors.DiskFull()),
    "too many connections": DBAPIError("SELECT 1", None, errors.TooManyConnections()),
    "deadlock": DBAPIError("SELECT 1", None, errors.DeadlockDetected()),
    "statement timeout": DBAPIError("SELECT 1", None, errors.QueryCanceled()),
    "a replica now": DBAPIError("SELECT 1", None, errors.ReadOnlySqlTransaction()),
    "no free connection": PoolTimeout(),
}
WRONG = {
    "SQL": of_sqlite(sqlite3.SQLITE_ERROR),
    "constraint": of_sqlite(sqlite3.SQLITE_CONSTRAINT_UNIQUE),
    "no such table": DBAPIError("SELECT 1", None, errors.UndefinedTable()),
    "unique": DBAPIError("SELECT 1", None, errors.UniqueViolation()),
    "too long": DBAPIError("SELECT 1", None, errors.StringDataRightTruncation()),
    "use of SQLAlchemy": InvalidRequestError(),
    "not a database error": ValueError(),
}


@pytest.mark.parametrize("error", AWAY.values(), ids=AWAY)
def test_the_database_is_away(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize("error", WRONG.values(), ids=WRONG)
def test_the_statement_is_wrong(error: Exception) -> None:
    assert not is_away(error)


def test_only_a_held_lock_is_waited_for() -> None:
    busy = [
        name for name, error in (AWAY | WRONG).items() if isinstance(error, DBAPIError) and is_busy(error)
    ]
    assert busy == ["busy", "busy, in recovery"]


def test_a_refused_item_is_told_why() -> None:
    own = TenantUnknown("no tenant 'x'")
    assert refusal_of(own) is own
    assert isinstance(refusal_of(IntegrityError("INSERT", None, sqlite3.IntegrityError())), StateConflict)
    assert isinstance(refusal_of(WRONG["too long"]), ValidationFailed)
    assert isinstance(refusal_of(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates")), ValidationFailed)
    bug = LookupError()
    assert refusal_of(bug) is bug
