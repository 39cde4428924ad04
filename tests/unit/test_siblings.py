"""One page of the numbers of several processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub import siblings
from hub.siblings import Siblings, merged

Tell = Callable[[], Awaitable[bytes]]
Start = Callable[[str, Tell], Awaitable[Siblings]]
PAGE = """# HELP hub_connections_open open connections
# TYPE hub_connections_open gauge
hub_connections_open{{transport="a {{b}} c"}} {0}.0
# HELP hub_rooms_open rooms
# TYPE hub_rooms_open gauge
hub_rooms_open {0}.0
# HELP hub_deliveries_open of all
# TYPE hub_deliveries_open gauge
hub_deliveries_open{{channel="email"}} {0}.0
# HELP hub_worker_up who answered
# TYPE hub_worker_up gauge
"""


def page(number: int) -> bytes:
    return PAGE.format(number).encode()


def samples(text: bytes) -> dict[str, dict[tuple[str, ...], float]]:
    """By name, and by the values of the labels in the order of their names."""
    return {
        family.name: {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for sample in family.samples
        }
        for family in text_string_to_metric_families(text.decode())
    }


def test_samples_are_told_apart_and_what_is_of_all_stands_once() -> None:
    text = merged(
        [("1", None), ("2", page(2)), ("3", page(3))], shared={"hub_deliveries_open", "hub_elsewhere"}
    )
    assert samples(text) == {
        "hub_connections_open": {("a {b} c", "2"): 2.0, ("a {b} c", "3"): 3.0},
        "hub_rooms_open": {("2",): 2.0, ("3",): 3.0},
        "hub_deliveries_open": {("email",): 2.0},
        "hub_worker_up": {("1",): 0.0, ("2",): 1.0, ("3",): 1.0},
    }
    assert text.decode().count("# TYPE hub_rooms_open gauge\n") == 1


@pytest.fixture
async def start(
    tmp_path: Path,
) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def started(number: str, tell: Tell) -> Siblings:
            one = Siblings(tmp_path / "place" / number, tell)
            (tmp_path / "place").mkdir(exist_ok=True)
            await one.open()
            stack.push_async_callback(one.close)
            return one

        yield started


async def test_processes_ask_each_other_and_wait_for_none_for_long(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(siblings, "TIMEOUT", 0.2)
    never = asyncio.Event()

    async def of_two() -> bytes:
        return page(2)

    async def hangs() -> bytes:
        await never.wait()
        return b""

    async def of_ten() -> bytes:
        return b"x" * 1_000_000

    two = await start("2", of_two)
    await start("1", hangs)
    await start("10", of_ten)
    dead = tmp_path / "place" / "3"
    dead.touch()  # nobody listens there
    found = await two.pages()
    assert list(found) == ["1", "2", "3", "10"]
    assert found == {"1": None, "2": page(2), "3": None, "10": b"x" * 1_000_000}
    never.set()
    dead.unlink()
