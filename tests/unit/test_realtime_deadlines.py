"""Deadlines of equal length: who is late is called once, in order, and who was discarded never."""

from __future__ import annotations

import asyncio
import time

from hub.realtime.deadlines import Deadlines
from tests.buses import eventually


async def test_who_is_late_is_called_once_and_in_order() -> None:
    late: list[str] = []
    deadlines = Deadlines(0.05, late.append)
    for key in ("a", "b", "c"):
        deadlines.add(key)
    deadlines.add("a")
    deadlines.discard("b")
    deadlines.discard("nobody")
    await asyncio.sleep(0.02)
    deadlines.add("d")
    assert (len(deadlines), "a" in deadlines, "b" in deadlines) == (3, True, False)
    await eventually(lambda: late == ["a", "c", "d"])
    assert len(deadlines) == 0
    deadlines.add("a")
    await eventually(lambda: late == ["a", "c", "d", "a"])


async def test_closing_calls_nobody() -> None:
    late: list[str] = []
    deadlines = Deadlines(0.01, late.append)
    deadlines.add("a")
    deadlines.close()
    deadlines.close()
    other = Deadlines(0.03, late.append)
    other.add("b")
    await eventually(lambda: late == ["b"])


async def test_time_in_which_the_loop_could_not_read_does_not_count() -> None:
    late: list[str] = []
    deadlines = Deadlines(1.0, late.append)
    deadlines.add("patient")
    time.sleep(1.2)  # the loop is as busy as that
    await asyncio.sleep(0)  # whatever was due is called
    await asyncio.sleep(0.01)
    deadlines.discard("patient")
    deadlines.add("silent")
    await eventually(lambda: bool(late))
    assert late == ["silent"]
