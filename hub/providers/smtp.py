"""Mail by SMTP. One call ends within its timeout, whatever the server does.

What the server refuses for good (5xx) is Permanent, and when it knows no such mailbox, no mail will ever
reach it; what it puts off (4xx), and everything that an operator can mend (no connection, TLS, a wrong
password), is Temporary. Once the text of a mail has been
handed over and no answer comes, the mail may have been taken, and the answer says so. Connections are
kept for the next mail. Knows no delivery states.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parseaddr
from ipaddress import ip_address
from typing import Literal

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectResponseError,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from hub.domain.message import Message
from hub.providers.mail import Unmailable, compose
from hub.providers.receipt import Outcome, Permanent, Receipt, Temporary

Tls = Literal["auto", "starttls", "tls", "none"]
TLS_PORT = 465
IDLE_SECONDS = 20.0
MAILS_PER_CONNECTION = 100
# "Authentication required" and its kin (RFC 4954): about us, not about the recipient.
_ABOUT_US = frozenset({530, 534, 535, 538})
# No such mailbox here (RFC 5321, 4.2.3), when it is said of the recipient.
_NO_MAILBOX = frozenset({550, 551, 553})
# The server is about to hang up (RFC 5321, 3.8), as it may between two mails.
_CLOSING = 421
_MAX_REASON = 300


@dataclass(slots=True)
class _Line:
    """A connection that is ready for the next mail."""

    client: SMTP
    mails: int = 0
    idle_since: float = 0.0


class Smtp:
    """`timeout` is in seconds, for one mail in all. `sender` is `Name <address>`."""

    name = "smtp"

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        user: str | None = None,
        password: str | None = None,
        tls: Tls = "auto",
        timeout: float = 15.0,
    ) -> None:
        self._host = host
        self._port = port
        self._sender = sender
        self._from = parseaddr(sender)[1]
        self._user = user
        self._password = password
        self._use_tls, self._start_tls = encryption(tls, host=host, port=port, with_password=bool(password))
        self._timeout = timeout
        self._idle: deque[_Line] = deque()

    async def send(self, message: Message) -> Outcome:
        try:
            mail = compose(message, self._sender)
        except Unmailable as fault:
            return Permanent(str(fault))
        handed_over = False
        try:
            async with asyncio.timeout(self._timeout), self._line() as client:
                await client.rcpt(mail.recipient)
                handed_over = True
                answer = await client.data(mail.text)
        except SMTPResponseException as refusal:
            return _judge(refusal)
        except TimeoutError:
            return Temporary(f"no answer from the mail server within {self._timeout:g} s", unsure=handed_over)
        except (SMTPException, OSError, ValueError) as fault:
            return Temporary(f"the connection to the mail server failed: {_short(fault)}", unsure=handed_over)
        return Receipt(_short(answer.message))

    async def close(self) -> None:
        """Say goodbye on every idle connection."""
        lines, self._idle = list(self._idle), deque()
        await asyncio.gather(*(self._quit(line) for line in lines))

    # -- connections ---------------------------------------------------------------------------------
    @asynccontextmanager
    async def _line(self) -> AsyncIterator[SMTP]:
        """A connection on which a mail has begun. It is kept when the mail went well, and cut when anything
        did not."""
        line = await self._idle_line() or await self._new_line()
        try:
            yield line.client
        except BaseException:
            line.client.close()
            raise
        line.mails += 1
        line.idle_since = time.monotonic()
        if line.mails < MAILS_PER_CONNECTION:
            self._idle.append(line)
        else:
            line.client.close()

    async def _new_line(self) -> _Line:
        client = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            local_hostname=self._from.rpartition("@")[2] or "localhost",
            timeout=self._timeout,
            use_tls=self._use_tls,
            start_tls=self._start_tls,
        )
        await client.connect()
        try:
            await client.mail(self._from)
        except BaseException:
            client.close()
            raise
        return _Line(client)

    async def _idle_line(self) -> _Line | None:
        """A kept connection that still is one: the mail's first command shows it. A dead one must not eat
        the time of the mail."""
        while self._idle:
            line = self._idle.pop()
            if time.monotonic() - line.idle_since <= IDLE_SECONDS:
                try:
                    await line.client.mail(self._from, timeout=self._timeout / 5)
                    return line
                except SMTPResponseException as refusal:
                    if refusal.code != _CLOSING:
                        line.client.close()
                        raise
                except (SMTPException, OSError):
                    pass
                except BaseException:
                    line.client.close()
                    raise
            line.client.close()
        return None

    async def _quit(self, line: _Line) -> None:
        try:
            await line.client.quit(timeout=self._timeout / 5)
        except (SMTPException, OSError):
            line.client.close()


def encryption(tls: Tls, *, host: str, port: int, with_password: bool) -> tuple[bool, bool | None]:
    """Whether TLS comes first, and whether STARTTLS is required (True), taken if offered (None) or not used.

    `auto` requires it where a password would otherwise cross a network in the clear.
    """
    if tls != "auto":
        return tls == "tls", tls == "starttls"
    if port == TLS_PORT:
        return True, None
    return False, True if with_password and not _is_local(host) else None


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _judge(refusal: SMTPResponseException) -> Temporary | Permanent:
    reason = f"{refusal.code} {_short(refusal.message)}"
    if isinstance(refusal, SMTPAuthenticationError) or refusal.code in _ABOUT_US:
        return Temporary(f"the mail server refuses our login: {reason}")
    if isinstance(refusal, SMTPConnectResponseError | SMTPHeloError):
        return Temporary(f"the mail server takes nothing from us: {reason}")
    of_recipient = isinstance(refusal, SMTPRecipientRefused)
    if 500 <= refusal.code <= 599:
        return Permanent(reason, gone=of_recipient and refusal.code in _NO_MAILBOX)
    return Temporary(reason, alone=of_recipient)


def _short(what: object) -> str:
    """On one line, and not long."""
    return " ".join(str(what).split())[:_MAX_REASON]
