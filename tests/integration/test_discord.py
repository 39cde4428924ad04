"""Discord's webhooks: what travels together, whose limits are kept, and what is never asked again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from hub.domain.message import Message
from hub.providers.calls import Calls
from hub.providers.discord import Discord
from hub.providers.embeds import embed_of, fitting
from hub.providers.receipt import Outcome, Permanent, Receipt, Temporary
from hub.providers.targets import Targets
from hub.simulator.discord import RATE, RATE_SECONDS
from hub.simulator.server import Simulator
from tests.messages import message

EMBED = {"title": "New booking", "color": 0x00FF00, "fields": [{"name": "Room", "value": "4"}]}


@pytest_asyncio.fixture
async def discord() -> AsyncIterator[Discord]:
    discord = Discord(Calls(Targets(loopback=True), timeout=10))
    yield discord
    await discord.close()


def note(simulator: Simulator, number: int = 0, *, webhook: int = 1, **changes: Any) -> Message:
    fields = {"embed": {**EMBED, "title": f"Booking {number}"}, **changes}
    address = f"{simulator.url}/api/webhooks/{webhook}/token"
    return message("discord", id=f"D{number}", address=address, **fields)


async def send_all(discord: Discord, notes: list[Message]) -> list[Outcome]:
    return await asyncio.gather(*(discord.send(note) for note in notes))


# -- what arrives ------------------------------------------------------------------------------------
async def test_an_embed_arrives_and_nobody_is_mentioned(discord: Discord, simulator: Simulator) -> None:
    assert isinstance(await discord.send(note(simulator)), Receipt)
    [entry] = simulator.ledger.taken()
    assert entry.message["allowed_mentions"] == {"parse": []}
    [embed] = entry.message["embeds"]
    assert (embed["title"], embed["color"]) == ("Booking 0", 0x00FF00)
    assert embed["fields"] == [{"name": "Room", "value": "4", "inline": False}]
    assert embed["timestamp"] == "2026-11-20T10:00:00+00:00"


async def test_a_text_is_content_and_cut_to_what_discord_takes(
    discord: Discord, simulator: Simulator
) -> None:
    for text in ("@everyone hello", "x" * 3000, "😀" * 1500, ""):
        assert isinstance(await discord.send(note(simulator, embed=None, text=text)), Receipt)
    contents = [entry.message["content"] for entry in simulator.ledger.taken()]
    assert contents[0] == "@everyone hello"
    assert contents[1] == "x" * 1999 + "…"
    assert contents[2].startswith("😀" * 999)
    assert all(entry.message["allowed_mentions"] == {"parse": []} for entry in simulator.ledger.taken())


MONSTER = {
    "title": "t" * 500,
    "description": "d" * 5000,
    "url": "javascript:alert(1)",
    "color": "red",
    "unknown": "field",
    "footer": {"text": "f" * 3000},
    "author": {"name": "a" * 300},
    "fields": [{"name": "", "value": "v" * 2000}] * 40 + ["nonsense"],
}


async def test_whatever_an_embed_holds_discord_takes_it(discord: Discord, simulator: Simulator) -> None:
    for embed in (MONSTER, {}, {"title": "\x00\ud800"}, {"fields": None, "footer": "text"}):
        assert isinstance(await discord.send(note(simulator, embed=embed)), Receipt)
    assert len(simulator.ledger.taken()) == 4


# -- together ----------------------------------------------------------------------------------------
async def test_a_burst_travels_together_and_each_message_has_its_outcome(
    discord: Discord, simulator: Simulator
) -> None:
    notes = [note(simulator, number) for number in range(25)]
    outcomes = await send_all(discord, notes)
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    taken = simulator.ledger.taken()
    assert [len(entry.message["embeds"]) for entry in taken] == [10, 10, 5]
    titles = [embed["title"] for entry in taken for embed in entry.message["embeds"]]
    assert titles == [f"Booking {number}" for number in range(25)]
    assert simulator.ledger.accepts() == {f"D{number}": 1 for number in range(25)}
    assert [outcome.provider_id for outcome in outcomes[:1]] == [taken[0].id]  # type: ignore[union-attr]


async def test_texts_that_come_together_become_embeds(discord: Discord, simulator: Simulator) -> None:
    notes = [note(simulator, number, embed=None, severity="error") for number in range(2)]
    await send_all(discord, notes)
    [entry] = simulator.ledger.taken()
    assert [embed["description"] for embed in entry.message["embeds"]] == ["Hello Ana."] * 2
    assert {embed["color"] for embed in entry.message["embeds"]} == {0xFF0000}


def test_long_embeds_share_a_message_as_far_as_it_holds_them() -> None:
    long = embed_of(message("discord", embed={"description": "d" * 2500}))
    assert fitting([long, long, long]) == 2
    assert fitting([embed_of(message("discord", embed=MONSTER)), long]) == 1
    assert fitting([embed_of(message("discord", embed={"title": "t"}))] * 30) == 10


async def test_one_that_discord_refuses_does_not_take_the_others_along(
    discord: Discord, simulator: Simulator
) -> None:
    simulator.say("discord", "400", "ok", "400")
    outcomes = await send_all(discord, [note(simulator, number) for number in range(3)])
    assert [type(outcome) for outcome in outcomes] == [Receipt, Permanent, Receipt]
    assert not outcomes[1].gone  # type: ignore[union-attr]


async def test_webhooks_do_not_wait_for_each_other(discord: Discord, simulator: Simulator) -> None:
    simulator.say("discord", "hang")
    held = asyncio.create_task(discord.send(note(simulator, webhook=1)))
    await simulator.ledger.until(lambda ledger: list(ledger.of("discord")))
    assert isinstance(await discord.send(note(simulator, webhook=2)), Receipt)
    assert not held.done()
    held.cancel()


# -- limits ------------------------------------------------------------------------------------------
async def test_the_limit_of_a_webhook_is_kept_and_429_never_seen(
    discord: Discord, simulator: Simulator
) -> None:
    began = time.monotonic()
    for number in range(RATE + 2):
        assert isinstance(await discord.send(note(simulator, number)), Receipt)
    assert time.monotonic() - began >= RATE_SECONDS * 0.9
    assert {entry.answer for entry in simulator.ledger.of("discord")} == {200}


async def test_a_long_limit_is_told_at_once_and_holds_for_its_webhook_alone(
    discord: Discord, simulator: Simulator
) -> None:
    simulator.say("discord", "429:7.5")
    first = await discord.send(note(simulator))
    assert first == Temporary("429 the rate limit of Discord", retry_after=7.5, alone=True)
    second = await discord.send(note(simulator))
    assert isinstance(second, Temporary)
    assert second.alone
    assert 5 < (second.retry_after or 0) <= 7.5
    assert isinstance(await discord.send(note(simulator, webhook=2)), Receipt)
    assert len(list(simulator.ledger.of("discord"))) == 2


@pytest.mark.parametrize("status", ["401", "403", "404"])
async def test_a_webhook_that_is_gone_is_not_called_again(
    discord: Discord, simulator: Simulator, status: str
) -> None:
    simulator.say("discord", status)
    for _ in range(3):
        outcome = await discord.send(note(simulator))
        assert isinstance(outcome, Permanent)
        assert outcome.gone
    assert len(list(simulator.ledger.of("discord"))) == 1
    assert "token" not in str(outcome)


@pytest.mark.parametrize(
    "address",
    [
        "https://discord.com/api/webhooks/1/x/../../../users/@me",
        "https://discord.com/api/users/1",
        "https://evil.example/api/webhooks/1/token",
        "https://discord.com.evil.example/api/webhooks/1/token",
        "http://discord.com/api/webhooks/1/token",
        "https://user:pass@discord.com/api/webhooks/1/token",
        "",
    ],
)
async def test_only_discord_is_called_and_only_its_webhooks(address: str) -> None:
    discord = Discord(Calls(Targets(), timeout=1))
    outcome = await discord.send(message("discord", address=address))
    assert isinstance(outcome, Permanent), outcome
    assert outcome.gone
    await discord.close()


async def test_who_gives_up_waiting_is_certain_that_nothing_was_sent(simulator: Simulator) -> None:
    discord = Discord(Calls(Targets(loopback=True), timeout=0.6))
    simulator.say("discord", "hang")
    first = asyncio.create_task(discord.send(note(simulator)))
    await simulator.ledger.until(lambda ledger: list(ledger.of("discord")))
    second = asyncio.create_task(discord.send(replace(note(simulator, 1))))
    await asyncio.sleep(0)
    second.cancel()
    outcome = await first
    assert isinstance(outcome, Temporary)
    assert outcome.unsure
    await simulator.ledger.until(lambda ledger: len(list(ledger.of("discord"))) == 1)
    assert simulator.ledger.accepts() == {}
    await discord.close()
