"""What is asked of a database in one trip, noted on its way."""

from __future__ import annotations

from typing import Any

from hub.store.trips import Asks, Statement


def noting(asks: Asks[Any], seen: list[Statement]) -> Asks[Any]:
    """The same, and what it asks is put into `seen`."""
    try:
        statements = next(asks)
        while True:
            seen += statements
            statements = asks.send((yield statements))
    except StopIteration as end:
        return end.value
