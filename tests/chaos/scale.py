"""How big a scenario is: a few seconds in `make test`, the numbers it is promised for with `CHAOS=long`.

What cannot be asserted on a machine that others use as well (how long something took for the slowest
hundredth) is printed, and shown by `make chaos`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
LONG = os.environ.get("CHAOS") == "long"
MB = 1 << 20


def scaled(short: T, long: T) -> T:
    return long if LONG else short


def patience(seconds: float) -> pytest.MarkDecorator:
    """How long a scenario may take in its short form; the long one gets ten minutes."""
    return pytest.mark.timeout(scaled(seconds, 600))


def report(scenario: str, **figures: Any) -> None:
    shown = ", ".join(f"{name} {value}" for name, value in figures.items())
    print(f"{scenario} {'long' if LONG else 'short'}: {shown}")


def p99_ms(seconds: Sequence[float]) -> float:
    """Milliseconds that 99 of 100 stay below; 0.0 of nothing."""
    ordered = sorted(seconds)
    return round(ordered[int(len(ordered) * 0.99)] * 1000, 1) if ordered else 0.0


def lag_p99(before: Mapping[float, int], after: Mapping[float, int]) -> float:
    """Seconds that 99 of 100 looks between the two found the event loop late by, at most; inf of none."""
    grown = {limit: after[limit] - before.get(limit, 0) for limit in sorted(after)}
    total = max(grown.values(), default=0)
    enough = [limit for limit, count in grown.items() if count >= total * 0.99]
    return enough[0] if total else math.inf


def rss(pid: int) -> int:
    """Bytes of memory a process holds."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line[:6] == "VmRSS:"]
    return int(line.split()[1]) * 1024


def files(pid: int) -> int:
    """How many files a process has open, sockets included."""
    return len(os.listdir(f"/proc/{pid}/fd"))
