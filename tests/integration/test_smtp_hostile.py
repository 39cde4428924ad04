"""Nothing that a title, an address or a text holds changes the envelope, the headers or the conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from hub.domain.events import Event
from hub.domain.message import Message
from hub.providers.mail import MAX_SUBJECT
from hub.providers.receipt import Permanent, Receipt
from hub.providers.smtp import Smtp
from hub.services.render import Render, Style
from tests.mailservers import LOOPBACK, MailServer

HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
SUBJECTS = [
    "a\r\nBcc: victim@example.net",
    "a\nBcc: victim@example.net",
    "a\rBcc: victim@example.net",
    "a\r\n\r\n<script>alert(1)</script>",
    "a\u2028Bcc: victim@example.net",
    "a\x85Bcc: victim@example.net",
    "a\x0bBcc: victim@example.net",
    "a\x00b",
    "=?utf-8?q?a=0d=0aBcc:_victim@example.net?=",
    "=?utf-8?b?DQpCY2M6IHZpY3RpbUBleGFtcGxlLm5ldA==?=",
    "ü" * 5000,
    "x" * 5000,
    "",
    "\r\n",
]
ADDRESSES = [
    "ana@example.org\r\nBcc: victim@example.net",
    "ana@example.org\r\nRCPT TO:<victim@example.net>",
    "ana@example.org>\r\nDATA\r\n",
    "ana@example.org> SIZE=1 <x@example.net",
    "ana@example.org, victim@example.net",
    "ana@example.org victim@example.net",
    "Ana <ana@example.org>",
    '"ana\r\n"@example.org',
    "=?utf-8?q?a=0d=0aBcc:_victim@example.net?=@example.org",
    "=?utf-8?q?a=0d=0aBcc=3A_x?=@example.org",
    "ana@example.org\x00",
    "ana@",
    "@example.org",
    "ana",
    "",
    "ana@exa mple.org",
    "ana@example..org",
    "ana@" + "x" * 70 + ".example",
    "an..a@example.org",
    '"ana"@example.org',
    "a" * 300 + "@example.org",
    "ana@[127.0.0.1]\r\n",
    "ünï@example.org",
    "ana@example.org;victim@example.net",
    "group:ana@example.org;",
]
TEXTS = [
    "a\r\n.\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nhello\r\n.\r\n",
    ".\r\n.\r\n.",
    "a\n.\nQUIT\n",
    "a\r.\rb",
    "x" * 200_000,
    "\x00\x01\x02 control",
    "\u2028\u2029",
]


def message(
    *, subject: str = "S", address: str = "ana@example.org", text: str = "T", html: str = "H"
) -> Message:
    return Message(
        id="01JDELIVERY0000000000000AA",
        tenant="acme",
        user="42",
        channel="email",
        address=address,
        subject=subject,
        text=text,
        html=html,
        at=datetime(2026, 11, 20, 10, tzinfo=UTC),
    )


@pytest_asyncio.fixture
async def smtp(mail_server: MailServer) -> AsyncIterator[Smtp]:
    smtp = Smtp(LOOPBACK, mail_server.port, sender="Hub <hub@mail.example>", timeout=5.0)
    yield smtp
    await smtp.close()


def require_intact(server: MailServer, sent: int) -> None:
    """What arrived is `sent` mails, each to Ana alone and with the hub's own headers."""
    assert len(server.mails) == sent
    assert server.tried == sent
    for mail in server.mails:
        assert (mail.sender, mail.recipients) == ("hub@mail.example", ("ana@example.org",))
        assert mail.message.keys() == HEADERS
        assert mail.message["To"] == "ana@example.org"
        assert len(mail.message["Subject"]) <= MAX_SUBJECT
        assert len(list(mail.message.iter_parts())) == 2
        assert mail.raw.isascii()


async def test_a_subject_adds_no_header_and_no_recipient(smtp: Smtp, mail_server: MailServer) -> None:
    for subject in SUBJECTS:
        assert isinstance(await smtp.send(message(subject=subject)), Receipt), subject
    require_intact(mail_server, len(SUBJECTS))


async def test_a_text_ends_where_it_ends(smtp: Smtp, mail_server: MailServer) -> None:
    for text in TEXTS:
        assert isinstance(await smtp.send(message(text=text, html=text)), Receipt), text[:40]
    require_intact(mail_server, len(TEXTS))
    first = next(mail_server.mails[0].message.iter_parts())
    assert first.get_content().splitlines() == TEXTS[0].splitlines()


async def test_what_is_not_one_address_is_refused_before_anybody_is_called(
    smtp: Smtp, mail_server: MailServer
) -> None:
    for address in ADDRESSES:
        outcome = await smtp.send(message(address=address))
        assert isinstance(outcome, Permanent), address
        assert "victim" not in outcome.reason
    assert mail_server.connections == 0


async def test_what_cannot_be_written_is_refused(smtp: Smtp, mail_server: MailServer) -> None:
    for broken in (message(subject="\ud800"), message(text="\ud800"), message(html="\udfff")):
        assert isinstance(await smtp.send(broken), Permanent)
    assert mail_server.connections == 0


async def test_an_international_domain_is_written_as_every_server_reads_it(
    smtp: Smtp, mail_server: MailServer
) -> None:
    assert isinstance(await smtp.send(message(address="ana@bücher.example")), Receipt)
    assert mail_server.mails[0].recipients == ("ana@xn--bcher-kva.example",)


@pytest.mark.parametrize("type", ["booking.confirmed", "_digest"])
async def test_hostile_data_changes_nothing_but_the_words_of_a_mail(
    smtp: Smtp, mail_server: MailServer, type: str
) -> None:
    injections = ["{{ 7 * 191 }}", "{% for x in range(9) %}qz{% endfor %}", "<script>alert(1)</script>"]
    hostile = [*SUBJECTS, *TEXTS[:4], *injections]
    render = Render(public_url="https://app.example.org", style=Style(brand="<b>\r\nBcc: x@example.net"))
    for text in hostile:
        fields = dict.fromkeys(("guestName", "propertyName", "amount", "bookingId", "reason"), text)
        items = [
            Event(
                tenant="acme",
                id=f"e{place}",
                type="system" if type == "_digest" else type,
                wire=type,
                created_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
                rooms=("user:42",),
                title=text,
                message=text,
                link=text,
                data=fields,
            )
            for place in range(2 if type == "_digest" else 1)
        ]
        words = render.say(items, "email", locale=None, timezone=None)
        said = message(subject=words.title, text=words.text, html=words.html or "")
        assert isinstance(await smtp.send(said), Receipt), text
    require_intact(mail_server, len(hostile))
    for mail in mail_server.mails:
        plain, html = (part.get_content() for part in mail.message.iter_parts())
        assert "1337" not in plain + html
        assert "qzqz" not in plain + html
        assert "<script" not in html
