"""Tasks that go on behind a handler end when they are told to, also those that miss it the first time."""

from __future__ import annotations

import asyncio

import structlog

from hub.web.background import Background, end


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    async def stubborn() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue
        await asyncio.Event().wait()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end([task])
    assert task.cancelled()


async def test_closing_ends_what_was_spawned() -> None:
    background, ended = Background(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    background.spawn(work())
    await asyncio.sleep(0)
    await background.close()
    assert ended.is_set()


async def test_a_timer_goes_on_after_a_failure_and_ends_with_its_owner() -> None:
    background = Background()
    times: list[str] = []
    thrice = asyncio.Event()

    def plain() -> None:
        times.append("plain")
        raise RuntimeError("once more")

    async def awaited() -> None:
        times.append("awaited")
        if times.count("plain") >= 3 and times.count("awaited") >= 3:
            thrice.set()
        raise RuntimeError("once more")

    background.every(0.01, plain)
    background.every(0.01, awaited)
    with structlog.testing.capture_logs() as lines:
        await asyncio.wait_for(thrice.wait(), 10)
    assert {line["action"] for line in lines} == {"timer.fail"}
    await background.close()
    assert not background._tasks
