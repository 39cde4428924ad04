"""Tokens that are called back before they end: which ones, and whether a principal's is among them.

A revocation names a user, a session, one token by its `jti`, or everybody. Of a user and of everybody it
calls back what was issued up to a moment, so that whoever signs in again afterwards may come; a token that
does not say when it was issued counts as older than anything. This file knows no clock and no SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hub.domain.access import Principal

USER, SESSION, TOKEN, ALL = "user", "session", "jti", "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One of them. `before` and `expires_at` are Unix seconds; `value` is "" for everybody.

    `number` follows the order in which they were stored.
    """

    tenant: str
    kind: str
    value: str
    before: float
    expires_at: float
    number: int = 0


class Revoked:
    """All that are in force."""

    def __init__(self) -> None:
        self._in_force: dict[tuple[str, str, str], Revocation] = {}

    def __len__(self) -> int:
        return len(self._in_force)

    def add(self, revocations: Iterable[Revocation]) -> None:
        """Of two that name the same, the later of their moments count."""
        for new in revocations:
            place = (new.tenant, new.kind, new.value)
            old = self._in_force.get(place, new)
            self._in_force[place] = replace(
                new, before=max(old.before, new.before), expires_at=max(old.expires_at, new.expires_at)
            )

    def concern(self, who: Principal) -> bool:
        """Whether the token that `who` came from was called back."""
        if not self._in_force:
            return False
        return (
            (bool(who.token_id) and (who.tenant, TOKEN, who.token_id) in self._in_force)
            or (who.tenant, SESSION, who.session) in self._in_force
            or self._is_older(who, USER, who.user)
            or self._is_older(who, ALL, "")
        )

    def _is_older(self, who: Principal, kind: str, value: str) -> bool:
        found = self._in_force.get((who.tenant, kind, value))
        return found is not None and who.issued_at <= found.before

    def forget(self, now: float) -> None:
        """Drop those that no living token can concern."""
        over = [place for place, one in self._in_force.items() if one.expires_at <= now]
        for place in over:
            del self._in_force[place]
