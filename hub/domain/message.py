"""A message: one rendered delivery, ready for a provider.

Everything a provider may know. It does not say which attempt this is, what the event was or who else
got it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`id` is the delivery's, the same in every attempt, so a provider can recognise a repetition.

    `address`: a mail address, an E.164 number, a webhook's URL, or a push subscription as JSON. `text` is
    all there is for channels that show only text. `embed` is Discord's object of that name; `link` is
    absolute or None; `unsubscribe` is the URL of RFC 8058's one click, for mail.
    """

    id: str
    tenant: str
    user: str
    channel: str
    address: str
    subject: str
    text: str
    html: str | None
    at: datetime
    type: str = ""
    severity: str = "info"
    link: str | None = None
    embed: Mapping[str, Any] | None = None
    unsubscribe: str | None = None
