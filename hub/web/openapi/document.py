"""The OpenAPI 3.1 document of the routes that are served, with the limits of this very hub.

A route's method, path, access and summary come from its entry in the table; the rest from its entry in
`OPERATIONS`. Pure: routes and options in, one JSON object out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from hub import __version__
from hub.domain.errors import Refusal
from hub.web.context import WebOptions
from hub.web.openapi import admin, answers, inbox, pages, providers, refused, reports, requests, sending
from hub.web.openapi.operation import Answer, Operation, Parameter
from hub.web.openapi.shapes import Schema, text, whole
from hub.web.problems import CONTENT_TYPE as PROBLEM
from hub.web.routing import Access, Route

OPERATIONS: dict[str, Operation] = {
    **inbox.OPERATIONS,
    **sending.OPERATIONS,
    **admin.OPERATIONS,
    **providers.OPERATIONS,
    **pages.OPERATIONS,
}
TAGS = {
    "Notifications": "A user's own notification centre",
    "Streams": "Live events; `/asyncapi.json` describes what comes",
    "Location": "Where a user is, for those who notify whoever is near a place",
    "Web push": "Browsers that get notifications although no page is open",
    "Sending": "What backends send, with an API key that has the scope `notify`",
    "People": "Where those who are notified can be reached",
    "Admin": "For users with the role ADMIN, and API keys with the scope `admin`",
    "Platform": "For API keys of the whole platform with the scope `admin`",
    "Providers": "What email and SMS providers say later; judged by their signatures",
    "Unsubscribing": "For who reads a mail and wants no more of them",
    "Health": "For probes",
    "Pages": "For people, and what describes the hub",
    "Development": "Not there in production",
}
DESCRIPTION = """\
JSON in and out; keys are camelCase, times ISO 8601 in UTC, ids text. Every refusal is a problem (RFC 9457)
with a stable `code`. An unknown field in a body is refused, and all faults of a body come back at once. A
body may have {max_body_bytes} bytes and be nested {max_json_depth} levels deep; its Content-Type is not
looked at. A path that does not exist is a 404 `not_found`, another method on one that does a 405
`method_not_allowed` with the header `Allow`."""
HEADERS: dict[str, tuple[str, Schema]] = {
    "X-Request-Id": ("finds the request in the hub's log again; yours, when you sent one", text()),
    "Retry-After": ("seconds to wait", whole(minimum=1)),
    "RateLimit": ("where a quota is used up: none is left (`r`), and more in how many seconds (`t`)", text()),
    "RateLimit-Policy": ("that quota (`q`), and the seconds in which all of it comes back (`w`)", text()),
    "WWW-Authenticate": ("`Bearer`, with an error when a token was presented", text()),
    "X-Total-Count": ("how many pass the filters", whole()),
    "X-Unread-Count": ("how many are unread now", whole()),
    "Link": ('the next page as `<...>; rel="next"`, while there is one', text()),
    "ETag": ("for If-None-Match", text()),
    "Idempotency-Replayed": ("`true`: this is what was answered before", text(enum=["true"])),
}
_KEYS: list[dict[str, list[str]]] = [{"key": []}, {"keyHeader": []}]
_CONSTRAINT = re.compile(r"{(\w+):[^{}]*(?:{[^{}]*}[^{}]*)*}")


def document(routes: Iterable[Route], options: WebOptions) -> dict[str, Any]:
    """Raises KeyError for a route that nobody has described."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        about = OPERATIONS[name_of(route)]
        paths.setdefault(path_of(route), {})[route.method.lower()] = _operation(route, about, options)
    responses = _shared(operation for methods in paths.values() for operation in methods.values())
    used = {operation["tags"][0] for methods in paths.values() for operation in methods.values()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Realtime hub",
            "version": __version__,
            "description": DESCRIPTION.format(
                max_body_bytes=options.max_body_bytes, max_json_depth=options.max_json_depth
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": said} for name, said in TAGS.items() if name in used],
        "paths": paths,
        "components": {
            "schemas": schemas(options),
            "responses": responses,
            "headers": {
                name: {"description": said, "schema": schema} for name, (said, schema) in HEADERS.items()
            },
            "securitySchemes": security_schemes(options),
        },
    }


def path_of(route: Route) -> str:
    """A route's path as OpenAPI writes it."""
    return _CONSTRAINT.sub(r"{\1}", route.path)


def name_of(route: Route) -> str:
    """A route's name in `OPERATIONS`."""
    return f"{route.method} {path_of(route)}"


def schemas(options: WebOptions) -> dict[str, Schema]:
    """All schemas by name. Those of the streams' events are built from the same ones."""
    return {
        "Problem": refused.PROBLEM,
        "Fault": refused.FAULT,
        **requests.schemas(options),
        **answers.SCHEMAS,
        **reports.SCHEMAS,
    }


def security_schemes(options: WebOptions) -> dict[str, Any]:
    """Every place where a credential may stand."""
    schemes: dict[str, Any] = {
        "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "a user's token"},
        "userCookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": options.token_cookie,
            "description": "the same as a cookie; it changes something only from pages that may call",
        },
        "ticket": {
            "type": "apiKey",
            "in": "query",
            "name": "ticket",
            "description": "from POST /auth/ticket; works once",
        },
        "key": {"type": "http", "scheme": "bearer", "bearerFormat": "hub_...", "description": "an API key"},
        "keyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "an API key"},
    }
    if options.token_in_query:
        schemes["userQuery"] = {
            "type": "apiKey",
            "in": "query",
            "name": "token",
            "description": "a user's token, where nothing else is possible",
        }
    return schemes


