"""A record: what one hub process tells the others.

This file does not know Redis, channels, how records travel (that is `parcel`) or what a body means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)  # not frozen: that doubles the price of making one
class Record:
    """`kind` is "event" (somebody's event), "signal" (a volatile hint), "presence" (who came and went on a
    process) or "control" (an order to processes).

    `offset` is the event's place in its tenant's log of `epoch`, 0 for everything that is in no log.
    `meta` holds what the receiver needs to route the body and must be JSON-able; `body` is JSON, encoded.
    A control record has the tenant "".
    """

    tenant: str
    kind: str
    offset: int = 0
    epoch: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""

    @property
    def ordered(self) -> bool:
        """Whether the record has its turn in a log; everything else passes straight through."""
        return self.offset > 0 and self.kind == "event"
