"""The inbox of a client: one thing at a time, in order, and the end always."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import structlog

from hub.realtime.errors import ProtocolError
from hub.realtime.serial import Serial


class Client:
    def __init__(self) -> None:
        self.inbox: deque[Any] | None = None
        self.worker: asyncio.Task[None] | None = None
        self.pauses: list[bool] = []
        self.done: list[Any] = []
        self.gate = asyncio.Event()

    def pause(self, on: bool) -> None:
        self.pauses.append(on)


def make(max_inbox: int = 10) -> tuple[Serial[Client], Client, list[ProtocolError]]:
    broken: list[ProtocolError] = []

    async def handle(client: Client, item: Any) -> None:
        client.done.append(item)
        if item == "wait":
            await client.gate.wait()
        if isinstance(item, Exception):
            raise item

    return Serial(handle, lambda client, error: broken.append(error), max_inbox=max_inbox), Client(), broken


async def test_items_are_handled_one_at_a_time_and_in_order() -> None:
    serial, client, _ = make()
    for item in ("wait", 1, 2):
        serial.put(client, item)
    serial.put_last(client, "end")
    await asyncio.sleep(0)
    assert client.done == ["wait"]
    client.gate.set()
    await serial.idle(5)
    assert client.done == ["wait", 1, 2, "end"]
    assert (client.inbox, client.worker) == (None, None)
    serial.put(client, 3)
    await serial.idle(5)
    assert client.done[-1] == 3


async def test_a_broken_protocol_ends_what_is_waiting_but_not_the_end() -> None:
    serial, client, broken = make()
    error = ProtocolError("bad")
    serial.put(client, error)
    serial.put(client, "never")
    serial.put_last(client, "end")
    await serial.idle(5)
    assert client.done == [error, "end"]
    assert broken == [error]


async def test_forgetting_what_waits_never_forgets_the_end() -> None:
    serial, client, _ = make()
    serial.put(client, "wait")
    await asyncio.sleep(0)
    serial.put(client, "never")
    serial.put_last(client, "end")
    serial.forget_waiting(client)
    client.gate.set()
    await serial.idle(5)
    assert client.done == ["wait", "end"]
    serial.forget_waiting(client)  # nothing there


async def test_a_failing_handler_is_logged_and_the_next_one_runs() -> None:
    serial, client, broken = make()
    with structlog.testing.capture_logs() as lines:
        serial.put(client, RuntimeError("bug"))
        serial.put(client, 1)
        await serial.idle(5)
    assert client.done[1:] == [1]
    assert broken == []
    assert [line["action"] for line in lines] == ["handler.fail"]


async def test_a_full_inbox_stops_the_reading_until_half_of_it_is_done() -> None:
    serial, client, _ = make(max_inbox=4)
    serial.put(client, "wait")
    await asyncio.sleep(0)
    for item in range(5):
        serial.put(client, item)
    assert client.pauses == [True]
    client.gate.set()
    await serial.idle(5)
    assert client.pauses == [True, False]
    assert client.done == ["wait", *range(5)]


async def test_waiting_for_idleness_is_bounded() -> None:
    serial, client, _ = make()
    serial.put(client, "wait")
    await serial.idle(0.01)
    assert client.worker is not None
    client.gate.set()
    await serial.idle(5)
