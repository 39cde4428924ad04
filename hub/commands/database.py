"""The database as commands use it: brought up to date, opened, closed; and its failures in words.

Development applies migrations by itself; production says that `hub migrate` has to run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hub.commands.start import Fault
from hub.settings import Settings
from hub.store import migrate
from hub.store.engine import Database


def apply_migrations(settings: Settings) -> list[str]:
    """Applies what is missing and returns its names, oldest first. Raises `Fault`."""
    with _faults():
        return migrate.migrate(settings.database)


def pending_migrations(settings: Settings) -> list[str]:
    """What `apply_migrations` would apply. Changes nothing. Raises `Fault`."""
    url = settings.database
    path = url.partition(":///")[2].partition("?")[0] if url.startswith("sqlite") else None
    if path is not None and not Path(path).exists():  # looking must not make it
        raise Fault(f"there is no database at {path} yet: `hub migrate` (or `hub dev`) makes it")
    with _faults():
        return migrate.pending(url)


def prepare(settings: Settings) -> None:
    """Raises `Fault` unless the database has this version's tables. Outside of any event loop."""
    if settings.development:
        apply_migrations(settings)
    elif missing := pending_migrations(settings):
        raise Fault(f"the database lacks {len(missing)} migrations: run `hub migrate`")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database, open. Raises `StoreUnavailable`."""
    database = await Database.open(settings.database, pool=1, timeout=settings.database_timeout)
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except ArgumentError:
        raise Fault("DATABASE_URL is not the URL of a database", code=2) from None
    except CommandError as error:  # a revision that this version does not know
        raise Fault(f"the database is not this version's: {error}") from None
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise Fault(f"the database cannot be used: {_first_line(cause)} (DATABASE_URL)") from None


def _first_line(error: object) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
