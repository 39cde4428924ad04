"""A transaction as data: which statements, and which of them need an answer before the next can be made.

A generator yields questions, is sent the rows that answer them, and returns the statements that need no
answer. So one description of a transaction runs in one hop to SQLite's thread and in as few round
trips to PostgreSQL as it has questions (`hub.store.sqlite`, `hub.store.postgresql`). Statements are in the
driver's own SQL. This file knows no table and runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

Statement = tuple[str, Sequence[Any] | Mapping[str, Any]]
Found = list[tuple[Any, ...]]


class Question(NamedTuple):
    """`asked` are answered with their rows, one after the other; `before` run first and answer nothing."""

    before: Sequence[Statement]
    asked: Sequence[Statement]


Trips = Generator[Question, Sequence[Found], Sequence[Statement]]
# Called right before a transaction is tried, and again for every further try.
Begin = Callable[[], Trips]
