"""Every answer of a hub in a test is held against its own description: status, type, headers and JSON.

`watch` an application before it starts, and `require_none` when the test is over: an answer that
`/openapi.json` does not foresee fails the test that caused it, whatever the test itself looks at. Objects are
closed here: a field that is not described is a fault too.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from aiohttp import web
from jsonschema import Draft202012Validator

from hub.services.wire import loads
from hub.web.context import HUB, WebOptions
from hub.web.middleware import CLIENT_GONE
from hub.web.openapi.document import HEADERS, OPERATIONS, document, name_of
from hub.web.problems import CONTENT_TYPE
from hub.web.routing import TABLE, Route

SHOWN = 5  # faults that one test may tell
_PROBLEM: dict[str, Any] = {"$ref": "#/components/schemas/Problem"}


class Description:
    """The document of one hub, and what it says about single answers."""

    def __init__(self, routes: tuple[Route, ...], options: WebOptions) -> None:
        # A route without a description fails a test of its own, and here only who calls it.
        self._document = document([route for route in routes if name_of(route) in OPERATIONS], options)
        self._components = closed(self._document["components"])
        self._validator = cache(self._make)

    def faults(self, method: str, path: str, answer: web.StreamResponse, *, whole: bool = True) -> list[str]:
        """What is wrong with an answer. Not `whole`: JSON is looked at when it is a problem only."""
        operations = self._document["paths"].get(path)
        if operations is None or method.lower() not in operations:
            expected = {404, 405, 417} if operations is None else {405, 417}
            if answer.status not in expected:
                return [f"{answer.status} where nothing is described"]
            return self._body(answer, {CONTENT_TYPE: {"schema": _PROBLEM}}, (), whole=True)
        responses = operations[method.lower()]["responses"]
        described = responses.get(str(answer.status))
        if described is None:
            return [f"the status {answer.status} is not described: {body_of(answer)[:300]!r}"]
        place: tuple[str, ...] = ("paths", path, method.lower(), "responses", str(answer.status))
        if "$ref" in described:
            place = ("components", "responses", described["$ref"].rpartition("/")[2])
            described = self._document["components"]["responses"][place[-1]]
        unsaid = [name for name in HEADERS if name in answer.headers and name not in described["headers"]]
        return [f"the header {name} is not described" for name in unsaid] + self._body(
            answer, described.get("content", {}), place, whole=whole
        )

    def _body(
        self, answer: web.StreamResponse, content: dict[str, Any], place: tuple[str, ...], *, whole: bool
    ) -> list[str]:
        body = body_of(answer)
        if not content:
            return ["a body where none is described"] if body else []
        kind = answer.content_type
        if kind not in content and "*/*" not in content:
            return [f"the type {kind} is not described"]
        if not body or "json" not in kind or (kind != CONTENT_TYPE and not whole):
            return []
        found = self._validator(place, kind) if place else self._problem()
        return [f"{error.json_path}: {error.message[:300]}" for error in found.iter_errors(loads(body))]

    def _problem(self) -> Draft202012Validator:
        return Draft202012Validator({**_PROBLEM, "components": self._components})

    def _make(self, place: tuple[str, ...], kind: str) -> Draft202012Validator:
        described: Any = self._document
        for step in place:
            described = described[step]
        schema = closed(described["content"][kind]["schema"])
        return Draft202012Validator({"allOf": [schema], "components": self._components})


class Watched:
    """What was wrong with the answers of one application."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self.faults: list[str] = []
        self.seen = 0

    async def look(self, request: web.Request, answer: web.StreamResponse) -> None:
        if request.method == "OPTIONS" or answer.status == CLIENT_GONE:
            return
        resource = request.match_info.route.resource
        path = resource.canonical if resource is not None else ""
        if path.startswith("/socket.io"):
            return
        self.seen += 1
        method = "GET" if request.method == "HEAD" else request.method
        about = described(request.app[TABLE], request.app[HUB].options)
        for fault in about.faults(method, path, answer, whole=self._whole):
            self.faults.append(f"{request.method} {request.path_qs[:200]}: {fault}")

    def require_none(self) -> None:
        assert not self.faults, "answers that are not described:\n" + "\n".join(self.faults[:SHOWN])


def watch(app: web.Application, *, whole: bool = True) -> Watched:
    """Look at every answer of an application that has not started yet."""
    watched = Watched(whole=whole)
    app.on_response_prepare.append(watched.look)
    return watched


@lru_cache(maxsize=16)
def described(routes: tuple[Route, ...], options: WebOptions) -> Description:
    return Description(routes, options)


def body_of(answer: web.StreamResponse) -> bytes:
    """The bytes of an answer that is no stream and no file."""
    body = answer.body if isinstance(answer, web.Response) else None
    return body if isinstance(body, bytes) else b""


def closed(schema: Any) -> Any:
    """The same with every object closed that says nothing of other fields."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if inner.get("type") == "object" and "properties" in inner:
        inner.setdefault("additionalProperties", False)
    return inner
