"""What a peer can do wrong on a connection. Either way its connection ends; nobody else's does.

ProtocolError       it broke the protocol
└── TooLarge        a message over the size limit (WebSocket close code 1009)
"""

from __future__ import annotations


class ProtocolError(ValueError):
    """The peer broke the protocol; its connection has to end."""


class TooLarge(ProtocolError):
    """A message over the size limit."""
