"""The log of a hub in the test's own process: `log_lines` is all it says, at the level that says most.

A program sets up its logging once and for all; here every test has it as it was, whatever the one before did.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from hub import logs


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No logger keeps what a test has configured."""
    configure = structlog.configure

    def loosely(*given: Any, **named: Any) -> None:
        configure(*given, **{**named, "cache_logger_on_first_use": False})

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(structlog, "configure", loosely)
    yield
    if structlog.is_configured():
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture
def log_lines(own_logging: None) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level="debug", as_json=True, stream=stream)
    return stream
