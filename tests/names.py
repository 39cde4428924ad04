"""Names of tests that are made from a table: what is tried, cut short."""

from __future__ import annotations

from collections.abc import Callable


def cut(most: int) -> Callable[[object], str]:
    """For `ids`: so many characters. A set is in order: the processes of `-n` must agree about the names."""
    return lambda value: str(sorted(value) if isinstance(value, set) else value)[:most]
