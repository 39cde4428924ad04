"""Mail over real SMTP: what arrives, and what each way of failing is called."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from hub.cluster.embedded import free_port
from hub.domain.message import Message
from hub.providers.receipt import Permanent, Receipt, Temporary
from hub.providers.smtp import MAILS_PER_CONNECTION, Smtp, encryption
from tests.certificates import Pair
from tests.mailservers import (
    HANG,
    LOOPBACK,
    PASSWORD,
    RESET,
    SLOW,
    SLOW_SECONDS,
    TAKE_AND_RESET,
    USER,
    MailServer,
)

MESSAGE = Message(
    id="01JDELIVERY0000000000000AA",
    tenant="acme",
    user="42",
    channel="email",
    address="ana@example.org",
    subject="Grüße & more",
    text="Hello Ana.\n.\nA dot on a line of its own, and ünïcode.\n",
    html="<p>Hello Ana.</p>",
    at=datetime(2026, 11, 20, 10, tzinfo=UTC),
)


def provider(server: MailServer, **options: Any) -> Smtp:
    return Smtp(LOOPBACK, server.port, sender="Hub <hub@mail.example>", **{"timeout": 5.0, **options})


@pytest_asyncio.fixture
async def smtp(mail_server: MailServer) -> AsyncIterator[Smtp]:
    smtp = provider(mail_server)
    yield smtp
    await smtp.close()


async def test_a_mail_arrives_as_it_was_meant(smtp: Smtp, mail_server: MailServer) -> None:
    assert isinstance(await smtp.send(MESSAGE), Receipt)
    [mail] = mail_server.mails
    assert (mail.sender, mail.recipients) == ("hub@mail.example", ("ana@example.org",))
    message = mail.message
    assert message["Subject"] == "Grüße & more"
    assert message["To"] == "ana@example.org"
    assert message["From"] == "Hub <hub@mail.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == MESSAGE.at
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == MESSAGE.text
    assert html.get_content().strip() == MESSAGE.html


async def test_a_repetition_has_the_same_message_id(smtp: Smtp, mail_server: MailServer) -> None:
    await smtp.send(MESSAGE)
    await smtp.send(MESSAGE)
    await smtp.send(replace(MESSAGE, id="01JDELIVERY0000000000000BB"))
    first, second, other = (mail.message["Message-ID"] for mail in mail_server.mails)
    assert first == second == "<01JDELIVERY0000000000000AA@mail.example>"
    assert other != first


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA"])
async def test_4xx_is_temporary_and_5xx_permanent(
    smtp: Smtp, mail_server: MailServer, at: str, pipelining: bool
) -> None:
    mail_server.pipelining = pipelining
    mail_server.say("451 4.3.0 try later", "550 5.1.1 no such user", at=at)
    of_recipient = at == "RCPT"
    assert await smtp.send(MESSAGE) == Temporary("451 4.3.0 try later", alone=of_recipient)
    assert await smtp.send(MESSAGE) == Permanent("550 5.1.1 no such user", gone=of_recipient)
    assert isinstance(await smtp.send(MESSAGE), Receipt)


async def test_a_mailbox_that_refuses_one_mail_is_not_gone(smtp: Smtp, mail_server: MailServer) -> None:
    mail_server.say("552 5.2.2 mailbox full", at="RCPT")
    assert await smtp.send(MESSAGE) == Permanent("552 5.2.2 mailbox full")


async def test_a_mail_that_may_be_unsubscribed_from_says_how(smtp: Smtp, mail_server: MailServer) -> None:
    await smtp.send(replace(MESSAGE, unsubscribe="https://hub.example/unsubscribe/" + "t" * 120))
    await smtp.send(MESSAGE)
    with_it, without = (mail.message for mail in mail_server.mails)
    assert with_it["List-Unsubscribe"] == f"<https://hub.example/unsubscribe/{'t' * 120}>"
    assert with_it["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert without["List-Unsubscribe"] is None
    assert b"t" * 120 in mail_server.mails[0].raw  # not every mail program decodes it there


async def test_nobody_there_is_temporary() -> None:
    smtp = Smtp(LOOPBACK, free_port(), sender="hub@mail.example", timeout=5.0)
    outcome = await smtp.send(MESSAGE)
    assert isinstance(outcome, Temporary)
    assert not outcome.unsure


@pytest.mark.parametrize(("at", "unsure"), [("MAIL", False), ("RCPT", False), ("DATA", True)])
@pytest.mark.parametrize("trouble", [HANG, RESET])
async def test_silence_is_temporary_and_unsure_only_once_the_text_is_out(
    mail_server: MailServer, trouble: str, at: str, unsure: bool
) -> None:
    smtp = provider(mail_server, timeout=0.3)
    mail_server.say(trouble, at=at)
    outcome = await smtp.send(MESSAGE)
    assert isinstance(outcome, Temporary)
    assert outcome.unsure is unsure
    assert mail_server.mails == []


async def test_the_time_is_for_the_whole_mail_and_not_for_each_answer(mail_server: MailServer) -> None:
    smtp = provider(mail_server, timeout=2 * SLOW_SECONDS)
    for at in ("MAIL", "RCPT", "DATA"):
        mail_server.say(SLOW, at=at)
    assert isinstance(await smtp.send(MESSAGE), Temporary)
    assert isinstance(await smtp.send(MESSAGE), Receipt)
    await smtp.close()


async def test_a_mail_that_was_taken_without_a_word_is_unsure(smtp: Smtp, mail_server: MailServer) -> None:
    mail_server.say(TAKE_AND_RESET)
    outcome = await smtp.send(MESSAGE)
    assert isinstance(outcome, Temporary)
    assert outcome.unsure
    assert len(mail_server.mails) == 1


async def test_a_call_ends_in_time_although_the_server_never_greets() -> None:
    async def stare(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    ended, port = asyncio.Event(), free_port()
    async with await asyncio.start_server(stare, LOOPBACK, port):
        smtp = Smtp(LOOPBACK, port, sender="hub@mail.example", timeout=0.2)
        async with asyncio.timeout(5):
            outcome = await smtp.send(MESSAGE)
        ended.set()
    assert isinstance(outcome, Temporary)
    assert not outcome.unsure


# -- connections ---------------------------------------------------------------------------------
async def test_one_connection_serves_many_mails(smtp: Smtp, mail_server: MailServer) -> None:
    for _ in range(5):
        await smtp.send(MESSAGE)
    assert len(mail_server.mails) == 5
    assert mail_server.connections == 1


async def test_mails_at_once_have_connections_of_their_own(smtp: Smtp, mail_server: MailServer) -> None:
    outcomes = await asyncio.gather(*(smtp.send(MESSAGE) for _ in range(8)))
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert len(mail_server.mails) == 8


async def test_a_connection_the_server_has_ended_is_replaced(smtp: Smtp, mail_server: MailServer) -> None:
    await smtp.send(MESSAGE)
    await mail_server.close()
    await mail_server.open()
    assert isinstance(await smtp.send(MESSAGE), Receipt)
    assert len(mail_server.mails) == 2
    assert mail_server.connections == 2


async def test_a_connection_does_not_live_for_ever(smtp: Smtp, mail_server: MailServer) -> None:
    for _ in range(MAILS_PER_CONNECTION + 1):
        await smtp.send(MESSAGE)
    assert mail_server.connections == 2


async def test_a_cancelled_call_leaves_no_half_used_connection(smtp: Smtp, mail_server: MailServer) -> None:
    await smtp.send(MESSAGE)
    mail_server.say(HANG)
    call = asyncio.create_task(smtp.send(MESSAGE))
    await mail_server.asked(2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert isinstance(await smtp.send(replace(MESSAGE, subject="after")), Receipt)
    assert mail_server.mails[-1].message["Subject"] == "after"
    assert mail_server.connections == 2


async def test_a_mail_that_was_put_off_costs_no_connection(smtp: Smtp, mail_server: MailServer) -> None:
    mail_server.say("451 4.3.0 try later")
    assert await smtp.send(MESSAGE) == Temporary("451 4.3.0 try later")
    assert isinstance(await smtp.send(MESSAGE), Receipt)
    assert mail_server.connections == 1


@pytest.mark.parametrize("answer", [HANG, RESET, "421 4.3.2 closing"])
async def test_a_kept_connection_that_is_dead_costs_a_mail_little(
    smtp: Smtp, mail_server: MailServer, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.providers.smtp.FRESH_SECONDS", -1.0)
    await smtp.send(MESSAGE)
    mail_server.say(answer, at="MAIL")
    async with asyncio.timeout(4.0):  # of the mail's 5
        assert isinstance(await smtp.send(MESSAGE), Receipt)
    assert len(mail_server.mails) == mail_server.connections == 2


@pytest.mark.parametrize("pipelining", [True, False])
async def test_commands_go_together_only_where_the_server_takes_them_so(pipelining: bool) -> None:
    flights: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while flight := await reader.read(65536):
            flights.append(flight)
            if flight.startswith(b"EHLO"):
                writer.write(b"250-me\r\n250 PIPELINING\r\n" if pipelining else b"250 me\r\n")
            elif flight.endswith(b"\r\n.\r\n"):
                writer.write(b"250-it is\r\n250 taken\r\n")
            else:
                for line in flight.splitlines():
                    writer.write(b"354 go on\r\n" if line == b"DATA" else b"250 ok\r\n")
        writer.close()

    port = free_port()
    async with await asyncio.start_server(serve, LOOPBACK, port):
        smtp = Smtp(LOOPBACK, port, sender="hub@mail.example", timeout=5.0)
        assert await smtp.send(MESSAGE) == Receipt("it is taken")
        flights.clear()
        assert await smtp.send(MESSAGE) == Receipt("it is taken")
        assert len(flights) == (2 if pipelining else 4)
        await smtp.close()


@pytest.mark.parametrize(
    "said", [b"250 ok\r\n250 ok\r\nHTTP/1.1 400\r\n", b"250-" + b"x" * 40_000, b"250-x\r\n" * 40_000]
)
async def test_a_server_that_talks_nonsense_or_without_end_is_left(said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250-me\r\n250 PIPELINING\r\n")
        await reader.readline()
        writer.write(said)
        assert b"ends" not in await reader.read()  # until it hangs up
        writer.close()
        left.set()

    left, port = asyncio.Event(), free_port()
    async with await asyncio.start_server(serve, LOOPBACK, port):
        smtp = Smtp(LOOPBACK, port, sender="hub@mail.example", timeout=5.0)
        outcome = await smtp.send(MESSAGE)
        assert isinstance(outcome, Temporary)
        assert "connection" in outcome.reason
        assert not outcome.unsure
        async with asyncio.timeout(5):
            await left.wait()


# -- logins --------------------------------------------------------------------------------------
async def test_a_login_is_made_before_the_mail() -> None:
    server = MailServer(password=PASSWORD)
    await server.open()
    smtp = provider(server, user=USER, password=PASSWORD)
    assert isinstance(await smtp.send(MESSAGE), Receipt)
    assert server.logins == [(USER, PASSWORD)]
    await smtp.close()
    await server.close()


@pytest.mark.parametrize("refusal", [None, "554 5.7.0 go away", "454 4.7.0 later"])
@pytest.mark.parametrize("login", [{"user": USER, "password": "wrong"}, {}], ids=["wrong", "none"])
async def test_a_refused_login_is_temporary_for_an_operator_can_mend_it(
    login: dict[str, str], refusal: str | None
) -> None:
    server = MailServer(password=PASSWORD, refusal=refusal)
    await server.open()
    outcome = await provider(server, **login).send(MESSAGE)
    assert isinstance(outcome, Temporary)
    assert "login" in outcome.reason
    assert "wrong" not in outcome.reason
    await server.close()


# -- TLS -----------------------------------------------------------------------------------------
@pytest_asyncio.fixture
async def tls_server(certificate: Pair) -> AsyncIterator[MailServer]:
    """A server that offers STARTTLS, and a login only behind it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    server = MailServer(password=PASSWORD, tls=context)
    await server.open()
    yield server
    await server.close()


