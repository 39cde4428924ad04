"""A connection to a mail server, which takes mail after mail in as few round trips as the server allows.

aiosmtplib opens it: name, greeting, TLS and login are its work. Then the connection is taken over, because
what is left is the same three commands for every mail, and to a server that offers PIPELINING (RFC 2920,
nearly all do) they go in one write: two round trips instead of four. Promises: the text is written
only after the server has asked for it, so that `handed_over` is the truth; nothing in the text ends it early
(RFC 5321, 4.5.2); what the server says is bounded, and when it is not SMTP the connection is of no use any
more. Does not know what a mail is, how long to wait, or what an answer means for a delivery.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import Any

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponse,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)

MAX_ANSWER = 32 << 10  # bytes, for all that one mail is answered
_DONE, _WILL_FORWARD, _GO_ON, _CLOSING = 250, 251, 354, 421
_NEWLINE = re.compile(rb"\r\n|\r|\n")
_UNWRITABLE = re.compile(r"[^!-;=?-~]")  # in an address between < and >


class Line(asyncio.Protocol):
    """`usable`: the next mail may begin. `handed_over`: the text of the last one was written."""

    def __init__(self, transport: asyncio.WriteTransport, *, pipelining: bool) -> None:
        self.handed_over = False
        self.mails = 0
        self.idle_since = 0.0  # its keeper's
        self._transport = transport
        self._pipelining = pipelining
        self._usable = True
        self._buffer = b""
        self._answers: deque[SMTPResponse] = deque()
        self._said: list[str] = []  # the lines of an answer that is not over
        self._lost: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @classmethod
    def taken_from(cls, client: SMTP) -> Line:
        """The connection of a client that has said EHLO, and whose it is no longer."""
        transport: Any = client.transport  # uvloop's are no asyncio.Transport
        if transport is None or transport.is_closing():
            raise SMTPServerDisconnected("Connection lost")
        line = cls(transport, pipelining=client.supports_extension("pipelining"))
        transport.set_protocol(line)
        client.transport = client.protocol = None
        client.close()  # frees what is left of it
        return line

    @property
    def usable(self) -> bool:
        unheard = self._answers or self._buffer
        return self._usable and self._lost is None and not unheard and not self._transport.is_closing()

    async def send(self, sender: str, recipient: str, text: bytes, *, careful: float | None = None) -> str:
        """What the server says to a mail that it has taken.

        `careful`: that the connection lives is to be seen within so many seconds before more is said on it
        than the mail's sender. Raises `SMTPServerDisconnected` (with 421, too, while nothing was handed
        over), `SMTPResponseException` for a refusal, `SMTPException` for what is no SMTP, `TimeoutError`.
        """
        if not self.usable:
            raise SMTPServerDisconnected("Connection lost")
        self.handed_over = self._usable = False
        self.mails += 1
        commands = (
            b"MAIL FROM:<%b>\r\n" % _plain(sender),
            b"RCPT TO:<%b>\r\n" % _plain(recipient),
            b"DATA\r\n",
        )
        written = 0
        for place in range(len(commands)):
            if place == written:
                together = self._pipelining and (place > 0 or careful is None)
                written = len(commands) if together else place + 1
                self._transport.write(b"".join(commands[place:written]))
            if careful is None or place > 0:
                answer = await self._answer()
            else:
                async with asyncio.timeout(careful):
                    answer = await self._answer()
            _require(place, answer, sender, recipient)
        self.handed_over = True
        self._transport.write(_stuffed(text))
        answer = await self._answer()
        self._usable = answer.code != _CLOSING  # between two mails, whatever became of this one
        if answer.code != _DONE:
            raise SMTPDataError(answer.code, answer.message)
        return answer.message

    async def quit(self, timeout: float) -> None:
        """Say goodbye, and do not wait for long."""
        if self.usable:
            try:
                self._transport.write(b"QUIT\r\n")
                async with asyncio.timeout(timeout):
                    await self._answer()
            except (SMTPException, OSError):
                pass
        self.close()

    def close(self) -> None:
        self._usable = False
        self._transport.close()

    # -- the conversation ----------------------------------------------------------------------------
    async def _answer(self) -> SMTPResponse:
        """The next one. Raises why there is none."""
        while not self._answers:
            if self._lost is not None:
                raise self._lost
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._answers.popleft()

    # -- what the loop tells -------------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        try:
            for line in lines:
                self._hear(line.rstrip(b"\r"))
        except ValueError:
            self._lose(SMTPException("what it says is not SMTP"))
        if len(self._buffer) + sum(map(len, self._said)) > MAX_ANSWER:
            self._lose(SMTPException("it does not stop talking"))
        if self._waiter is None:
            self._lose(SMTPServerDisconnected("it spoke unasked"))  # it is about to hang up
        elif self._answers and not self._waiter.done():
            self._waiter.set_result(None)

    def eof_received(self) -> None:
        self._lose(SMTPServerDisconnected("Connection lost"))

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(SMTPServerDisconnected(f"Connection lost: {error}" if error else "Connection lost"))

    def _hear(self, line: bytes) -> None:
        """Raises ValueError for a line that is not one of an answer (RFC 5321, 4.2)."""
        code = int(line[:3])
        if not 200 <= code <= 599 or line[3:4] not in (b" ", b"-", b""):
            raise ValueError(line)
        self._said.append(line[4:].decode("utf-8", "replace"))
        if line[3:4] != b"-":
            self._answers.append(SMTPResponse(code, "\n".join(self._said)))
            self._said.clear()

    def _lose(self, why: Exception) -> None:
        if self._lost is None:
            self._lost = why
        self._transport.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _require(place: int, answer: SMTPResponse, sender: str, recipient: str) -> None:
    """That the server goes along with MAIL, RCPT or DATA."""
    code, said = answer
    if code == _CLOSING:
        raise SMTPServerDisconnected(f"{code} {said}")
    match place:
        case 0 if code != _DONE:
            raise SMTPSenderRefused(code, said, sender)
        case 1 if code not in (_DONE, _WILL_FORWARD):
            raise SMTPRecipientRefused(code, said, recipient)
        case 2 if code != _GO_ON:
            raise SMTPDataError(code, said)


def _plain(address: str) -> bytes:
    """An address as it may stand in a command. Raises ValueError for one that would end it."""
    if _UNWRITABLE.search(address):
        raise ValueError("an address holds what no command may")
    return address.encode("ascii")


def _stuffed(text: bytes) -> bytes:
    """The text with its end. Every line break is CRLF, and no line is a single dot."""
    if not text.count(b"\n") == text.count(b"\r") == text.count(b"\r\n"):
        text = _NEWLINE.sub(b"\r\n", text)
    if not text.endswith(b"\r\n"):
        text += b"\r\n"
    stuffed = text.replace(b"\r\n.", b"\r\n..")
    return b"%b%b.\r\n" % (b"." if stuffed.startswith(b".") else b"", stuffed)
