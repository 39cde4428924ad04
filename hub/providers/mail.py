"""A message as a mail: headers that cannot be broken out of, a text part always, HTML beside it.

Whatever a title, a name or an address holds, the result has exactly the headers written here and one
recipient. The Message-ID follows from the delivery, so that a repetition is recognisable. Knows no
server.
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from email.errors import MessageError
from email.headerregistry import Address, BaseHeader, HeaderRegistry
from email.message import EmailMessage
from email.message import Message as Part
from email.policy import SMTP
from email.utils import parseaddr
from functools import lru_cache
from typing import Any

from hub.domain.message import Message

MAX_ADDRESS = 254  # RFC 5321, 4.5.3.1.3
MAX_SUBJECT = 255


class _Headers(HeaderRegistry):
    """The standard library's, which would make a new class for every header of every mail."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, type[BaseHeader]] = {}

    def __getitem__(self, name: str) -> type[BaseHeader]:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = super().__getitem__(name)
        return made


# 7bit: no server needs an extension to take it.
_POLICY = SMTP.clone(cte_type="7bit", header_factory=_Headers())
# RFC 5322, 3.2.3 and 3.4.1, without quoted strings, which nobody has and everybody reads differently.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\]")
# "=_" stands in no text that is encoded as quoted-printable (RFC 2045, 6.7), as all of ours is.
_BOUNDARY = "=_alternative"
# Headers whose value is the same in all mails.
_SHARED = frozenset({"Auto-Submitted", "List-Unsubscribe-Post"})
_BREAKS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")


class Unmailable(ValueError):
    """This message cannot become a mail, now or later. `str()` says why, without the address."""


def compose(message: Message, sender: str) -> EmailMessage:
    """The mail. `sender` is `Name <address>`. Raises `Unmailable`."""
    mail = EmailMessage(policy=_POLICY)
    try:
        mail["From"] = _header("From", sender)
        mail["To"] = recipient(message.address)
        mail["Subject"] = one_line(message.subject)
        mail["Date"] = message.at
        mail["Message-ID"] = f"<{message.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
        for name, value in extra_headers(message).items():
            mail[name] = _header(name, value) if name in _SHARED else value
        mail["MIME-Version"] = _header("MIME-Version", "1.0")
        if message.html is None:
            _fill(mail, "plain", message.text)
        else:
            mail["Content-Type"] = _header("Content-Type", f'multipart/alternative; boundary="{_BOUNDARY}"')
            for kind, text in (("plain", message.text), ("html", message.html)):
                part = Part()
                _fill(part, kind, text)
                mail.attach(part)  # type: ignore[arg-type]  # it takes any message
    except (ValueError, MessageError) as fault:
        raise (
            fault if isinstance(fault, Unmailable) else Unmailable(f"cannot be written as a mail: {fault}")
        ) from fault
    return mail


def extra_headers(message: Message) -> dict[str, str]:
    """Headers that every mail has, however it leaves."""
    headers = {"Auto-Submitted": "auto-generated"}  # RFC 3834: nobody's holiday answers
    if message.unsubscribe is not None:  # RFC 8058, 3.1
        headers["List-Unsubscribe"] = f"<{message.unsubscribe}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def recipient(text: str) -> Address:
    """The one address `text` is: no name, no list, nothing but ASCII before the @. Raises `Unmailable`."""
    local, _, domain = text.rpartition("@")
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError as fault:
        raise Unmailable("not a mail address") from fault
    plain = _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)
    if not plain or "=?" in local or len(local) + 1 + len(domain) > MAX_ADDRESS:
        raise Unmailable("not a mail address")
    return Address(username=local, domain=domain)


@lru_cache(maxsize=64)
def _header(name: str, value: str) -> Any:
    """A header that many mails share: parsing it costs more than the rest of the mail."""
    return _POLICY.header_factory(name, value)


def _fill(part: EmailMessage | Part, kind: str, text: str) -> None:
    plain = text if text.endswith("\n") else f"{text}\n"
    part["Content-Type"] = _header("Content-Type", f'text/{kind}; charset="utf-8"')
    part["Content-Transfer-Encoding"] = _header("Content-Transfer-Encoding", "quoted-printable")
    part.set_payload(b2a_qp(plain.encode(), istext=True).decode("ascii"))


def one_line(text: str) -> str:
    """A header's text: one line, no control characters, and no encoded words that would be decoded again."""
    line = _BREAKS.sub(" ", text).strip().replace("=?", "= ?")
    return line if len(line) <= MAX_SUBJECT else f"{line[: MAX_SUBJECT - 1]}…"
