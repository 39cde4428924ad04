"""When a provider that fails is left alone, and when somebody looks whether it is well again.

After so many failures in a row it rests; then one call is let through, and how that ends decides: well again,
or a longer rest. A wait that the provider has asked for is kept, failures or not. Pure: times are seconds on
whatever clock the caller has. Knows no provider.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.StrEnum):
    CLOSED = "closed"  # calls go through
    OPEN = "open"  # it rests
    HALF_OPEN = "half-open"  # one call looks how it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`failures` in a row open it for `rest` seconds, doubled at each further failure up to `longest`.

    `probe`: after so many seconds a call that should look how it is has been lost.
    """

    failures: int = 5
    rest: float = 30.0
    longest: float = 300.0
    probe: float = 30.0


class Breaker:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._failed = 0  # in a row
        self._rests = 0  # in a row
        self._rests_until = 0.0
        self._asked_until = 0.0  # what the provider has asked for
        self._probing = False

    @property
    def state(self) -> State:
        """As of the last that was told."""
        if not self._rests:
            return State.CLOSED
        return State.HALF_OPEN if self._probing else State.OPEN

    def wait(self, now: float) -> float:
        """Seconds until the next call may start; 0: now."""
        return max(0.0, self._rests_until - now, self._asked_until - now)

    def begin(self, now: float) -> bool:
        """A call starts; whether it is the one that looks how the provider is. `wait` was 0."""
        if self._rests:
            self._probing = True
            self._rests_until = now + self._rules.probe
        return self._probing

    def well(self) -> None:
        """A call has reached the provider, also one that began before the rest."""
        self._failed = self._rests = 0
        self._rests_until, self._probing = 0.0, False

    def unwell(self, now: float, *, retry_after: float | None = None, probe: bool = False) -> None:
        """A call has failed. `probe`: what `begin` said of it."""
        self._failed += 1
        if retry_after is not None:
            self._asked_until = max(self._asked_until, now + retry_after)
        if self._rests and not probe:
            return  # it began before the rest, which it cannot make longer
        if probe or self._failed >= self._rules.failures:
            rest = min(self._rules.longest, self._rules.rest * 2 ** min(self._rests, 30))
            self._rests += 1
            self._rests_until, self._probing = now + rest, False
