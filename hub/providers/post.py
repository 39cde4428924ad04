"""A request of a provider, and what reads it. Who reads which is chosen where keys are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hub.domain.callback import Report


@dataclass(frozen=True, slots=True)
class Post:
    """A request as it came. `target` is its path and query, still encoded; header names have no case."""

    target: str
    headers: Mapping[str, str]
    body: bytes


class Reader(Protocol):
    def read(self, post: Post, *, now: datetime) -> list[Report]:
        """Raises `SignatureInvalid`, and `Invalid` for what is signed and makes no sense all the same."""
