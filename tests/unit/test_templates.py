"""The shipped words: every type has them, the fixed ones are exact, and no data can break out of them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import hub
from hub.domain.events import Event, Registry
from hub.services.render import Render, Words
from hub.services.shipped import TEMPLATES

REGISTRY = Registry.from_tables(tomllib.loads((Path(hub.__file__).parent / "types.toml").read_text()))
RENDER = Render(public_url="https://app.example.org/")
MAILS = sorted(path.parent.name for path in TEMPLATES.glob("[a-z]*/email.j2"))
FULL: dict[str, Any] = {
    "bookingId": "b-17-abcdef",
    "guestName": "Ana",
    "professionalName": "Bo",
    "propertyName": "Sea Inn",
    "roomName": "Room 4",
    "checkIn": "2026-11-21",
    "checkOut": "2026-11-24T10:00:00Z",
    "totalPrice": 1234.5,
    "amount": "99.90",
    "currency": "EUR",
    "method": "card",
    "reason": "card expired",
    "dueDate": "2026-12-01",
    "paymentUrl": "https://pay.example.org/1",
    "plan": "Pro",
    "daysRemaining": 3,
    "renewUrl": "https://app.example.org/renew",
    "studentName": "Cy",
    "courseName": "Weaving",
    "customerName": "Di",
    "authorName": "Ed",
    "rating": 4,
    "jobTitle": "Gardening",
    "startsAt": "2026-11-30T22:00:00Z",
    "sessionName": "Studio A",
    "date": "2026-12-27",
}


def event(kind: str, data: dict[str, Any] | None = None, **fields: Any) -> Event:
    return Event(
        tenant="acme",
        id="e1",
        type=kind,
        wire=kind,
        created_at=datetime(2026, 11, 20, tzinfo=UTC),
        rooms=("user:42",),
        data=FULL if data is None else data,
        **fields,
    )


def mail(kind: str, data: dict[str, Any] | None = None, *, locale: str | None = None, **fields: Any) -> Words:
    return letter_of(RENDER, event(kind, data, **fields), locale=locale)


def letter_of(
    render: Render, event: Event, *, locale: str | None = None, timezone: str | None = None
) -> Words:
    """The mail of an event, its text without what stands under every text."""
    words = render.say([event], "email", locale=locale, timezone=timezone)
    text, line, _ = words.text.partition("\n\n-- \n")
    assert line
    return replace(words, text=f"{text}\n")


def words(kind: str, data: dict[str, Any]) -> tuple[str | None, str | None]:
    return RENDER.words("acme", kind, data)


# -- completeness ------------------------------------------------------------------------------------
def test_every_registered_type_has_its_own_in_app_words() -> None:
    assert {name for name in REGISTRY.types if not (TEMPLATES / name / "inApp.j2").exists()} == set()


def test_every_type_that_mails_by_default_has_its_own_mail() -> None:
    mailing = {name for name, kind in REGISTRY.types.items() if "email" in kind.channels}
    assert mailing <= set(MAILS)


def test_bookings_and_payments_have_mails() -> None:
    wanted = {name for name in REGISTRY.types if name.startswith(("booking.", "payment."))}
    assert len(wanted) == 12
    assert wanted <= set(MAILS)


@pytest.mark.parametrize("kind", MAILS)
def test_data_cannot_take_the_place_of_the_hubs_own_names(kind: str) -> None:
    names = ("facts", "button", "range", "field", "word", "brand", "body", "preview", "subject", "language")
    others = (
        "_budget",
        "data",
        "locale",
        "timezone",
        "unsubscribe",
        "type",
        "severity",
        "at",
        "self",
        "loop",
    )
    taken = FULL | dict.fromkeys(names + others, "x")
    for channel in ("email", "sms", "discord", "webpush"):
        said = [
            RENDER.say([event(kind, data)], channel, locale=None, timezone=None) for data in (FULL, taken)
        ]
        assert said[0] == said[1], channel
    assert words(kind, taken) == words(kind, FULL)


@pytest.mark.parametrize("kind", MAILS)
@pytest.mark.parametrize("data", [FULL, {}], ids=["full", "empty"])
def test_a_mail_is_whole_whether_or_not_the_sender_said_much(kind: str, data: dict[str, Any]) -> None:
    letter = mail(kind, data)
    assert letter.title
    assert letter.title == " ".join(letter.title.split())
    assert letter.text.strip()
    assert "\n\n\n" not in letter.text
    assert "<" not in letter.text
    assert letter.html.startswith("<!DOCTYPE html>")
    assert "<h1" in letter.html
    assert "None" not in letter.text + letter.html


@pytest.mark.parametrize("kind", sorted(REGISTRY.types))
@pytest.mark.parametrize("data", [FULL, {}], ids=["full", "empty"])
def test_in_app_words_are_one_line_each(kind: str, data: dict[str, Any]) -> None:
    title, message = words(kind, data)
    assert title
    assert "\n" not in title + (message or "")


# -- the fixed words ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("booking.confirmed", "Your Booking is Confirmed!"),
        ("payment.received", "Payment Received"),
        ("checkin.reminder", "Check-in Reminder"),
        ("subscription.expiring", "Your Subscription is Expiring"),
        ("invoice.sent", "Notification"),
    ],
)
def test_the_subjects_that_programs_know_are_kept(kind: str, subject: str) -> None:
    assert mail(kind, {}).title == subject


def test_the_confirmation_says_what_was_booked() -> None:
    letter = mail("booking.confirmed")
    assert letter.text == (
        "Your booking at Sea Inn has been confirmed.\n"
        "\n"
        "- Property: Sea Inn\n"
        "- Room: Room 4\n"
        "- Check-in: November 21, 2026\n"
        "- Check-out: November 24, 2026\n"
        "- Total: €1,234.50\n"
        "- Booking ID: b-17-abcdef\n"
    )


def test_in_app_words_of_a_booking() -> None:
    assert words("booking.created", {"guestName": "Ana", "roomName": "Room 4"}) == (
        "New booking",
        "Ana booked Room 4",
    )


def test_a_type_nobody_registered_has_the_default_words() -> None:
    assert words("invoice.sent", {}) == ("Notification", None)
    letter = mail("invoice.sent", {}, title="Invoice 7", message="Please pay.\nThank you.")
    assert letter.title == "Invoice 7"
    assert letter.text == "Please pay.\nThank you.\n"


def test_every_alias_leads_to_its_type() -> None:
    for name, kind in REGISTRY.types.items():
        plain = name.replace(".", "_")
        assert REGISTRY.find(plain) is kind
        assert REGISTRY.find(plain.upper()) is kind
    assert REGISTRY.find("NEW_BOOKING") is REGISTRY.types["booking.created"]
    assert REGISTRY.find("PAYMENT_SUCCESS") is REGISTRY.types["payment.received"]
    assert REGISTRY.find("nearby-job") is REGISTRY.types["job.nearby"]
    assert REGISTRY.types["job.nearby"].wire == "nearby-job"


# -- the reader's own way of writing -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("locale", "total", "day"),
    [
        ("en-US", "Total: €1,234.50", "Check-in: November 21, 2026"),
        ("de-DE", "Gesamtpreis: 1.234,50 €", "Anreise: 21. November 2026"),
        ("vi-VN", "Tổng cộng: 1.234,50 €", "Nhận phòng: 21 tháng 11, 2026"),
        ("pt_BR", "Total: € 1.234,50", "Check-in: 21 de novembro de 2026"),
        ("xx-broken", "Total: €1,234.50", "Check-in: November 21, 2026"),
        (None, "Total: €1,234.50", "Check-in: November 21, 2026"),
    ],
)
def test_amounts_and_dates_follow_the_reader(locale: str | None, total: str, day: str) -> None:
    text = mail("booking.confirmed", locale=locale).text.replace("\xa0", " ")
    assert f"- {total}\n" in text
    assert f"- {day}\n" in text


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (500000, "VND", "₫500,000"),
        ("12.5", "usd", "$12.50"),
        (12.5, None, "12.5"),
        ("about 12", "EUR", "about 12"),
        ("1e999999999", "EUR", "1e999999999"),
        ("NaN", "EUR", "NaN"),
        (12, "EURO", "12"),
    ],
)
def test_what_is_no_amount_stays_as_it_is(amount: object, currency: str | None, shown: str) -> None:
    _, message = words("payment.due", {"amount": amount} | ({"currency": currency} if currency else {}))
    assert message == f"{shown} is due"


@pytest.mark.parametrize(
    ("value", "timezone", "shown"),
    [
        ("2026-11-21T23:30:00Z", "Asia/Tokyo", "November 22, 2026"),
        ("2026-11-21T23:30:00Z", None, "November 21, 2026"),
        ("2026-11-21T23:30:00Z", "No/Where", "November 21, 2026"),
        ("2026-11-21T00:00:00.000Z", "America/New_York", "November 21, 2026"),  # a day, as JavaScript says it
        ("tomorrow", None, "tomorrow"),
        ("0001-01-01T01:00:00+05:00", "America/New_York", "0001-01-01T01:00:00+05:00"),
    ],
)
def test_a_day_is_the_readers_day(value: str, timezone: str | None, shown: str) -> None:
    letter = letter_of(RENDER, event("booking.confirmed", {"checkIn": value}), timezone=timezone)
    assert f"- Check-in: {shown}\n" in letter.text


# -- nothing breaks out ------------------------------------------------------------------------------
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 191 }}",
    "{% for x in range(9) %}x{% endfor %}",
    "${7*191}",
    "</h1></body></html>",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", MAILS)
def test_data_is_text_and_never_markup_or_template(kind: str, text: str) -> None:
    data = dict.fromkeys(FULL, text)
    letter = mail(kind, data, title=text, message=text, link=text)
    assert not re.search(r"<(script|img)", letter.html)
    assert letter.html.count("</body>") == 1
    assert "1337" not in letter.html + letter.text + letter.title
    assert "xxxxxxxxx" not in letter.html + letter.text + letter.title


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("/b/17", "https://app.example.org/b/17"),
        ("https://other.example/x?a=1&b=2", "https://other.example/x?a=1&b=2"),
        ("javascript:alert(1)", None),
        ("//evil.example/x", None),
        ("/\\evil.example", None),
        ("data:text/html,x", None),
        ('https://x.example/"onmouseover="alert(1)', None),
        ("https://x.example/\nBcc: a@b", None),
    ],
)
def test_only_web_links_become_links(link: str, shown: str | None) -> None:
    letter = mail("system", {}, title="T", message="M", link=link)
    hrefs = [found.replace("&amp;", "&") for found in re.findall(r'href="([^"]*)"', letter.html)]
    assert hrefs == ([shown] if shown else [])
    assert letter.text == (f"M\n\nOpen: {shown}\n" if shown else "M\n")


def test_a_path_leads_nowhere_when_nobody_said_where_the_hub_is() -> None:
    letter = letter_of(Render(), event("system", {}, title="T", message="M", link="/b/17"))
    assert "href" not in letter.html
    assert letter.text == "M\n"


def test_a_title_of_many_lines_is_a_subject_of_one() -> None:
    assert mail("system", {}, title="a\r\nBcc: x@example.org\n\n b").title == "a Bcc: x@example.org b"


def test_the_hubs_own_words_win_over_data_of_the_same_name() -> None:
    letter = mail("system", {"title": "from data", "link": "https://evil.example/"}, title="T", message="M")
    assert letter.title == "T"
    assert "evil.example" not in letter.html


def test_styles_are_in_the_elements() -> None:
    html = mail("booking.confirmed").html
    assert re.search(r'<h1 style="[^"]*font-size: 22px', html)
    [kept] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert kept.lstrip().startswith("@media")


def test_words_never_fail_for_want_of_sense_in_the_data() -> None:
    nonsense: dict[str, Any] = {name: {"a": [None]} for name in FULL}
    for kind in REGISTRY.types.values():
        title, _ = words(kind.name, nonsense)
        assert title


def test_an_unknown_kind_of_type_is_not_a_path() -> None:
    assert words("../a..b", {}) == ("Notification", None)
