"""`hub doctor` sees what is there and what is not, and says what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.cluster.embedded import free_port
from tests.commands import Command
from tests.launched import Launched
from tests.mailservers import MailServer


def faults(out: str) -> list[str]:
    """The checks that found a fault."""
    return [line.split()[1] for line in out.splitlines() if line.startswith("FAULT ")]


def test_a_directory_without_a_database_has_one_fault(hub: Command, tmp_path: Path) -> None:
    code, out, err = hub("doctor")
    assert code == 1
    assert faults(out) == ["database"]
    assert "hub migrate" in out
    assert err == "hub: 1 of 6 checks found a fault\n"
    assert list(tmp_path.iterdir()) == []  # looking has changed nothing


async def test_where_all_answers_there_is_no_fault(
    tmp_path: Path, valkey_url: str, mail_server: MailServer
) -> None:
    settings = {"REDIS_URL": valkey_url, "HUB_BROKER_URL": valkey_url}
    settings |= {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(mail_server.port)}
    with Launched("migrate", directory=tmp_path) as migrate:
        assert await asyncio.to_thread(migrate.wait) == 0
    with Launched("doctor", directory=tmp_path, **settings) as doctor:
        assert await asyncio.to_thread(doctor.wait) == 0
    assert [line.split()[:2] for line in doctor.seen] == [
        ["ok", name] for name in ("settings", "database", "redis", "broker", "providers", "mail")
    ]
    assert mail_server.connections == 1
    assert mail_server.mails == []


def test_what_does_not_answer_is_named_with_what_to_do(hub: Command) -> None:
    nobody = free_port()
    code, out, err = hub(
        "doctor",
        REDIS_URL=f"redis://:canary@127.0.0.1:{nobody}/0",
        HUB_BROKER_URL=f"amqp://user:canary@127.0.0.1:{nobody}//",
        DATABASE_URL=f"postgresql://user:canary@127.0.0.1:{nobody}/hub",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=str(nobody),
    )
    assert code == 1
    assert faults(out) == ["database", "redis", "broker", "mail"]
    for name in ("DATABASE_URL", "REDIS_URL", "HUB_BROKER_URL", "EMAIL_HOST"):
        assert f"look at {name}" in out
    assert "canary" not in out + err
    assert "Traceback" not in out + err


def test_an_unsafe_production_is_a_fault_with_a_line_for_each_setting(hub: Command) -> None:
    code, out, _ = hub("doctor", HUB_ENV="production", CORS_ORIGIN="*")
    assert code == 1
    assert "settings" in faults(out)
    for name in ("JWT_SECRET", "CORS_ORIGIN", "REDIS_URL", "EMAIL_HOST"):
        assert f"{name}: " in out


@pytest.mark.parametrize("missing", [True, False])
def test_a_pending_migration_is_a_fault(hub: Command, tmp_path: Path, missing: bool) -> None:
    (tmp_path / ".hub").mkdir()
    (tmp_path / ".hub" / "hub.db").touch()
    if not missing:
        hub("migrate")
    code, out, _ = hub("doctor")
    assert (code, faults(out)) == ((1, ["database"]) if missing else (0, []))
    assert ("and lacks " in out) is missing
