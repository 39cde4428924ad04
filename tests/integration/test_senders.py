"""From settings to providers: a hub whose every channel is simulated; what cannot work is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub.commands.simulate import environment
from hub.domain.delivery import Status
from hub.domain.message import Message
from hub.providers.sandbox import Sandbox
from hub.senders import APPRISE, VAPID_FILE, admins_webhook, providers, vapid_public_key
from hub.settings import Settings, SettingsRefused
from hub.simulator.server import Simulator
from hub.store.tables import deliveries
from tests.commands import Command
from tests.living import Start


async def keep(_message: Message) -> None:
    pass


@pytest.fixture
def simulated(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The environment is a hub's whose providers are all simulated."""
    for name, value in environment(simulator.url).items():
        monkeypatch.setenv(name, value)
    return {"data_dir": str(tmp_path)}


async def test_mail_and_sms_go_out_by_the_first_provider_that_is_well(
    simulated: dict[str, Any], simulator: Simulator, living: Start
) -> None:
    hub = await living(public_url="https://hub.example", **simulated)
    simulator.say("sendgrid", "503")
    person = {"id": "42", "email": "ana@example.org", "phone": "+84900000000"}
    said = await hub.notify("system", person, channels=["email", "sms"], title="T", message="M")
    for delivery in said["deliveries"]:
        assert await hub.hub.deliver.send(delivery["id"]) is Status.SENT
    assert [entry.provider for entry in simulator.ledger.taken()] == ["resend", "twilio"]
    assert simulator.ledger.accepts() == {delivery["id"]: 1 for delivery in said["deliveries"]}
    text = (await hub.hub.metrics())[0].decode()
    shown = 'hub_provider_calls_total{channel="email",outcome="temporary",provider="sendgrid"} 1.0'
    assert shown in text
    assert 'hub_provider_calls_total{channel="sms",outcome="receipt",provider="twilio"} 1.0' in text


async def test_admins_are_told_on_the_webhook_that_is_theirs(
    simulated: dict[str, Any], simulator: Simulator, living: Start
) -> None:
    hub = await living(**simulated)
    await hub.notify("booking.created", "role:ADMIN", channels=["discord"], data={"propertyName": "Sea Inn"})
    await hub.hub.timers.sweep()
    [told] = await hub.hub.queue.look()
    assert (told.channel, told.count) == ("discord", 1)
    async with hub.hub.db.read() as connection:
        [id] = (await connection.execute(select(deliveries.c.id))).scalars()
    assert await hub.hub.deliver.send(id) is Status.SENT
    [entry] = simulator.ledger.taken("discord")
    assert entry.deliveries == (id,)
    assert "Sea Inn" in str(entry.message["embeds"])


def test_where_admins_read_together() -> None:
    webhook = "https://discord.com/api/webhooks/1/x"
    assert admins_webhook(Settings()) is None
    assert (
        admins_webhook(Settings(discord_webhook_url=webhook, discord_providers="discord,apprise")) == webhook
    )
    assert admins_webhook(Settings(discord_providers="apprise")) == APPRISE


async def test_every_provider_can_be_chosen_and_the_order_is_kept(simulated: dict[str, Any]) -> None:
    settings = Settings(
        **simulated,
        email_providers="smtp,resend,sendgrid",
        sms_providers="gateway,twilio",
        discord_providers="discord,apprise",
        apprise_urls="json://example.com/x",
    )
    settings.require_safe()
    senders = providers(settings, keep)
    named = {channel: [provider.name for provider in chosen] for channel, chosen in senders.items()}
    assert named == {
        "email": ["smtp", "resend", "sendgrid"],
        "sms": ["gateway", "twilio"],
        "discord": ["discord", "apprise"],
        "webpush": ["webpush"],
    }
    for chosen in senders.values():
        for provider in chosen:
            await provider.close()


def test_with_nothing_configured_development_keeps_everything_and_production_has_fewer_channels() -> None:
    senders = providers(Settings(env="development"), keep)
    assert {type(provider) for chosen in senders.values() for provider in chosen} == {Sandbox}
    assert set(senders) == {"email", "sms", "discord", "webpush"}
    assert set(providers(Settings(env="production"), keep)) == {"discord"}


def test_what_is_configured_is_used_without_being_named() -> None:
    settings = Settings(
        env="production", email_host="smtp.example.com", sendgrid_api_key="k", twilio_account_sid="AC1"
    )
    assert (settings.email, settings.sms) == (["sendgrid", "smtp"], ["twilio"])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"sms_gateway_body": "{{ nobody }}"}, "HUB_SMS_GATEWAY_BODY"),
        ({"sms_gateway_success": "=="}, "HUB_SMS_GATEWAY_SUCCESS"),
        ({"sms_gateway_headers": "[]"}, "HUB_SMS_GATEWAY_HEADERS"),
        ({"vapid_private_key": "short"}, "HUB_VAPID_PRIVATE_KEY"),
        ({"discord_providers": "apprise", "apprise_urls": "file:///etc/passwd"}, "HUB_APPRISE_URLS"),
    ],
)
def test_a_setting_that_cannot_work_is_named(
    simulated: dict[str, Any], wrong: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsRefused, match=f"^{named}: "):
        providers(Settings(**simulated, **wrong), keep)


def test_development_makes_a_key_for_web_push_once(tmp_path: Path) -> None:
    settings = Settings(env="development", data_dir=str(tmp_path / "data"))
    first = vapid_public_key(settings)
    assert first is not None
    assert len(first) == 87  # 65 bytes in base64url
    assert vapid_public_key(settings) == first
    assert (tmp_path / "data" / VAPID_FILE).stat().st_mode & 0o077 == 0
    assert [path.name for path in (tmp_path / "data").iterdir()] == [VAPID_FILE]


def test_a_new_pair_of_keys_is_printed_and_fits(hub: Command) -> None:
    code, out, _ = hub("key", "vapid")
    private, public = (line.partition("=")[2] or line.rpartition(" ")[2] for line in out.splitlines())
    assert code == 0
    assert vapid_public_key(Settings(env="production", vapid_private_key=private)) == public
    assert vapid_public_key(Settings(env="production")) is None
