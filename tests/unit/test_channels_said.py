"""What each channel says: every type in every language, the fixed texts, bounded texts, several in one."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import hub
from hub.domain import sms
from hub.domain.delivery import Claim
from hub.domain.events import Event, EventType, Registry
from hub.domain.message import Message
from hub.services.embeds import MAX_VALUE
from hub.services.render import Render, Style
from hub.services.samples import data_of, events_of
from hub.services.shipped import DIGEST, TEMPLATES

REGISTRY = Registry.from_tables(tomllib.loads((Path(hub.__file__).parent / "types.toml").read_text()))
LINK = "https://hub.example.org/unsubscribe/t"
RENDER = Render(
    public_url="https://app.example.org",
    unsubscribe=lambda *named: f"{LINK}/{'/'.join(named)}",
    style=Style(brand="City Hotel"),
)
NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
TYPES = [*REGISTRY.types, DIGEST]
CHANNELS = ("email", "sms", "discord", "webpush")
GREEN, RED = 0x00FF00, 0xFF0000


def claim(channel: str, locale: str | None = None, timezone: str | None = None) -> Claim:
    return Claim(
        id="d1",
        tenant="acme",
        user="42",
        channel=channel,
        address="somewhere",
        fence=1,
        attempts=0,
        maybe_duplicate=False,
        event=None,
        locale=locale,
        timezone=timezone,
    )


def event(type: str = "system", data: dict[str, Any] | None = None, **fields: Any) -> Event:
    given: dict[str, Any] = {
        "id": "e1",
        "created_at": NOW,
        "rooms": ("user:42",),
        "data": data or {},
    } | fields
    return Event(tenant="acme", type=type, wire=type, **given)


def told(type: str, data: dict[str, Any] | None = None, **fields: Any) -> Event:
    """An event whose words come from its template, as ingest makes it."""
    given = dict(data_of(type) or {}) if data is None else data
    title, message = RENDER.words("acme", type, given)
    return event(type, given, title=title, message=message, **fields)


def say(item: Event, channel: str, locale: str | None = None, timezone: str | None = None) -> Message:
    return RENDER.message(claim(channel, locale, timezone), [item], NOW)


# -- every type, channel and language --------------------------------------------------------------------
@pytest.mark.parametrize("type", TYPES)
def test_every_type_is_said_on_every_channel_in_every_language(type: str) -> None:
    kind = REGISTRY.types.get(type) or EventType(name=type, wire=type)
    items = events_of("acme", kind, RENDER.words)
    for channel in CHANNELS:
        said = {}
        for locale in ("en", "de", "vi"):
            message = RENDER.message(claim(channel, locale), items, NOW)
            said[locale] = message.subject + message.text
            whole = f"{message.subject}{message.text}{message.html}{message.embed}"
            assert "undefined" not in whole
            assert message.text.strip() or channel in ("webpush", "discord")
            assert (message.html is not None) == (channel == "email")
            assert (message.embed is not None) == (channel == "discord")
            if channel == "sms":
                assert sms.segments(message.text) <= 3
            else:
                assert message.subject
        assert len(set(said.values())) == 3, channel


@pytest.mark.parametrize("type", TYPES)
def test_every_language_has_the_same_templates(type: str) -> None:
    for path in (TEMPLATES / type).glob("*.j2"):
        channel, *rest = path.name.removesuffix(".j2").split(".")
        for language in ("de", "vi"):
            assert rest or (TEMPLATES / type / f"{channel}.{language}.j2").exists(), path


@pytest.mark.parametrize("type", REGISTRY.types)
def test_every_type_has_a_sample(type: str) -> None:
    assert data_of(type) is not None


# -- text messages ---------------------------------------------------------------------------------------
def test_the_texts_that_programs_know_are_kept() -> None:
    data = {"propertyName": "Sea Inn", "bookingId": "b-17-abcdef", "amount": 99.9, "currency": "USD"}
    data["paymentUrl"] = "https://pay.example.org/1"
    assert say(told("checkin.reminder", data), "sms").text == (
        "Reminder: Check-in tomorrow at Sea Inn. Booking: b-17-abc"
    )
    assert say(told("payment.due", data), "sms").text == (
        "Payment due: $99.90. Pay now: https://pay.example.org/1"
    )


def test_a_text_message_is_cut_to_its_segments_and_keeps_its_link() -> None:
    long = event(title="News", message="word " * 500, link="/news/1")
    text = say(long, "sms").text
    assert text.startswith("News: word word")
    assert text.endswith("... https://app.example.org/news/1")
    assert 2 * 153 < len(text) <= 3 * 153
    one = Render(style=Style(segments=1)).message(claim("sms"), [long], NOW).text
    assert len(one) == 160


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ầ" * 70, 1),
        ("ầ" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("", 1),
    ],
)
def test_segments_are_counted_as_they_are_paid(text: str, segments: int) -> None:
    assert sms.segments(text) == segments


@pytest.mark.parametrize("letter", ["a", "€", "ầ", "😀", "a ầ", "\\^{"])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_what_fits_is_as_long_as_it_may_be(letter: str, most: int) -> None:
    text = sms.fit(letter * 2000, most)
    assert sms.segments(text) == most
    assert sms.segments(text[:-1] + letter * 4 + text[-1]) > most
    assert letter * 5 == sms.fit(letter * 5, most)


def test_marks_that_would_double_the_price_are_written_plainly() -> None:
    assert sms.fit("“Sea\u202fInn” – it’s…", 1) == '"Sea Inn" - it\'s...'
    assert sms.fit("“Nhận phòng”", 1) == "“Nhận phòng”"
    assert sms.fit("x" * 500 + " https://" + "y" * 500, 1).endswith("...")


# -- Discord ---------------------------------------------------------------------------------------------
def embed(item: Event, locale: str | None = None) -> dict[str, Any]:
    found = say(item, "discord", locale).embed
    assert found is not None
    return dict(found)


def test_a_new_booking_as_an_embed() -> None:
    made = embed(told("booking.created", link="/b/1"))
    assert (made["title"], made["color"], made["url"]) == (
        "New Booking",
        GREEN,
        "https://app.example.org/b/1",
    )
    assert made["timestamp"] == "2026-11-20T10:00:00.000Z"
    assert {field["name"]: field["value"] for field in made["fields"]} == {
        "Guest": "João Silva",
        "Property": "City Hotel",
        "Room": "Room A",
        "Dates": "August 10, 2015 - August 11, 2015",
        "Amount": "€115.00",
        "Booking": "CH-00001",
    }


def test_payments_and_errors_as_embeds() -> None:
    good, bad = embed(told("payment.received")), embed(told("payment.failed"))
    assert (good["title"], good["color"]) == ("Payment Received", GREEN)
    assert (bad["title"], bad["color"]) == ("Payment Failed", RED)
    assert [field["name"] for field in good["fields"]] == ["Amount", "Method", "Booking"]
    data = {"error": "it ``` broke", "context": "worker", "stack": "s" * 900}
    wrong = embed(told("system.error", data))
    assert (wrong["title"], wrong["color"]) == ("System Error", RED)
    assert wrong["description"] == "```\nit ''' broke\n```"
    assert wrong["fields"] == [
        {"name": "Context", "value": "worker", "inline": False},
        {"name": "Stack", "value": f"```\n{'s' * 500}\n```", "inline": False},
    ]


def test_others_have_the_color_of_their_severity() -> None:
    colors = {
        name: embed(event(title="T", severity=name))["color"] for name in ("success", "error", "critical")
    }
    assert colors == {"success": GREEN, "error": RED, "critical": RED}
    assert embed(event(title="T", severity="warning"))["color"] not in (GREEN, RED)


def test_data_is_shown_letter_by_letter_and_never_as_markdown() -> None:
    hostile = "*b* [here](https://evil.example/a_b) <@1> `x` ~~s~~ ||h|| https://ok.example/a_b_c"
    made = embed(event("booking.created", {"guestName": hostile}))
    value = made["fields"][0]["value"]
    assert value == (
        r"\*b\* \[here\](https://evil.example/a_b) \<@1\> \`x\` \~\~s\~\~ \|\|h\|\| https://ok.example/a_b_c"
    )
    assert say(event("booking.created", {"guestName": hostile}), "discord").text == f"Guest: {hostile}"
    long = embed(event("booking.created", {"guestName": "*" * 5000}))["fields"][0]["value"]
    assert len(long) <= MAX_VALUE
    assert re.fullmatch(r"(\\\*)+…", long)


# -- web push, and the reader's language -----------------------------------------------------------------
def test_a_push_has_title_message_and_link() -> None:
    message = say(told("booking.confirmed", link="/b/1", severity="success"), "webpush")
    assert (message.subject, message.text) == (
        "Booking confirmed",
        "Your booking at City Hotel has been confirmed",
    )
    assert (message.link, message.severity, message.type) == (
        "https://app.example.org/b/1",
        "success",
        "booking.confirmed",
    )


def test_what_the_sender_did_not_write_is_said_in_the_readers_language() -> None:
    message = say(told("booking.confirmed"), "webpush", "de-AT")
    assert message.subject == "Buchung bestätigt"
    own = say(event("booking.confirmed", title="Hello", message="There"), "webpush", "de-AT")
    assert (own.subject, own.text) == ("Hello", "There")


def test_a_moment_is_in_the_readers_zone_and_says_which() -> None:
    data = {"startsAt": "2026-11-30T22:00:00Z"}
    shown = [
        say(told("system.maintenance", data), "email", locale, timezone).text.replace("\xa0", " ")
        for locale, timezone in (("en", None), ("de", "Europe/Berlin"), ("vi", "Asia/Ho_Chi_Minh"))
    ]
    for text, moment in zip(
        shown,
        (
            "November 30, 2026, 10:00 PM UTC",
            "30. November 2026, 23:00 MEZ",
            "1 tháng 12, 2026, 05:00 GMT+07:00",
        ),
        strict=True,
    ):
        assert moment in text


def test_numbers_have_the_right_word_behind_them() -> None:
    for days, shown in ((1, "in 1 day."), (3, "in 3 days."), ("a few", "in a few days.")):
        data = {"daysRemaining": days}
        assert shown in say(told("subscription.expiring", data), "email").text


# -- several in one --------------------------------------------------------------------------------------
def several(count: int) -> list[Event]:
    """Newest first, with one of them twice."""
    items = [
        event(
            id=f"e{number}",
            title=f"Title {number}",
            message=f"Message {number}",
            link=f"/n/{number}",
            created_at=NOW + timedelta(minutes=number),
            severity="error" if number == 2 else "info",
            type="system" if number % 2 else "reminder",
        )
        for number in range(1, count + 1)
    ]
    return [*reversed(items), items[0]]


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_digest_holds_each_once_and_the_oldest_first(channel: str) -> None:
    message = RENDER.message(claim(channel), several(4), NOW)
    found = re.findall(r"Title (\d)", message.text)
    assert found == (["1"] if channel == "sms" else ["1", "2", "3", "4"])
    assert (message.type, message.severity, message.id) == ("digest", "error", "d1")
    head = message.text if channel == "sms" else message.subject
    assert head.startswith("4 new notifications")
    if channel == "email":
        assert re.findall(r"Title (\d)</a>", message.html or "") == ["1", "2", "3", "4"]
        assert "https://app.example.org/n/3" in message.text
    assert message.unsubscribe == f"{LINK}/acme/42/{channel}/*"


def test_an_embed_of_many_shows_ten_and_counts_the_others() -> None:
    made = RENDER.message(claim("discord"), several(14), NOW).embed
    assert made is not None
    assert [field["name"] for field in made["fields"]] == [f"Title {number}" for number in range(1, 11)]
    assert made["footer"] == {"text": "and 4 more"}


def test_a_digest_of_one_type_is_unsubscribed_as_that_type() -> None:
    items = [replace(item, type="reminder") for item in several(3)]
    assert str(RENDER.message(claim("email"), items, NOW).unsubscribe).endswith("/email/reminder")


def test_one_event_twice_is_no_digest() -> None:
    item = event(title="T", message="M")
    assert RENDER.message(claim("webpush"), [item, item], NOW).subject == "T"


# -- the frame of mails ----------------------------------------------------------------------------------
def test_a_mail_says_who_sends_it_and_how_to_end_it() -> None:
    message = say(told("booking.confirmed", link="/b/1"), "email", "de")
    url = f"{LINK}/acme/42/email/booking.confirmed"
    assert message.unsubscribe == url
    html = message.html or ""
    assert f'href="{url}"' in html
    assert "City Hotel" in html
    assert '<html lang="de">' in html
    assert "prefers-color-scheme: dark" in html
    assert message.text.endswith(
        "\n\n-- \nSie erhalten diese Nachricht, weil sie Ihr Konto betrifft.\n"
        f"Solche Nachrichten abbestellen: {url}\n"
    )


def test_a_mail_without_such_a_link_promises_none() -> None:
    message = Render().message(claim("email"), [told("booking.confirmed")], NOW)
    assert message.unsubscribe is None
    assert "nsubscribe" not in message.text + (message.html or "")


def test_what_has_a_button_of_its_own_gets_no_second_one() -> None:
    html = say(told("payment.due", link="/b/1"), "email").html or ""
    assert html.count('class="button"') == 1
    assert "Pay now" in html
    assert 'href="https://app.example.org/b/1"' in html
