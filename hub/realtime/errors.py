"""What a peer can do wrong on a connection. Either way its connection ends; nobody else's does.

ProtocolError       it broke the protocol
├── TooLarge        a message over the size limit
└── WrongKind       a message of a kind that is not spoken here

`code` is what a WebSocket is closed with (RFC 6455, section 7.4.1).
"""

from __future__ import annotations


class ProtocolError(ValueError):
    """The peer broke the protocol; its connection has to end."""

    code = 1002


class TooLarge(ProtocolError):
    """A message over the size limit."""

    code = 1009


class WrongKind(ProtocolError):
    """A message of a kind that is not spoken here."""

    code = 1003
