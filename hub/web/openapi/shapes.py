"""The words JSON Schemas are written in (draft 2020-12), and the values that occur everywhere.

Objects are closed by nobody here: an answer may get a new field, and clients ignore what they do not know.
"""

from __future__ import annotations

from typing import Any

from hub.domain.delivery import Status, shown
from hub.domain.events import CHANNELS, SEVERITIES

Schema = dict[str, Any]
_SCHEMAS = "#/components/schemas/"


def ref(name: str) -> Schema:
    """A schema of `components/schemas`."""
    return {"$ref": f"{_SCHEMAS}{name}"}


def needed(schemas: dict[str, Schema], value: Any) -> dict[str, Schema]:
    """Those of `schemas` that are referred to from anywhere in `value`, or from one of those."""
    found: dict[str, Schema] = {}
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            name = str(item.get("$ref", "")).removeprefix(_SCHEMAS)
            if name in schemas and name not in found:
                found[name] = schemas[name]
                todo.append(schemas[name])
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return {name: schema for name, schema in schemas.items() if name in found}


def text(description: str = "", **more: Any) -> Schema:
    return _described("string", description, more)


def whole(description: str = "", **more: Any) -> Schema:
    """A whole number, by default not below 0."""
    return _described("integer", description, {"minimum": 0} | more)


def number(description: str = "", **more: Any) -> Schema:
    return _described("number", description, {"minimum": 0} | more)


def flag(description: str = "", **more: Any) -> Schema:
    return _described("boolean", description, more)


def words(values: Any, description: str = "") -> Schema:
    """One of these texts."""
    return text(description, enum=list(values))


def many(items: Schema, description: str = "", **more: Any) -> Schema:
    return _described("array", description, {"items": items} | more)


def counts(values: Schema, description: str = "") -> Schema:
    """An object of any names, each with such a value."""
    return _described("object", description, {"additionalProperties": values})


def record(
    fields: dict[str, Schema], optional: dict[str, Schema] | None = None, description: str = ""
) -> Schema:
    """An object that has all of `fields`, and may have those of `optional`."""
    shape: dict[str, Any] = {"properties": {**fields, **(optional or {})}}
    if fields:
        shape["required"] = list(fields)
    return _described("object", description, shape)


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    either: Schema = schema | {"type": [schema["type"], "null"]}
    if "enum" in schema:
        either["enum"] = [*schema["enum"], None]
    return either


def _described(kind: str, description: str, more: dict[str, Any]) -> Schema:
    return {"type": kind} | ({"description": description} if description else {}) | more


# The values that occur everywhere.
ULID = text(pattern="^[0-9A-Za-z]{26}$", examples=["01KAG8Y0V2M4Z7J3T5Q9W1E6RB"])
TIME = text(
    format="date-time",
    pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
    examples=["2026-11-20T10:00:00.000Z"],
)
CURSOR = text("one place in the tenant's log", pattern="^[A-Za-z0-9]+:[0-9]{1,18}$", examples=["k3f9:1042"])
USER = text("the id of a user", examples=["42"])
ROOM = text("an audience inside the tenant", examples=["user:42", "role:ADMIN", "topic:jobs"])
DATA = {"type": "object", "description": "what the sender gave"}
CHANNEL = words(CHANNELS)
OUTSIDE = words(channel for channel in CHANNELS if channel != "inApp")
SEVERITY = words(SEVERITIES)
STATUS = words((shown(status) for status in Status), "the state of a delivery")