def _security(access: Access, options: WebOptions) -> list[dict[str, list[str]]]:
    users: list[dict[str, list[str]]] = [{"user": []}, {"userCookie": []}, {"ticket": []}]
    if options.token_in_query:
        users.append({"userQuery": []})
    return {
        "public": [],
        "user": users,
        "notify": _KEYS,
        "admin": [*_KEYS, *users],
        "platform": _KEYS,
    }[access]


def _operation(route: Route, about: Operation, options: WebOptions) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "operationId": about.id,
        "tags": [about.tag],
        "summary": route.summary,
        "security": _security(route.access, options),
        "responses": _responses(route.access, about),
    }
    if about.description:
        shape["description"] = about.description
    if about.parameters:
        shape["parameters"] = [_parameter(parameter) for parameter in about.parameters]
    if about.body is not None:
        content: dict[str, Any] = {"schema": about.body}
        if about.examples:
            content["examples"] = {
                name.replace(" ", "-"): {"summary": name, "value": value}
                for name, value in about.examples.items()
            }
        shape["requestBody"] = {"required": True, "content": {"application/json": content}}
    return shape


def _parameter(parameter: Parameter) -> dict[str, Any]:
    shape: dict[str, Any] = {"name": parameter.name, "in": parameter.place, "schema": parameter.schema}
    if parameter.place == "path":
        shape["required"] = True
    if parameter.place == "query":
        shape["allowEmptyValue"] = True  # an empty parameter is none
    if parameter.description:
        shape["description"] = parameter.description
    return shape | dict(parameter.style)


def _responses(access: Access, about: Operation) -> dict[str, Any]:
    refusals: set[type[Refusal]] = {*refused.BY_ACCESS[access], *about.refuses}
    if about.body is not None:
        refusals |= {*refused.BY_BODY}
    if about.stores:
        refusals |= {*refused.BY_STORE}
    found = {str(status): _answer(answer) for status, answer in about.answers.items()}
    for status, refusal in refused.answers(refusals).items():
        if status in found:  # an answer and a refusal of one status differ by their type
            for part in ("headers", "content"):
                found[status][part] = {**refusal[part], **found[status][part]}
        else:
            found[status] = refusal
    return dict(sorted(found.items()))


def _shared(operations: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Puts references in the place of refusals; those that many routes have stand once."""
    names: dict[str, str] = {}
    shared: dict[str, Any] = {}
    for operation in operations:
        for status, response in operation["responses"].items():
            if list(response.get("content", ())) == [PROBLEM]:
                known = names.setdefault(response["description"], f"Refused{status}.{len(names)}")
                shared[known] = response
                operation["responses"][status] = {"$ref": f"#/components/responses/{known}"}
    return shared


def _answer(answer: Answer) -> dict[str, Any]:
    names = ("X-Request-Id", *answer.headers)
    shape: dict[str, Any] = {
        "description": answer.description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
    }
    if answer.content:
        shape["content"] = {kind: {"schema": schema} for kind, schema in answer.content.items()}
        if answer.example is not None:
            shape["content"]["application/json"]["example"] = answer.example
    return shape
