"""The command line as a whole: what it prints, how it fails, what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hub import __version__
from hub.commands.describe import markdown_table, rows
from hub.settings import Settings, names
from tests.commands import Command

PRODUCTION = {"HUB_ENV": "production"}


def test_the_version_is_the_packages(hub: Command) -> None:
    assert hub("--version") == (0, f"hub {__version__}\n", "")


def test_without_a_command_it_says_which_there_are(hub: Command) -> None:
    told = hub()
    assert told.code == 2
    for command in (
        "dev",
        "serve",
        "worker",
        "token",
        "key",
        "tenant",
        "send",
        "migrate",
        "doctor",
        "settings",
    ):
        assert f"\n  {command} " in told.out + told.err


def test_a_wrong_setting_is_a_line_that_names_it_and_no_traceback(hub: Command) -> None:
    code, out, err = hub("token", "--user", "42", HUB_PORT="canary")
    assert (code, out) == (2, "")
    assert "  HUB_PORT: " in err
    assert "Traceback" not in err
    assert "canary" not in err


@pytest.mark.parametrize("command", ["serve", "worker", "migrate"])
def test_an_unsafe_production_does_not_start(hub: Command, command: str) -> None:
    code, out, err = hub(command, **PRODUCTION)
    assert (code, out) == (2, "")
    assert [line.split(":")[0].strip() for line in err.splitlines()[1:]] == [
        "JWT_SECRET",
        "REDIS_URL",
        "EMAIL_HOST",
    ]


def test_dev_is_not_for_production(hub: Command) -> None:
    code, out, err = hub("dev", **PRODUCTION)
    assert (code, out) == (2, "")
    assert "hub serve" in err


def test_every_setting_is_listed_with_all_its_names(hub: Command) -> None:
    told = hub("settings", COLUMNS="400").out
    for field, info in Settings.model_fields.items():
        assert info.description is not None
        assert info.description in told
        for name in names(field):
            assert name in told


def test_the_settings_are_also_a_markdown_table(hub: Command) -> None:
    told = hub("settings", "--markdown").out
    assert told == markdown_table() + "\n"
    heading, _, *lines = told.splitlines()
    assert len(lines) == len(Settings.model_fields)
    # A cell that holds a bar would be two cells.
    assert {line.replace("\\|", "").count("|") for line in [heading, *lines]} == {4}
    assert "| `HUB_LOG_LEVEL`, `LOG_LEVEL` | `info` | least level that is logged |" in lines


def test_a_default_is_shown_as_one_would_write_it() -> None:
    shown = {row.names[0]: row.default for row in rows()}
    assert shown["HUB_PORT"] == "8000"
    assert shown["HUB_TOKEN_IN_QUERY"] == "true"
    assert shown["HUB_JWT_ALGORITHMS"] == "HS256"
    assert shown["HUB_JWT_SECRET"] == shown["HUB_CORS_ORIGIN"] == ""


HEAVY = {"sqlalchemy", "aiohttp", "redis", "celery", "alembic", "structlog", "rich", "jinja2"}


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [(["token", "--user", "42"], HEAVY), (["--help"], HEAVY | {"pydantic", "jwt"})],
    ids=["token", "help"],
)
def test_a_small_command_loads_no_more_than_it_needs(words: list[str], unneeded: set[str]) -> None:
    code = f"""
import sys
from hub.cli import main
sys.argv = ["hub", *{words}]
try:
    main()
except SystemExit:
    sys.exit(", ".join(sorted({unneeded} & set(sys.modules))) or 0)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert ran.stdout


def test_a_queue_that_does_not_exist_is_refused(hub: Command) -> None:
    code, out, err = hub(
        "worker", "--queues", "notification.email, canary", REDIS_URL="redis://127.0.0.1:1/0"
    )
    assert (code, out) == (2, "")
    assert err.startswith("hub: --queues canary: a queue is one of notification.email, ")
