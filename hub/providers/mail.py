"""A message as a mail: headers that cannot be broken out of, a text part always, HTML beside it.

Whatever a title, a name or an address holds, the result has exactly the headers written here and one
recipient. The Message-ID follows from the delivery, so that a repetition is recognisable. Knows no
server.
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from dataclasses import dataclass
from email.errors import MessageError
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import lru_cache

from hub.domain.message import Message

MAX_ADDRESS = 254  # RFC 5321, 4.5.3.1.3
MAX_SUBJECT = 255


# 7bit: no server needs an extension to take it.
_POLICY = SMTP.clone(cte_type="7bit")
# RFC 5322, 3.2.3 and 3.4.1, without quoted strings, which nobody has and everybody reads differently.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\]")
# "=_" stands in no text that is encoded as quoted-printable (RFC 2045, 6.7), as all of ours is.
_BOUNDARY = "=_alternative"
# What a header may hold as it is (RFC 5322, 2.2), without a blank that folding could lose.
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_LINE, _LONGEST_LINE = 78, 998
_BREAKS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")


class Unmailable(ValueError):
    """This message cannot become a mail, now or later. `str()` says why, without the address."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it is handed to a server, and to whom."""

    recipient: str
    text: bytes


def compose(message: Message, sender: str) -> Letter:
    """The mail. `sender` is `Name <address>`. Raises `Unmailable`."""
    try:
        to = recipient(message.address)
        lines = [
            _from(sender),
            f"To: {to}\r\n",
            _line("Subject", one_line(message.subject)),
            f"Date: {format_datetime(message.at)}\r\n",
            _line("Message-ID", f"<{message.id}@{_domain(sender)}>"),
            *(_line(name, value) for name, value in extra_headers(message).items()),
            "MIME-Version: 1.0\r\n",
        ]
        if message.html is None:
            lines.append(_part("plain", message.text))
        else:
            lines.append(f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"\r\n\r\n')
            for kind, text in (("plain", message.text), ("html", message.html)):
                lines.append(f"--{_BOUNDARY}\r\n{_part(kind, text)}\r\n")
            lines.append(f"--{_BOUNDARY}--\r\n")
        return Letter(to, "".join(lines).encode("ascii"))
    except (ValueError, MessageError) as fault:
        raise (
            fault if isinstance(fault, Unmailable) else Unmailable(f"cannot be written as a mail: {fault}")
        ) from fault


def extra_headers(message: Message) -> dict[str, str]:
    """Headers that every mail has, however it leaves."""
    headers = {"Auto-Submitted": "auto-generated"}  # RFC 3834: nobody's holiday answers
    if message.unsubscribe is not None:  # RFC 8058, 3.1
        headers["List-Unsubscribe"] = f"<{message.unsubscribe}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def recipient(text: str) -> str:
    """The one address `text` is: no name, no list, nothing but ASCII before the @. Raises `Unmailable`."""
    local, _, domain = text.rpartition("@")
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError as fault:
        raise Unmailable("not a mail address") from fault
    plain = _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)
    if not plain or "=?" in local or len(local) + 1 + len(domain) > MAX_ADDRESS:
        raise Unmailable("not a mail address")
    return f"{local}@{domain}"


def _line(name: str, value: str) -> str:
    """A header as it is sent. The standard library folds and encodes those that need it; most do not."""
    most = _LINE if " " in value else _LONGEST_LINE  # a link is one word, and stays one
    if len(name) + 2 + len(value) <= most and _PLAIN.fullmatch(value):
        return f"{name}: {value}\r\n"
    return _folded(name, value)


@lru_cache(maxsize=64)
def _from(sender: str) -> str:
    """In all mails the same: parsing it costs more than the rest of the mail."""
    return _folded("From", sender)


def _folded(name: str, value: str) -> str:
    line: str = _POLICY.fold(*_POLICY.header_store_parse(name, value))
    return line


@lru_cache(maxsize=64)
def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2]


def _part(kind: str, text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = (lines if lines.endswith("\n") else f"{lines}\n").replace("\n", "\r\n")
    body = b2a_qp(plain.encode(), istext=True).decode("ascii")  # breaks lines as the first one ends
    return (
        f'Content-Type: text/{kind}; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{body}"
    )


def one_line(text: str) -> str:
    """A header's text: one line, no control characters, and no encoded words that would be decoded again."""
    line = _BREAKS.sub(" ", text).strip().replace("=?", "= ?")
    return line if len(line) <= MAX_SUBJECT else f"{line[: MAX_SUBJECT - 1]}…"
