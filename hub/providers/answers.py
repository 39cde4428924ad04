"""What an HTTP answer means for a message: taken, later, or never.

One table for every provider that speaks HTTP (RFC 9110, 15; RFC 6585). Knows no provider.
"""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime

from hub.providers.receipt import Permanent, Temporary

# Refusals that another try may not meet: timeout, conflict, too early, too many.
RETRIED = frozenset({408, 409, 425, 429})
# About our account, not about the message: an operator can mend it, and another provider may do.
ABOUT_US = frozenset({401, 402, 403})
MAX_RETRY_AFTER = 86400.0
MAX_REASON = 300


def refused(status: int, said: object, retry_after: str | None = None) -> Temporary | Permanent:
    """The outcome for a status that is not 2xx. `retry_after` is the header's text."""
    reason = short(f"{status} {said}")
    if status >= 500 or status in RETRIED or status in ABOUT_US:
        return Temporary(reason, retry_after=seconds(retry_after))
    return Permanent(reason)


def seconds(retry_after: str | None) -> float | None:
    """The wait that a `Retry-After` header asks for: seconds or an HTTP date; None when it says nothing."""
    if not retry_after:
        return None
    try:
        wait = float(retry_after)
    except ValueError:
        try:
            wait = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return None
    return min(MAX_RETRY_AFTER, max(0.0, wait)) if math.isfinite(wait) else None


def short(what: object) -> str:
    """On one line, and not long."""
    return " ".join(str(what).split())[:MAX_REASON]
