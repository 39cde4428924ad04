"""A real SMTP server for tests that does as it is told.

`mail_server` answers in the test's own event loop, on a free port. It takes every mail and keeps it, unless
`say` has put something else before the next mails: an SMTP answer ("451 later"), or one of the ways in
which servers misbehave. `password` makes it ask for a login.
"""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest_asyncio
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from hub.cluster.embedded import free_port

LOOPBACK = "127.0.0.1"
HANG = "hang"  # the answer never comes
RESET = "reset"  # the connection ends instead of an answer
TAKE_AND_RESET = "take and reset"  # the mail is taken, the answer never comes
SLOW = "slow"  # the answer takes SLOW_SECONDS
SLOW_SECONDS = 0.4
USER, PASSWORD = "hub", "a password of the tests"


@dataclass(frozen=True, slots=True)
class Mail:
    """What a client has handed over: the envelope, and the message as bytes."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class MailServer:
    """`mails` is the ledger of what was taken. `tried` counts the mails that were begun,
    `handed_over` those whose text came, whatever the answer was."""

    password: str | None = None
    refusal: str | None = None  # what a wrong password is answered
    tls: ssl.SSLContext | None = None
    pipelining: bool = True  # commands may come several at once (RFC 2920), as nearly everywhere
    port: int = field(default_factory=free_port)
    mails: list[Mail] = field(default_factory=list)
    tried: int = 0
    handed_over: int = 0
    connections: int = 0
    logins: list[tuple[str, str]] = field(default_factory=list)
    gate: asyncio.Event | None = None  # when there is one, answers to DATA wait until it is set
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _answers: dict[str, deque[str]] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _open: set[asyncio.Transport] = field(default_factory=set)
    _end: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, *answers: str, at: str = "DATA") -> None:
        """What the next mails get at this command, in order; afterwards everything is taken again."""
        self._answers.setdefault(at, deque()).extend(answers)

    async def open(self) -> None:
        self._end.clear()
        self._server = await asyncio.get_running_loop().create_server(self._protocol, LOOPBACK, self.port)

    async def close(self) -> None:
        """Nobody listens any more, and every connection is cut. `open` brings it back, with its ledger."""
        self._end.set()
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """End every connection without a word."""
        for transport in list(self._open):
            transport.abort()

    async def arrived(self, count: int, *, timeout: float = 30.0) -> None:
        """Returns when `count` mails were taken in all; TimeoutError after `timeout` seconds."""
        await self._until(lambda: len(self.mails) >= count, timeout)

    async def asked(self, count: int = 1, *, timeout: float = 30.0) -> None:
        """Returns when the texts of `count` mails were handed over, whatever the answer."""
        await self._until(lambda: self.handed_over >= count, timeout)

    async def _until(self, reached: Callable[[], bool], timeout: float) -> None:
        async with asyncio.timeout(timeout):
            while not reached():
                self._moved.clear()
                await self._moved.wait()

    def _protocol(self) -> SMTP:
        login = self.password is not None
        with warnings.catch_warnings(action="ignore"):  # a login without TLS is unwise, and on loopback
            return _Line(
                self,
                hostname="mail.test",
                enable_SMTPUTF8=False,
                tls_context=self.tls,
                auth_required=login,
                auth_require_tls=login and self.tls is not None,
                authenticator=self._login if login else None,
            )

    def _login(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = data.login.decode(), data.password.decode()
        self.logins.append(given)
        right = given == (USER, self.password)
        return AuthResult(success=right, handled=False, message=None if right else self.refusal)

    # -- aiosmtpd's hooks ----------------------------------------------------------------------------
    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]] if self.pipelining else responses

    async def handle_MAIL(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tried += 1
        answer = await self._answer("MAIL", server)
        if answer.startswith("2"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer

    async def handle_RCPT(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = await self._answer("RCPT", server)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        self.handed_over += 1
        self._moved.set()
        if self.gate is not None:
            await self.gate.wait()
        answer = await self._answer("DATA", server, envelope)
        if answer.startswith("2"):
            self._take(envelope)
        return answer

    async def _answer(self, at: str, server: SMTP, envelope: Envelope | None = None) -> str:
        waiting = self._answers.get(at)
        answer = waiting.popleft() if waiting else "250 OK"
        if answer == SLOW:
            await asyncio.sleep(SLOW_SECONDS)
            return "250 OK"
        if answer == HANG:
            await self._end.wait()
        elif answer in (RESET, TAKE_AND_RESET):
            if answer == TAKE_AND_RESET and envelope is not None:
                self._take(envelope)
            assert server.transport is not None
            server.transport.abort()
        else:
            return answer
        return "421 gone"

    def _take(self, envelope: Envelope) -> None:
        assert isinstance(envelope.content, bytes)
        assert envelope.mail_from is not None
        self.mails.append(Mail(envelope.mail_from, tuple(envelope.rcpt_tos), envelope.content))
        self._moved.set()


class _Line(SMTP):
    """One connection, known to its server."""

    def __init__(self, server: MailServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._mail_server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._mail_server.connections += 1
        self._mail_server._open.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self._mail_server._open.discard(self.transport)
        super().connection_lost(error)


@pytest_asyncio.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    """A server that takes everything, until it is told otherwise."""
    server = MailServer()
    await server.open()
    yield server
    await server.close()
