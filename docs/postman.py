"""The OpenAPI document as a Postman collection (format 2.1): a folder for each tag, a request for each
example.

Pure: one JSON object in, one out. Who calls, and where, are variables of the collection.
"""

from __future__ import annotations

import json
from typing import Any

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
VARIABLES = {
    "baseUrl": "http://127.0.0.1:8000",
    "token": "a user's JWT: hub token",
    "key": "an API key: hub key create",
    "tenant": "city-hotel",
}
# The header that only keys of the whole platform need is on for all of them.
SENT = {"X-Tenant-Id": "{{tenant}}"}


def collection(document: dict[str, Any]) -> dict[str, Any]:
    folders: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            folders[operation["tags"][0]] += _items(method.upper(), path, operation)
    info = document["info"]
    return {
        "info": {"name": info["title"], "description": info["description"], "schema": SCHEMA},
        "variable": [{"key": name, "value": value} for name, value in VARIABLES.items()],
        "item": [
            {"name": tag["name"], "description": tag["description"], "item": folders[tag["name"]]}
            for tag in document["tags"]
        ],
    }


def _items(method: str, path: str, operation: dict[str, Any]) -> list[dict[str, Any]]:
    """One request, or one for each body that is shown."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    examples = body.get("examples") or {"": {"summary": "", "value": None}}
    found = []
    for example in examples.values():
        name = ": ".join(part for part in (operation["summary"], example["summary"]) if part)
        found.append({"name": name, "request": _request(method, path, operation, example["value"])})
    return found


def _request(method: str, path: str, operation: dict[str, Any], body: Any) -> dict[str, Any]:
    parameters = operation.get("parameters", [])
    headers = [_value(one, SENT.get(one["name"])) for one in parameters if one["in"] == "header"]
    request: dict[str, Any] = {
        "method": method,
        "description": operation.get("description", ""),
        "auth": _auth(operation["security"]),
        "url": _url(path, parameters),
    }
    if body is not None:
        headers.append({"key": "Content-Type", "value": "application/json"})
        text = json.dumps(body, indent=2, ensure_ascii=False)
        for before in ('"tenantId": "', "tenant:"):  # one that differs from the header is refused
            text = text.replace(before + VARIABLES["tenant"], before + "{{tenant}}")
        request["body"] = {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}
    return request | {"header": headers}


def _url(path: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    segments = path.replace("{", ":").replace("}", "").strip("/").split("/")
    return {
        "raw": "{{baseUrl}}/" + "/".join(segments),
        "host": ["{{baseUrl}}"],
        "path": segments,
        "query": [_value(one, None) for one in parameters if one["in"] == "query"],
        "variable": [_value(one, "") for one in parameters if one["in"] == "path"],
    }


def _value(parameter: dict[str, Any], value: str | None) -> dict[str, Any]:
    """A parameter; one without a value is there but off, to be filled in, unless it is required."""
    schema = parameter["schema"]
    shown = schema.get("examples") or schema.get("enum") or [""]
    example = value or str(schema.get("default", shown[0])).replace(VARIABLES["tenant"], "{{tenant}}")
    shape = {"key": parameter["name"], "value": example, "description": parameter.get("description", "")}
    return shape | ({} if value is not None or parameter.get("required") else {"disabled": True})


def _auth(security: list[dict[str, Any]]) -> dict[str, Any]:
    names = {name for one in security for name in one}
    if "keyHeader" in names:
        return {
            "type": "apikey",
            "apikey": [
                {"key": "key", "value": "X-API-Key"},
                {"key": "value", "value": "{{key}}"},
                {"key": "in", "value": "header"},
            ],
        }
    if "user" in names:
        return {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}"}]}
    return {"type": "noauth"}
