"""The machine that measures: which core does what, what is installed on it, how busy it is."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

SERVER_CORE = 0
GENERATOR_CORE = 1


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` on one core; on a machine with a single core, just there."""
    return ["taskset", "-c", str(core if core in os.sched_getaffinity(0) else 0), *command]


def pin(pid: int, core: int) -> None:
    """The same for a process that runs already, and for what it starts from now on."""
    if core in os.sched_getaffinity(0):
        os.sched_setaffinity(pid, {core})


def require_files(wanted: int) -> None:
    """Raises the limit of open files as far as it goes, for all children; SystemExit when that is too few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < wanted:
        raise SystemExit(
            f"at most {most} open files are allowed here, {wanted} are needed: ulimit -n {wanted}"
        )


def load() -> str:
    """The load averages, as `uptime` shows them."""
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


def description() -> str:
    """One line: when and on what."""
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    parts = [
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        f"{os.cpu_count()} x {cpu[1] if cpu else platform.machine()}",
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
        f"node {_version('node', '--version')}",
    ]
    return ", ".join(parts)


def _version(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "missing"
