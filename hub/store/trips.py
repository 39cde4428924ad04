"""A transaction as data: which statements, and which of them need an answer before the next can be made.

A generator yields questions, is sent the rows that answer them, and returns the statements that need no
answer. So one description of a transaction runs in one hop to SQLite's thread and in as few round
trips to PostgreSQL as it has questions (`hub.store.sqlite`, `hub.store.postgresql`). Statements are in the
driver's own SQL. This file knows no table and runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

Statement = tuple[str, Sequence[Any] | Mapping[str, Any]]
Found = list[tuple[Any, ...]]


class Question(NamedTuple):
    """`asked` are answered with their rows, one after the other; `before` run first and answer nothing."""

    before: Sequence[Statement]
    asked: Sequence[Statement]


Trips = Generator[Question, Sequence[Found], Sequence[Statement]]
# Called right before a transaction is tried, and again for every further try.
Begin = Callable[[], Trips]

# The same without a transaction: questions of some statements each, answered with their rows; what it returns
# is what was read.
Asks = Generator[Sequence[Statement], Sequence[Found], T]


def once(statements: Sequence[Statement]) -> Asks[Sequence[Found]]:
    """One question."""
    return (yield statements)


def side_by_side(many: Sequence[Asks[T]]) -> Asks[list[T]]:
    """What each of `many` returns; what they ask at the same time is one question."""
    done: dict[int, T] = {}
    answers: dict[int, Sequence[Found] | None] = dict.fromkeys(range(len(many)))
    while answers:
        asked: dict[int, Sequence[Statement]] = {}
        for number, found in answers.items():
            try:
                asked[number] = next(many[number]) if found is None else many[number].send(found)
            except StopIteration as end:
                done[number] = end.value
        rows = iter((yield [one for some in asked.values() for one in some]) if asked else ())
        answers = {number: [*islice(rows, len(some))] for number, some in asked.items()}
    return [done[number] for number in range(len(many))]
