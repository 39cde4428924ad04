"""Fixtures live in modules by what they provide."""

from __future__ import annotations

import os

import pytest

pytest_plugins = [
    "tests.certificates",
    "tests.commands",
    "tests.databases",
    "tests.deliverers",
    "tests.living",
    "tests.loglines",
    "tests.mailservers",
    "tests.simulators",
    "tests.valkeys",
    "tests.brokers",  # builds on valkeys
]


def pytest_configure(config: pytest.Config) -> None:
    """The processes of `-n` agree about the order of sets, which the names of some tests are made from."""
    if config.getoption("numprocesses", None):
        os.environ.setdefault("PYTHONHASHSEED", "0")
