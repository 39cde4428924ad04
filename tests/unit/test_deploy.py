"""The files for production name what exists: settings, commands, versions, paths."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from hub.cli import app
from hub.settings import Settings, names

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SETTINGS = {name: field for field in Settings.model_fields for name in names(field)}
OURS = ("hub", "worker", "migrate")
VARIABLE = re.compile(r"\$\{(\w+)(:?[-?])?([^}]*)\}")


def commands() -> set[str]:
    command: Any = typer.main.get_command(app)
    return set(command.commands)


def filled(text: str, given: Mapping[str, str]) -> str:
    """`text` with compose's variables replaced; KeyError for a required one that is not given."""

    def value(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        if name in given:
            return given[name]
        if kind in {"-", ":-"}:
            return str(default)
        raise KeyError(name)

    return VARIABLE.sub(value, text)


def test_compose_runs_a_hub_a_worker_migrations_a_valkey_and_a_postgres() -> None:
    assert set(SERVICES) == {*OURS, "valkey", "postgres"}
    for name, service in SERVICES.items():
        assert "image" in service, name
        assert service.keys() & {"command", "environment"}, name


@pytest.mark.parametrize("name", OURS)
def test_compose_starts_commands_that_exist(name: str) -> None:
    program, command, *rest = SERVICES[name]["command"]
    assert (program, rest) == ("hub", [])
    assert command in commands()


def test_compose_sets_settings_that_exist() -> None:
    for name in OURS:
        assert set(SERVICES[name]["environment"]) <= set(SETTINGS)


def test_compose_waits_for_what_it_needs() -> None:
    for service in SERVICES.values():
        for name, needed in service.get("depends_on", {}).items():
            how = "service_completed_successfully" if name == "migrate" else "service_healthy"
            assert needed == {"condition": how}
            if name != "migrate":
                assert "test" in SERVICES[name]["healthcheck"]
    assert set(SERVICES["hub"]["depends_on"]) == {"migrate", "valkey"}
    assert set(SERVICES["migrate"]["depends_on"]) == {"postgres"}


@pytest.mark.parametrize("name", ["JWT_SECRET", "POSTGRES_PASSWORD", "EMAIL_HOST"])
def test_compose_has_no_default_for_what_must_be_chosen(name: str) -> None:
    given = {"JWT_SECRET": "x" * 32, "POSTGRES_PASSWORD": "pw", "EMAIL_HOST": "smtp.example.com"}
    text = (ROOT / "docker-compose.yml").read_text()
    filled(text, given)
    with pytest.raises(KeyError, match=name):
        filled(text, {key: value for key, value in given.items() if key != name})


def test_the_environment_of_compose_is_a_safe_production(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting, raising=False)
    monkeypatch.chdir(tmp_path)
    given = {"JWT_SECRET": "x" * 32, "POSTGRES_PASSWORD": "pw", "EMAIL_HOST": "smtp.example.com"}
    for setting, text in SERVICES["hub"]["environment"].items():
        monkeypatch.setenv(setting, filled(text, given))
    settings = Settings()
    settings.require_safe()
    assert settings.database == "postgresql+psycopg://hub:pw@postgres:5432/hub"
    assert settings.workers == 2
    assert settings.cors_origin == []


def test_a_hub_has_time_to_drain_before_it_is_killed() -> None:
    assert int(SERVICES["hub"]["stop_grace_period"].removesuffix("s")) > 15
    unit = (ROOT / "deploy/hub.service").read_text()
    assert int(unit.partition("TimeoutStopSec=")[2].split()[0]) > 15


def test_the_image_is_built_with_the_uv_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    version = makefile.partition("UV_VERSION := ")[2].split()[0]
    assert f"uv=={version}" in (ROOT / "Dockerfile").read_text()


def test_the_image_copies_files_that_exist_and_are_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--from"):
            for source in words[1:-1]:
                assert (ROOT / source).exists(), line
                assert any(Path(source).is_relative_to(allowed) for allowed in let_in), line


def test_the_systemd_unit_starts_commands_that_exist() -> None:
    started = re.findall(r"/bin/hub (\w+)", (ROOT / "deploy/hub.service").read_text())
    assert set(started) == {"migrate", "serve", "worker"}
    assert set(started) <= commands()


def test_the_proxy_passes_upgrades_and_buffers_nothing() -> None:
    proxy = (ROOT / "deploy/nginx.conf").read_text()
    for line in (
        "proxy_buffering off;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_http_version 1.1;",
    ):
        assert line in proxy
    assert "$request " not in proxy.partition("log_format")[2].partition(";")[0]  # it holds the query


def test_the_lock_files_hold_no_foreign_download_addresses() -> None:
    packages = json.loads((ROOT / "clients/js/package-lock.json").read_text())["packages"]
    assert len(packages) > 1
    assert [name for name, package in packages.items() if "resolved" in package] == []
    lock = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    sources = {value for package in lock for value in package["source"].values()}
    assert sources == {".", "https://pypi.org/simple"}
    files = [file for package in lock for file in [package.get("sdist"), *package.get("wheels", [])] if file]
    assert {file["url"].split("/")[2] for file in files} == {"files.pythonhosted.org"}
