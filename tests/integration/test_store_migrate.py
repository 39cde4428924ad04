"""The migrations and the tables are two descriptions of one thing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from hub.store.migrate import current, migrate, pending
from hub.store.tables import metadata
from tests.databases import Postgres

ALL = ["0001", "0002", "0003", "0004"]


def blocking(url: str) -> str:
    return url.replace("sqlite+aiosqlite", "sqlite")


def test_migrations_make_exactly_the_tables(url: str) -> None:
    engine = create_engine(blocking(url))
    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert set(inspect(conn).get_table_names()) == {*metadata.tables, "alembic_version"}
    engine.dispose()


def test_a_migrated_sqlite_keeps_its_special_tables(sqlite_url: str) -> None:
    engine = create_engine(blocking(sqlite_url))
    with engine.connect() as conn:
        sql = text("SELECT name FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%' ORDER BY name")
        assert conn.execute(sql).scalars().all() == [
            "callbacks",
            "event_rooms",
            "mutes",
            "people_roles",
            "receipts",
            "suppressions",
        ]
        assert conn.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    engine.dispose()


def test_a_second_migration_finds_nothing_to_do(url: str) -> None:
    assert pending(url) == []
    assert migrate(url) == []
    assert current(url) == ALL[-1]


def test_an_empty_database_says_what_is_pending(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'new' / 'hub.db'}"
    assert current(url) is None
    assert pending(url) == ALL
    assert migrate(url) == ALL


def test_processes_that_migrate_together_migrate_once(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, [url] * 4))
    assert sorted(applied) == [[], [], [], ALL]


@pytest.mark.postgres
def test_processes_that_migrate_a_postgres_together_migrate_once(postgres: Postgres) -> None:
    postgres.execute("CREATE DATABASE test_together")
    try:
        with ThreadPoolExecutor(4) as pool:
            applied = list(pool.map(migrate, [postgres.url("test_together")] * 4))
        assert sorted(applied) == [[], [], [], ALL]
    finally:
        postgres.execute("DROP DATABASE test_together WITH (FORCE)")


def test_a_migration_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    create = op.create_table

    def fails_at_last(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "audit":
            raise RuntimeError("out of luck")
        made.append(name)
        return create(name, *arguments, **options)

    url = f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"
    with monkeypatch.context() as patch:
        patch.setattr(op, "create_table", fails_at_last)
        with pytest.raises(RuntimeError, match="out of luck"):
            migrate(url)
    assert "events" in made
    engine = create_engine(blocking(url))
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    assert migrate(url) == ALL
