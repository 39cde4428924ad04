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
    SMTPServerDisconnected,
)

from hub.domain.message import Message
from hub.providers.mail import Letter, Unmailable, compose
from hub.providers.receipt import Outcome, Permanent, Receipt, Temporary
from hub.providers.smtpline import Line

Tls = Literal["auto", "starttls", "tls", "none"]
TLS_PORT = 465
IDLE_SECONDS = 20.0
FRESH_SECONDS = 1.0  # a connection that was used so lately is taken for alive
MAILS_PER_CONNECTION = 100
# "Authentication required" and its kin (RFC 4954): about us, not about the recipient.
_ABOUT_US = frozenset({530, 534, 535, 538})
# No such mailbox here (RFC 5321, 4.2.3), when it is said of the recipient.
_NO_MAILBOX = frozenset({550, 551, 553})
_MAX_REASON = 300


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
        self._idle: deque[Line] = deque()

    async def send(self, message: Message) -> Outcome:
        try:
            mail = compose(message, self._sender)
        except Unmailable as fault:
            return Permanent(str(fault))
        line: Line | None = None
        try:
            async with asyncio.timeout(self._timeout):
                said = None
                while said is None and (line := self._kept()) is not None:
                    said = await self._try(line, mail)
                if said is None:
                    line = await self._new_line()
                    said = await line.send(self._from, mail.recipient, mail.text)
        except SMTPResponseException as refusal:
            return _judge(refusal)
        except TimeoutError:
            reason = f"no answer from the mail server within {self._timeout:g} s"
            return Temporary(reason, unsure=line is not None and line.handed_over)
        except (SMTPException, OSError, ValueError) as fault:
            reason = f"the connection to the mail server failed: {_short(fault)}"
            return Temporary(reason, unsure=line is not None and line.handed_over)
        finally:
            if line is not None:
                self._keep(line)
        return Receipt(_short(said))

    async def close(self) -> None:
        """Say goodbye on every idle connection."""
        lines, self._idle = list(self._idle), deque()
        await asyncio.gather(*(line.quit(self._timeout / 5) for line in lines))

    # -- connections ---------------------------------------------------------------------------------
    def _kept(self) -> Line | None:
        """A connection that was kept, the one that was used last."""
        while self._idle:
            line = self._idle.pop()
            if line.usable and time.monotonic() - line.idle_since <= IDLE_SECONDS:
                return line
            line.close()
        return None

    def _keep(self, line: Line) -> None:
        """For the next mail, if one can begin there."""
        if line.usable and line.mails < MAILS_PER_CONNECTION:
            line.idle_since = time.monotonic()
            self._idle.append(line)
        else:
            line.close()

    async def _try(self, line: Line, mail: Letter) -> str | None:
        """What is said to a mail on a kept connection. None: it was one no more, and the mail is still here.

        A dead one must not eat the time of the mail.
        """
        stale = time.monotonic() - line.idle_since > FRESH_SECONDS
        try:
            careful = self._timeout / 5 if stale else None
            return await line.send(self._from, mail.recipient, mail.text, careful=careful)
        except (SMTPServerDisconnected, TimeoutError):
            if line.handed_over:
                raise
            line.close()
            return None

    async def _new_line(self) -> Line:
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
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                try:
                    await client.ehlo()
                except SMTPHeloError:  # it is older than EHLO
                    await client.helo()
            return Line.taken_from(client)
        except BaseException:
            client.close()
            raise


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
