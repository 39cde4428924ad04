"""Addresses that get nothing any more: how one is recognised, and what may be seen of it.

What bounced or complained is kept as a digest, so that a list of the dead is no list of addresses. Pure.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

# What writes a telephone number in groups and says nothing.
_GROUPS = re.compile(r"[\s().-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One entry of a tenant's list. `id` is the address's digest."""

    channel: str
    id: str
    hint: str
    reason: str
    delivery: str | None
    created_at: datetime


def digest(channel: str, address: str) -> str:
    """SHA-256, hex, of the address without case; of a number without the spaces in it."""
    text = _GROUPS.sub("", address) if channel == "sms" else address.strip()
    return hashlib.sha256(text.casefold().encode()).hexdigest()


def hint(channel: str, address: str) -> str:
    """What an admin may see: `a***@example.com`, `+44***77`, or a webhook's host. At most 80 characters."""
    if channel == "email":
        name, _, host = address.rpartition("@")
        return f"{name[:1]}***@{host}"[:80]
    if channel == "sms":
        number = _GROUPS.sub("", address)
        return f"{number[:3]}***{number[-2:]}" if len(number) >= 8 else "***"
    return f"{urlsplit(address).hostname or '***'}"[:80]
