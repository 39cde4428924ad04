"""Who gets what on which outside channel, and why not."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace

from hub.domain.delivery import Planned, Status
from hub.domain.routing import NO_ADDRESS, NOT_CONFIGURED, Reachable, outside, plan

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
ANA = Reachable("42", email="ana@example.org", sms="+4915112345678")


def planned(*channels: str, who: Reachable = ANA, configured: tuple[str, ...] = ("email",)) -> list[Planned]:
    numbers = count(1)
    return plan(channels, who, configured=configured, now=NOW, new_id=lambda: f"d{next(numbers)}")


def test_a_reachable_person_gets_a_delivery_due_now() -> None:
    assert planned("email") == [
        Planned(
            id="d1",
            user="42",
            channel="email",
            address="ana@example.org",
            status=Status.PLANNED,
            due_at=NOW,
            reason=None,
        )
    ]


def test_in_app_is_never_a_delivery() -> None:
    assert planned("inApp") == []
    assert [item.channel for item in planned("inApp", "email")] == ["email"]


def test_a_channel_named_twice_sends_once() -> None:
    assert len(planned("email", "inApp", "email")) == 1
    assert outside(["sms", "inApp", "email", "sms"]) == ("sms", "email")


def test_a_person_without_an_address_is_skipped_with_the_reason() -> None:
    [item] = planned("email", who=Reachable("7"))
    assert (item.status, item.reason, item.address) == (Status.SKIPPED, NO_ADDRESS, None)


def test_a_channel_without_a_provider_is_skipped_although_there_is_an_address() -> None:
    email, sms, discord, webpush = planned("email", "sms", "discord", "webpush")
    assert email.status is Status.PLANNED
    assert {(item.status, item.reason) for item in (sms, discord, webpush)} == {
        (Status.SKIPPED, NOT_CONFIGURED)
    }


def test_each_channel_has_its_own_address() -> None:
    person = SimpleNamespace(
        email="a@example.org", phone="+49151", webpush=(), discord_webhook="https://discord.example/x"
    )
    who = Reachable.of("42", person)
    items = planned(
        "email", "sms", "discord", "webpush", who=who, configured=("email", "sms", "discord", "webpush")
    )
    assert [item.address for item in items] == ["a@example.org", "+49151", "https://discord.example/x", None]
    assert items[3].reason == NO_ADDRESS


def test_an_unknown_person_is_reachable_nowhere() -> None:
    assert Reachable.of("42", None) == Reachable("42")


def test_an_empty_address_is_no_address() -> None:
    person = SimpleNamespace(email="", phone=None, webpush=(), discord_webhook="")
    [item] = planned("email", who=Reachable.of("42", person))
    assert item.reason == NO_ADDRESS


def test_web_push_goes_to_every_browser() -> None:
    who = Reachable("42", email="a@x", webpush=("one", "two"))
    planned = [*who.places(("webpush", "email"))]
    assert planned == [("webpush", "one"), ("webpush", "two"), ("email", "a@x")]
    assert [*Reachable("43").places(("webpush",))] == [("webpush", None)]
