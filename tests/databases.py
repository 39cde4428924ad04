"""Real databases for tests: SQLite files, and a PostgreSQL of our own that is thrown away.

`url` and `database` give each test an empty, migrated database of either kind; a test that uses them runs
twice. `sqlite_url` and `postgres_url` name one kind. Without PostgreSQL's programs its tests are skipped,
loudly.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.migrate import migrate
from tests.appends import NOW
from tests.postgres import NOT_FOUND, Postgres, programs, running

_TEMPLATE = "template_hub"
PATIENCE = 30.0


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that all tests share."""
    found = programs()
    if found is None:
        reason = f"PostgreSQL is not tested: {NOT_FOUND}"
        warnings.warn(pytest.PytestWarning(reason), stacklevel=1)
        pytest.skip(reason)
    with running(found) as server:
        server.execute(f"CREATE DATABASE {_TEMPLATE}")
        migrate(server.url(_TEMPLATE))
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty, migrated database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY file_copy")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """An empty, migrated database of the test's own."""
    shutil.copy(_sqlite_template, tmp_path / "hub.db")
    return f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> Any:
    """An empty, migrated database of the test's own, once of each kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest_asyncio.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """The same, opened."""
    db = await Database.open(url)
    yield db
    await db.close()


@pytest_asyncio.fixture
async def log(database: Database) -> AsyncIterator[EventLog]:
    """The log of that database, open, at a time that stands still."""
    log = EventLog(database, clock=lambda: NOW)
    await log.open()
    yield log
    await log.close()


async def somebody_waits(database: Database) -> None:
    """Returns when a transaction waits for another one. SQLite does not tell, and has one at a time."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(PATIENCE):
        while database.dialect == "postgresql":
            async with database.read() as conn:
                if (await conn.execute(waiting)).scalar_one():
                    return
            await asyncio.sleep(0.01)