@pytest.mark.parametrize("tls", ["auto", "starttls"])
async def test_starttls_is_used_when_it_is_offered(
    tls_server: MailServer, certificate: Pair, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    smtp = provider(tls_server, user=USER, password=PASSWORD, tls=tls)
    assert isinstance(await smtp.send(MESSAGE), Receipt)
    assert tls_server.logins == [(USER, PASSWORD)]
    await smtp.close()


async def test_a_certificate_nobody_vouches_for_is_temporary_and_the_password_stays(
    tls_server: MailServer,
) -> None:
    outcome = await provider(tls_server, user=USER, password=PASSWORD).send(MESSAGE)
    assert isinstance(outcome, Temporary)
    assert tls_server.logins == []
    assert tls_server.mails == []


async def test_starttls_that_is_required_and_not_offered_is_temporary(mail_server: MailServer) -> None:
    outcome = await provider(mail_server, tls="starttls").send(MESSAGE)
    assert isinstance(outcome, Temporary)
    assert "STARTTLS" in outcome.reason
    assert mail_server.tried == 0


@pytest.mark.parametrize(
    ("tls", "port", "host", "password", "use_tls", "start_tls"),
    [
        ("auto", 465, "mail.example", "p", True, None),
        ("auto", 587, "mail.example", None, False, None),
        ("auto", 587, "mail.example", "p", False, True),
        ("auto", 25, "127.0.0.1", "p", False, None),
        ("auto", 25, "localhost", "p", False, None),
        ("tls", 587, "mail.example", "p", True, False),
        ("none", 587, "mail.example", "p", False, False),
        ("starttls", 25, "localhost", None, False, True),
    ],
)
def test_a_password_never_crosses_a_network_in_the_clear_unless_told_to(
    tls: Any, port: int, host: str, password: str | None, use_tls: bool, start_tls: bool | None
) -> None:
    line = encryption(tls, host=host, port=port, with_password=password is not None)
    assert line == (use_tls, start_tls)
