"""Fixtures live in modules by what they provide."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

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

MEMORY = Path("/dev/shm")
ROOM = 4 << 30  # bytes that a run may need


def pytest_configure() -> None:
    """Thousands of databases sync every commit: in memory, where there is room for them."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
