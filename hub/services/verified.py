"""Tokens whose signature was found good a moment ago, so that the next request with one costs a look.

Promises: a token is known here by every byte of it, only for the key that has verified it, and not longer
than it is valid; nothing of it is kept but its SHA-256. A token that names no session speaks for a new one
each time, as if it were read anew. Whether it was revoked is not known here: that is asked every time.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, NamedTuple

from ulid import ULID

from hub.domain.access import Principal

MOST = 10_000  # tokens; who has waited longest makes room


class _Good(NamedTuple):
    key: Any
    who: Principal


class Verified:
    """Times are Unix seconds."""

    def __init__(self) -> None:
        self._good: dict[bytes, _Good] = {}

    def find(self, token: str, key: Any, *, now: float) -> Principal | None:
        """Whom the token speaks for; None when it must be verified. `now`: it is over from its `exp` on."""
        name = _name(token)
        good = self._good.get(name)
        if good is None:
            return None
        if good.key is not key or int(good.who.expires_at) <= now:
            del self._good[name]
            return None
        return replace(good.who, session=str(ULID())) if good.who.sessionless else good.who

    def keep(self, token: str, key: Any, who: Principal) -> None:
        """`key` has verified that the token speaks for `who`."""
        if len(self._good) >= MOST:
            del self._good[next(iter(self._good))]
        self._good[_name(token)] = _Good(key, who)


def _name(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
