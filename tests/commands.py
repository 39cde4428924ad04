"""The `hub` command as tests run it: in this process, in an empty directory, without anybody's settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from hub.cli import main
from hub.settings import Settings, names


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ran]


def forget_settings(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Takes every setting out of the environment and moves to `directory`, where there is no `.env`."""
    for field in Settings.model_fields:
        for name in names(field):
            monkeypatch.delenv(name, raising=False)
    for name in ("HUB_API_KEY", "HUB_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(directory)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """`hub("token", "--user", "42")` runs that command and returns its exit code and what it printed."""
    forget_settings(monkeypatch, tmp_path)

    def run(*words: str, **settings: str) -> Ran:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["hub", *words])
        capsys.readouterr()
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        else:
            code = 0
        return Ran(code, *capsys.readouterr())

    return run
