"""A message: one rendered delivery, ready for a provider.

Everything a provider may know. It does not say which attempt this is, what the event was or who else
got it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`id` is the delivery's, the same in every attempt, so a provider can recognise a repetition."""

    id: str
    tenant: str
    user: str
    channel: str
    address: str
    subject: str
    text: str
    html: str | None
    at: datetime
