"""What is said about one route beside its entry in the table: parameters, body, answers, refusals.

Plain values; what becomes of them is decided in `document`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hub.domain.errors import Refusal
from hub.web.openapi.shapes import Schema

Place = Literal["query", "header", "path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One value of the query, of the headers or of the path."""

    name: str
    place: Place
    schema: Schema
    description: str = ""
    style: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One status. `content` by media type; `headers` are names of `components/headers`."""

    description: str
    content: Mapping[str, Schema] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    example: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route. `body` is the schema of a JSON body, `examples` some such bodies by their names.

    `refuses` holds what this route refuses beside what follows from who may call it and from its body;
    `stores`: whether it asks the database.
    """

    id: str
    tag: str
    answers: Mapping[int, Answer]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    refuses: tuple[type[Refusal], ...] = ()
    stores: bool = True


def query(name: str, schema: Schema, description: str = "", **style: Any) -> Parameter:
    return Parameter(name=name, place="query", schema=schema, description=description, style=style)


def header(name: str, schema: Schema, description: str = "") -> Parameter:
    return Parameter(name=name, place="header", schema=schema, description=description)


def path(name: str, schema: Schema, description: str = "") -> Parameter:
    return Parameter(name=name, place="path", schema=schema, description=description)


def json(description: str, schema: Schema, *headers: str, example: Any = None) -> Answer:
    """An answer in JSON."""
    return Answer(
        description=description, content={"application/json": schema}, headers=headers, example=example
    )


def nothing(description: str, *headers: str) -> Answer:
    """An answer without a body."""
    return Answer(description=description, headers=headers)
