"""The JSON Schemas of what the hub says, as TypeScript: `clients/js/src/generated.ts`.

Pure: schemas in, text out. Knows JSON Schema as far as the hub writes it; what it does not know becomes
`unknown`, never a wrong type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from hub.domain.events import EventType

Schema = Mapping[str, Any]
HEAD = """\
/**
 * What the hub says, as types. Written by `python docs/generate.py` from the registry of event types and the
 * schemas of OpenAPI and AsyncAPI; a test compares. Knows no values.
 */
"""
NAMES_HEAD = """\
/** The names of everything the hub sends, to listen to. Written by `python docs/generate.py`. */
"""
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_NAME = re.compile(r"[A-Za-z_]\w*")


def module(
    schemas: Mapping[str, Schema], signals: Mapping[str, tuple[Schema, str]], types: Iterable[EventType]
) -> str:
    """Every schema as a type of its name, `Signals` by name, and `EventTypes` by every name they have."""
    parts = [HEAD]
    parts += [_declaration(name, schema) for name, schema in sorted(schemas.items())]
    said = {
        name: (payload | {"description": why}) if "$ref" not in payload else payload
        for name, (payload, why) in signals.items()
    }
    parts.append("/** What the hub sends beside events, by name: the last argument of the message. */")
    parts.append(f"export interface Signals {_fields(said, set(said), '')}\n")
    data = {
        name: _type(kind.schema, "  ") if kind.schema else ""
        for kind in types
        for name in dict.fromkeys((kind.name, kind.wire))
    }
    parts.append("/** The registered types, also under the name they are sent as: what stands in `data`. */")
    rows = [f"  {_key(name)}: {shape or 'Record<string, unknown>'};" for name, shape in data.items()]
    parts.append("\n".join(["export interface EventTypes {", *rows, "}"]) + "\n")
    return "\n".join(parts)


def names(signals: Iterable[str], types: Iterable[EventType]) -> str:
    """All names of messages, as values: for what must list them to hear them."""
    known = [*signals, *(kind.wire for kind in types)]
    rows = [f"  {json.dumps(name)}," for name in dict.fromkeys(known)]
    return "\n".join([NAMES_HEAD, "export const NAMES: readonly string[] = [", *rows, "];"]) + "\n"


def _declaration(name: str, schema: Schema) -> str:
    said = f"/** {schema['description']} */\n" if schema.get("description") else ""
    if schema.get("properties"):
        return f"{said}export interface {name} {_object(schema, '')}\n"
    return f"{said}export type {name} = {_type(schema, '')};\n"


def _type(schema: Schema, indent: str) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for word, sign in (("anyOf", " | "), ("oneOf", " | "), ("allOf", " & ")):
        if word in schema:
            return sign.join(dict.fromkeys(_type(part, indent) for part in schema[word]))
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    return " | ".join(_of_kind(kind, schema, indent) for kind in kinds) or "unknown"


def _of_kind(kind: str, schema: Schema, indent: str) -> str:
    if kind == "array":
        inner = _type(schema.get("items", {}), indent)
        return f"{inner}[]" if _NAME.fullmatch(inner) else f"({inner})[]"
    if kind == "object":
        return _object(schema, indent)
    return _PLAIN[kind]


def _object(schema: Schema, indent: str) -> str:
    if schema.get("properties"):
        return _fields(schema["properties"], set(schema.get("required", ())), indent)
    values = schema.get("additionalProperties")
    return f"Record<string, {_type(values, indent) if isinstance(values, dict) else 'unknown'}>"


def _fields(fields: Mapping[str, Schema], required: set[str], indent: str) -> str:
    deeper = f"{indent}  "
    lines = []
    for name, schema in fields.items():
        if schema.get("description"):
            lines.append(f"{deeper}/** {schema['description']} */")
        lines.append(f"{deeper}{_key(name)}{'' if name in required else '?'}: {_type(schema, deeper)};")
    return "\n".join(["{", *lines, f"{indent}}}"])


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else json.dumps(name)
