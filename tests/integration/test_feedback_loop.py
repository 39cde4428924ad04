"""The whole way there and back: through the providers' real SDKs, told live by their signed callbacks."""

from __future__ import annotations

from typing import Any

import pytest

from hub.cluster.embedded import free_port
from hub.commands.simulate import environment
from hub.simulator.server import Simulator
from tests.living import Ear, Living, Start

PERSON = {"id": "42", "email": "ana@example.com", "phone": "+491512345678"}


async def hub_of(living: Start, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, **more: str) -> Living:
    """A hub whose providers are all simulated, at an address that they know."""
    port = free_port()
    monkeypatch.setattr("tests.living.free_port", lambda: port)
    for name, value in {**environment(simulator.url), **more}.items():
        monkeypatch.setenv(name, value)
    hub = await living(public_url=f"http://127.0.0.1:{port}")
    simulator.point_webhooks(hub.url)
    return hub


async def send(hub: Living, channel: str) -> str:
    """A notification sent on one channel by this very process; the notification's id."""
    made = await hub.notify("system", PERSON, channels=["inApp", channel], title="Hello", message="World")
    for delivery in made["deliveries"]:
        await hub.hub.deliver.send(delivery["id"])
    return str(made["id"])


async def steps(hub: Living, id: str) -> list[Any]:
    _, found = await hub.user("GET", f"/notifications/{id}/timeline", hub.token("42"))
    return [step["step"] for step in found]


@pytest.mark.parametrize(
    ("provider", "channel", "word", "ends"),
    [
        ("twilio", "sms", "ok", ["sent", "delivered"]),
        ("twilio", "sms", "bounced", ["sent", "dead"]),
        ("sendgrid", "email", "opened", ["sent", "delivered", "opened"]),
        ("sendgrid", "email", "bounced", ["sent", "dead"]),
        ("resend", "email", "opened", ["sent", "delivered", "opened"]),
    ],
)
async def test_what_becomes_of_a_message_is_live_and_in_the_timeline(
    living: Start,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
    channel: str,
    word: str,
    ends: list[str],
) -> None:
    first = {"email": "HUB_EMAIL_PROVIDERS", "sms": "HUB_SMS_PROVIDERS"}[channel]
    hub = await hub_of(living, simulator, monkeypatch, **{first: provider})
    simulator.say(provider, word)
    async with Ear(hub.url, hub.token("42")) as person, Ear(hub.url, hub.token("1", "ADMIN")) as admin:
        id = await send(hub, channel)
        for ear in (person, admin):
            last = await ear.wait("delivery:update", lambda data: data["status"] == ends[-1])
            assert (last["notificationId"], last["provider"]) == (id, provider)
    assert await steps(hub, id) == ["planned", "attempt", *ends]
    await simulator.ledger.until(lambda ledger: len(ledger.callbacks) >= len(ends))
    assert {said.answer for said in simulator.ledger.callbacks} == {204}


@pytest.mark.parametrize("word", ["bounced", "complained"])
async def test_a_dead_address_is_called_no_second_time(
    living: Start, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    hub = await hub_of(living, simulator, monkeypatch)
    simulator.say("sendgrid", word)
    await send(hub, "email")
    bad = ("bounce", "spamreport")
    await simulator.ledger.until(lambda ledger: any(said.event in bad for said in ledger.callbacks))
    second = await send(hub, "email")
    assert await steps(hub, second) == ["planned", "skipped"]
    assert len(simulator.ledger.taken()) == 1
    _, [entry] = await hub.user("GET", "/admin/suppressions", hub.token("1", "ADMIN"))
    assert (entry["reason"], entry["hint"]) == (word, "a***@example.com")


async def test_a_push_reaches_each_browser_and_one_that_is_gone_is_forgotten(
    living: Start, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = await hub_of(living, simulator, monkeypatch)
    browsers = [simulator.subscribe() for _ in range(2)]
    for browser in browsers:
        status, _ = await hub.user("POST", "/me/push-subscriptions", hub.token("42"), json=browser)
        assert status == 201
    await send(hub, "webpush")
    assert len(simulator.ledger.taken("webpush")) == 2
    simulator.webpush.unsubscribe(browsers[0]["endpoint"])
    await send(hub, "webpush")
    assert len((await hub.user("GET", "/me/push-subscriptions", hub.token("42")))[1]) == 1
    await send(hub, "webpush")
    assert len(simulator.ledger.taken("webpush")) == 4
