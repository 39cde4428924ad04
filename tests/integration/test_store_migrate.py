"""The migrations and the tables are two descriptions of one thing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from hub.store.migrate import _config, _connection, current, migrate, pending
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


def test_rooms_that_stood_before_learn_the_type_of_their_event(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"
    with _connection(url) as conn:
        command.upgrade(_config(conn), "0003")
        for place, type in enumerate(("booking.created", "system"), start=1):
            values = {"offset": place, "id": f"{place:026}", "type": type, "at": "2026-11-20 10:00:00.000000"}
            conn.execute(
                text(
                    'INSERT INTO events (tenant, "offset", id, type, wire, data, severity, inbox, rooms, '
                    "created_at) VALUES ('acme', :offset, :id, :type, :type, '{}', 'info', true, '[]', :at)"
                ),
                values,
            )
            conn.execute(
                text(
                    'INSERT INTO event_rooms (tenant, room, "offset", inbox, shared)'
                    " VALUES ('acme', 'user:7', :offset, true, false)"
                ),
                {"offset": place},
            )
    assert migrate(url) == ALL[ALL.index("0004") :]
    engine = create_engine(blocking(url))
    with engine.connect() as conn:
        found = conn.execute(text('SELECT type FROM event_rooms ORDER BY "offset"')).scalars().all()
    engine.dispose()
    assert found == ["booking.created", "system"]
