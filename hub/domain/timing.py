"""When to try again: exponential backoff with full jitter.

Pure: chance is a number from 0 to 1 that the caller draws, durations are seconds. Knows neither what
failed nor what time it is.
"""

from __future__ import annotations

# An instruction to wait is followed and never undercut; this much is added at most, so that deliveries
# told the same thing at the same moment do not come back at the same moment.
RETRY_AFTER_SPREAD = 0.1
# Beyond this the doubling has long met any ceiling; it keeps the power a small number.
_MOST_DOUBLINGS = 30


def backoff(attempt: int, *, first: float, longest: float, chance: float) -> float:
    """Seconds to wait after attempt number `attempt` (from 1) has failed.

    Anything from 0 to `first`, doubled with each attempt up to `longest`: full jitter, as in "Exponential
    Backoff And Jitter" (AWS Architecture Blog, 2015), which spreads a crowd of retries best.
    """
    if attempt < 1:
        raise ValueError(f"attempts are counted from 1, not {attempt}")
    return chance * min(longest, first * (1 << min(attempt - 1, _MOST_DOUBLINGS)))


def retry_in(
    attempt: int, *, retry_after: float | None, first: float, longest: float, chance: float
) -> float:
    """Seconds until the next attempt. What the provider asked for (`Retry-After`) wins over our own."""
    if retry_after is not None and retry_after > 0:
        return retry_after * (1 + RETRY_AFTER_SPREAD * chance)
    return backoff(attempt, first=first, longest=longest, chance=chance)
