"""Who gets what on which outside channel, and why not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from hub.domain.delivery import Planned, Status
from hub.domain.events import Digest, EventType, Registry
from hub.domain.preferences import Wishes
from hub.domain.routing import (
    COUNTRY,
    MUTED,
    NO_ADDRESS,
    NOT_CONFIGURED,
    Asked,
    Reach,
    Reachable,
    of_words,
    outside,
    plan,
)

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
TYPE = EventType(name="booking.created", wire="booking.created")
ANA = Reachable("42", email="ana@example.org", sms="+4915112345678")


def planned(*channels: str, who: Reachable = ANA, configured: tuple[str, ...] = ("email",)) -> list[Planned]:
    numbers = count(1)
    return plan(asked(*channels), who, reach=Reach(configured), now=NOW, new_id=lambda: f"d{next(numbers)}")


def asked(*channels: str, kind: EventType = TYPE, severity: str = "info", **data: Any) -> Asked:
    """What a notification asks for; no channels: what its type says."""
    return Asked.of(kind, channels or None, at=NOW, severity=severity, data=data)


def decided(asked: Asked, wishes: Wishes, *, who: Reachable = ANA, now: datetime = NOW) -> Planned:
    reach = Reach(("email", "sms", "discord", "webpush"), {"DE"})
    [item] = plan(asked, who, wishes, reach=reach, now=now, new_id=lambda: "d")
    return item


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
        email="a@example.org",
        phone="+49151",
        webpush=(),
        discord_webhook="https://discord.example/x",
        timezone=None,
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
    person = SimpleNamespace(email="", phone=None, webpush=(), discord_webhook="", timezone=None)
    [item] = planned("email", who=Reachable.of("42", person))
    assert item.reason == NO_ADDRESS


def test_web_push_goes_to_every_browser() -> None:
    who = Reachable("42", email="a@x", webpush=("one", "two"))
    planned = [*who.places(("webpush", "email"))]
    assert planned == [("webpush", "one"), ("webpush", "two"), ("email", "a@x")]
    assert [*Reachable("43").places(("webpush",))] == [("webpush", None)]


# -- what people want, and when --------------------------------------------------------------------------
def test_a_muted_type_is_skipped_and_one_that_cannot_be_muted_is_not() -> None:
    wishes = Wishes.of({"email": False}, None)
    assert (decided(asked("email"), wishes).status, decided(asked("email"), wishes).reason) == (
        Status.SKIPPED,
        MUTED,
    )
    fixed = EventType(name="system.maintenance", wire="m", mutable=False)
    assert decided(asked("email", kind=fixed), wishes).status is Status.PLANNED


def test_an_sms_goes_to_allowed_countries_only() -> None:
    assert decided(asked("sms"), Wishes()).status is Status.PLANNED
    for number in ("+84901234567", "+883510012345678", "nonsense"):
        item = decided(asked("sms"), Wishes(), who=Reachable("7", sms=number))
        assert (item.status, item.reason) == (Status.SKIPPED, COUNTRY), number


def test_quiet_hours_defer_in_the_persons_zone_and_what_is_critical_passes() -> None:
    quiet = {"quietHours": {"start": "18:00", "end": "23:30"}}  # 10:00 UTC is 19:00 in Tokyo
    who = Reachable("42", email="a@example.org", timezone="Asia/Tokyo")
    item = decided(asked("email"), Wishes.of(quiet, None), who=who)
    assert (item.status, item.due_at) == (Status.PLANNED, NOW + timedelta(hours=4, minutes=30))
    assert item.reason == "quiet hours until 2026-11-20T14:30:00Z"
    assert decided(asked("email"), Wishes.of(quiet, None)).due_at == NOW  # UTC
    assert decided(asked("email", severity="critical"), Wishes.of(quiet, None), who=who).due_at == NOW


def test_a_types_digest_gathers_by_key_and_a_persons_own_comes_first() -> None:
    kind = EventType(name="review.created", wire="r", digest=Digest(600, "hotel"))
    one, two, other = (
        decided(asked("email", kind=kind, hotel=hotel), Wishes()) for hotel in ("Sea", "Sea", "Hill")
    )
    assert one.due_at == NOW + timedelta(minutes=10)
    assert one.digest == two.digest != other.digest
    assert decided(asked("sms", kind=kind), Wishes.of({"digest": "daily"}, None)).digest is not None
    own = decided(asked("email", kind=kind), Wishes.of({"digest": "daily"}, None))
    assert (own.digest, own.due_at) == ("daily", NOW + timedelta(hours=22))
    off = decided(asked("email", kind=kind), Wishes.of({"digest": "off"}, None))
    assert (off.digest, off.due_at) == (None, NOW)
    push = Reachable("42", email="a@example.org")
    assert decided(asked("email", kind=kind, severity="critical"), Wishes(), who=push).digest is None


def test_a_type_escalates_unless_the_sender_names_channels() -> None:
    kind = EventType(name="payment.due", wire="p", channels=("inApp", "sms"), escalate={"email": 300})
    later = [
        (item.channel, item.due_at - NOW, item.unless_seen)
        for item in plan(asked(kind=kind), ANA, reach=Reach(("email", "sms")), now=NOW, new_id=lambda: "d")
    ]
    assert later == [("sms", timedelta(0), False), ("email", timedelta(minutes=5), True)]
    assert asked("inApp", kind=kind).every == ()
    assert of_words(asked(kind=kind).words(Reach(("email",)))) == ((), {"email": 300})


@pytest.mark.parametrize("rule", [{"escalate": {"inApp": 5}}, {"throttle": {"most": 0, "seconds": 5}}])
def test_a_rule_that_cannot_be_kept_is_refused_with_the_registry(rule: Any) -> None:
    with pytest.raises(ValueError, match=r"type 'x\.y'"):
        Registry.from_tables({"x.y": rule})
