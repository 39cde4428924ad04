"""Brings a database's tables to what `hub.store.tables` says (Alembic).

Promises: a migration happens as a whole or not at all, and once, also when several processes start it
together. Runs synchronously, before anything else uses the database. The revisions are the files in
`hub/store/migrations/versions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, make_url

# Any number will do, as long as every version of the hub locks the same one.
_ADVISORY_LOCK = 4_915_170


def migrate(url: str) -> list[str]:
    """Apply what is missing; returns the revisions that were applied, oldest first."""
    with _connection(url) as conn:
        sqlite = conn.dialect.name == "sqlite"
        if sqlite:
            conn.exec_driver_sql("PRAGMA journal_mode=WAL")  # stays with the file
        conn.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "BEGIN")
        try:
            if not sqlite:
                conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            missing = _missing(conn)
            command.upgrade(_config(conn), "head")
            conn.exec_driver_sql("COMMIT")
        except BaseException:
            conn.exec_driver_sql("ROLLBACK")
            raise
    return missing


def current(url: str) -> str | None:
    """The revision the database is at; None: it has no tables of ours."""
    with _connection(url) as conn:
        return MigrationContext.configure(conn).get_current_revision()


def pending(url: str) -> list[str]:
    """The revisions that `migrate` would apply, oldest first."""
    with _connection(url) as conn:
        return _missing(conn)


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    """In autocommit mode, by a driver that blocks. Makes the directory of an SQLite file."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(drivername="sqlite")
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        yield conn


def _config(conn: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "hub.store:migrations")
    config.attributes["connection"] = conn
    return config


def _missing(conn: Connection) -> list[str]:
    scripts = ScriptDirectory.from_config(_config(conn))
    at = MigrationContext.configure(conn).get_current_revision()
    found = [script.revision for script in scripts.iterate_revisions("head", at or "base")]
    return found[::-1]
