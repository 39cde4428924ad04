"""What a provider is, and the three ways one call of it can end.

A provider sends one message and says what happened. It never tries again, never looks up a preference
and never raises for what the other side did: that is an answer. Each call ends within the provider's own
timeout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hub.domain.message import Message


@dataclass(frozen=True, slots=True)
class Receipt:
    """The other side took the message. `provider_id` is its name for it."""

    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Temporary:
    """Not now; worth another try. `retry_after` is the wait the other side asked for, in seconds.

    `unsure`: the message had been handed over when the answer failed to come, so it may have been taken.
    `alone`: it is about this address only; the provider itself is well.
    """

    reason: str
    retry_after: float | None = None
    unsure: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Permanent:
    """Never; another try would end the same way. `gone`: nor would any other message to this address."""

    reason: str
    gone: bool = False


Outcome = Receipt | Temporary | Permanent


class Provider(Protocol):
    @property
    def name(self) -> str: ...

    async def send(self, message: Message) -> Outcome: ...

    async def close(self) -> None:
        """Give connections back. No `send` is under way."""
