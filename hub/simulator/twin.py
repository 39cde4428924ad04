"""What a provider's twin is: a request in; what was taken, or a refusal in the provider's own words, out.

A twin holds what its provider would remember and does no I/O. Knows no faults: they happen around it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. `url` is the whole of it as the client wrote it; `places` are the parts of its path."""

    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    places: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The provider would not take this request."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply.body))
        self.reply = reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """`deliveries`: whose messages the request carried, as far as it says. `again`: it was taken before.

    `callback` is the URL the request itself has named, if it has.
    """

    reply: Reply
    to: str
    message: Mapping[str, Any]
    deliveries: tuple[str, ...] = ()
    id: str = ""
    callback: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Callback:
    """A signed request to the hub. `event` is the provider's word for what it says."""

    url: str
    event: str
    headers: Mapping[str, str]
    body: bytes


class Twin(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def paths(self) -> tuple[str, ...]:
        """Where it takes messages, by POST."""

    def take(self, ask: Ask, now: float) -> Taken:
        """Raises `Refused`. `now` is Unix time."""

    def fault(self, status: int, retry_after: float | None) -> Reply:
        """How the real one says that status."""

    def callbacks(self, taken: Taken, word: str, now: float) -> list[Callback]:
        """What the real one says later, in order."""


def after(seconds: float | None) -> dict[str, str]:
    """A `Retry-After` header of whole seconds (RFC 9110, 10.2.3), if any."""
    return {} if seconds is None else {"Retry-After": f"{seconds:g}"}
