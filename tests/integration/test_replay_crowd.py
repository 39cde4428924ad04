"""A crowd comes back to a process with an empty memory: the log is read once, and each gets their own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub.domain.events import Event
from hub.services.replay import CROWD
from tests.living import Ear, Start

PEOPLE = 12


async def test_a_crowd_after_a_restart_reads_the_log_once_and_nobody_gets_what_is_anothers(
    living: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await living()
    first = await before.notify(to="tenant:acme", title="before everything")
    everybody = range(PEOPLE)
    for person in everybody:
        await before.notify(to=f"user:{person}", title=f"for {person}")
    await before.notify(to="tenant:acme", title="for all but 3", exclude=["user:3"])
    await before.notify(to="tenant:acme", title="for all")

    fresh = await living()
    log, ranged, alone = fresh.hub.log, asyncio.Event(), 0
    missed, in_range = log.missed, log.range

    async def wait_for_the_crowd(*args: Any, **more: Any) -> list[Event]:
        nonlocal alone
        alone += 1
        await ranged.wait()
        return await missed(*args, **more)

    async def read_once(*args: Any, **more: Any) -> list[Event]:
        assert not ranged.is_set()
        ranged.set()
        return await in_range(*args, **more)

    monkeypatch.setattr(log, "missed", wait_for_the_crowd)
    monkeypatch.setattr(log, "range", read_once)
    ears = [
        Ear(fresh.url, fresh.token(str(person)), cursor=first["cursor"], events="generic")
        for person in everybody
    ]
    said = await asyncio.gather(*(ear.open() for ear in ears))
    assert alone <= CROWD
    assert ranged.is_set()
    for person, (ear, connected) in enumerate(zip(ears, said, strict=True)):
        own = [f"for {person}", "for all but 3", "for all"]
        expected = [title for title in own if not (person == 3 and title == "for all but 3")]
        await ear.wait("notification:new", count=len(expected))
        assert [item["title"] for item in ear.all("notification:new")] == expected
        assert (connected["recovered"], connected["replayed"]) == (True, len(expected))

    live = await before.notify(to="tenant:acme", title="live")
    for ear in ears:
        await ear.wait("notification:new", lambda item: item["id"] == live["id"])
        await ear.close()
