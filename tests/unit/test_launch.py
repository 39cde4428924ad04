"""What is checked before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from hub import dev as hub_dev
from hub.cluster.embedded import free_port
from hub.commands.start import Fault
from hub.dev import child_environment, only_one
from hub.serve import PortBusy, require_free_port
from hub.settings import Settings
from tests.commands import Command


def test_a_free_port_is_accepted_and_stays_free() -> None:
    port = free_port()
    require_free_port("127.0.0.1", port)
    told = rf"^port {port} on 127\.0\.0\.1 cannot be used .*HUB_PORT$"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortBusy, match=told):
        require_free_port("127.0.0.1", port)
    require_free_port("127.0.0.1", port)


def test_a_port_taken_on_one_address_is_taken_on_all() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortBusy):
        require_free_port("0.0.0.0", port)


def test_a_host_that_is_none_is_told_by_its_setting() -> None:
    with pytest.raises(PortBusy, match=r"HUB_HOST"):
        require_free_port("no such host", 8000)


def test_a_data_directory_has_one_user_at_a_time(tmp_path: Path) -> None:
    with only_one(tmp_path / "deep" / "data") as directory:
        assert directory.is_dir()
        with pytest.raises(Fault, match=r"HUB_DATA_DIR"), only_one(directory):
            pass
    with only_one(directory):
        pass


def test_a_data_directory_that_cannot_be_made_is_told_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Fault, match=r"HUB_DATA_DIR"), only_one(tmp_path / "file" / "data"):
        pass


def test_children_get_what_was_decided_and_the_rest_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EMAIL_HOST", "smtp.example.com")
    monkeypatch.setenv("HUB_PORT", "9001")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    settings = Settings(port=9002, drain_seconds=5.0, workers=4)
    env = child_environment(settings, tmp_path, color=True, demo=False)
    assert env["EMAIL_HOST"] == "smtp.example.com"
    assert env["HUB_PORT"] == "9002"
    assert env["HUB_DATA_DIR"] == str(tmp_path)
    assert env["HUB_WORKERS"] == "1"
    assert float(env["HUB_DRAIN_SECONDS"]) == 1.0
    assert env["FORCE_COLOR"] == "1"
    assert "FORCE_COLOR" not in child_environment(settings, tmp_path, color=False, demo=False)


@pytest.mark.parametrize(
    ("said", "demo", "level"),
    [({}, True, "warning"), ({}, False, "info"), ({"log_level": "info"}, True, "info")],
)
def test_the_demo_is_quiet_unless_a_level_was_said(
    tmp_path: Path, said: dict[str, Any], demo: bool, level: str
) -> None:
    env = child_environment(Settings(**said), tmp_path, color=False, demo=demo)
    assert env["HUB_LOG_LEVEL"] == level


def test_the_demo_needs_the_repository(hub: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub_dev, "DEMO", tmp_path / "nowhere.py")
    code, out, err = hub("dev", "--demo")
    assert (code, out) == (2, "")
    assert err == "hub: the demo's bookings come with the repository, not with the package\n"


def test_dev_with_a_database_that_is_away_starts_nothing(hub: Command) -> None:
    url = f"postgresql://u:canary@127.0.0.1:{free_port()}/hub"
    code, out, err = hub("dev", "--port", str(free_port()), DATABASE_URL=url)
    assert (code, out) == (1, "")
    assert "DATABASE_URL" in err
    assert "canary" not in err
