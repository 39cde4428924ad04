"""The OpenAPI document: complete, valid, and the truth about the hub that serves it."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from hub.choices import web_options
from hub.settings import DEVELOPMENT_KEY, Settings
from hub.web.openapi import examples
from hub.web.openapi.document import OPERATIONS, document, name_of, path_of
from hub.web.routes import ROUTES
from hub.web.routing import public
from tests.doors import OPTIONS, doors

ROOT = Path(__file__).parents[2]
PLATFORM = {"X-API-Key": "hub_platform"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document(ROUTES, OPTIONS)


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def references(value: Any) -> Iterator[str]:
    """Every reference anywhere below."""
    if isinstance(value, dict):
        if isinstance(found := value.get("$ref"), str):
            yield found
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def at(described: Any, reference: str) -> Any:
    """What a local reference points at. Raises KeyError."""
    for step in reference.removeprefix("#/").split("/"):
        described = described[step]
    return described


# -- complete and valid ----------------------------------------------------------------------------------
def test_every_route_is_described_and_nothing_else(described: dict[str, Any]) -> None:
    found = {f"{method} {path}" for method, path, _ in operations(described)}
    assert found == set(OPERATIONS)
    assert len(list(operations(described))) == len(ROUTES)


def test_a_route_that_nobody_has_described_is_refused() -> None:
    async def handler(request: Any) -> Any: ...

    with pytest.raises(KeyError, match="GET /new"):
        document([*ROUTES, public("GET", "/new", handler, "Something new")], OPTIONS)


def test_the_document_is_openapi_and_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    OPENAPI_31_VALIDATOR.validate(described)
    for reference in set(references(described)):
        assert at(described, reference)
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    ids = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(ids) == len(set(ids))
    tags = {tag["name"] for tag in described["tags"]}
    assert {operation["tags"][0] for _, _, operation in operations(described)} == tags


def test_every_part_of_a_path_is_a_parameter(described: dict[str, Any]) -> None:
    for method, path, operation in operations(described):
        named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}, f"{method} {path}"


def test_whoever_may_not_call_is_told_so(described: dict[str, Any]) -> None:
    for route in ROUTES:
        path = path_of(route)
        operation = described["paths"][path][route.method.lower()]
        assert bool(operation["security"]) == (route.access != "public"), path
        if route.access != "public":
            assert {"401", "403"} <= operation["responses"].keys(), path


# -- the truth about this hub ----------------------------------------------------------------------------
def test_the_limits_are_those_of_the_settings() -> None:
    tight = replace(
        OPTIONS, max_rooms=7, max_batch=3, max_body_bytes=4321, max_data_bytes=987, max_json_depth=9
    )
    found = document(ROUTES, tight)
    schemas = found["components"]["schemas"]
    assert schemas["Audience"]["anyOf"][-1]["maxItems"] == 7
    assert (
        schemas["EventAudience"]["anyOf"][-1]["maxItems"] == schemas["Excluded"]["anyOf"][-1]["maxItems"] == 7
    )
    assert schemas["Batch"]["anyOf"][1]["maxItems"] == schemas["People"]["anyOf"][1]["maxItems"] == 3
    assert "987 bytes" in schemas["Notification"]["properties"]["data"]["description"]
    assert "4321 bytes" in found["info"]["description"]
    assert "9 levels" in found["info"]["description"]


def test_a_token_in_the_query_is_described_where_it_is_read() -> None:
    closed = document(ROUTES, replace(OPTIONS, token_in_query=False, token_cookie="session"))
    schemes = closed["components"]["securitySchemes"]
    assert "userQuery" not in schemes
    assert schemes["userCookie"]["name"] == "session"
    used = {name for _, _, operation in operations(closed) for one in operation["security"] for name in one}
    assert used == set(schemes)


async def test_production_describes_nothing_of_development() -> None:
    async with doors(development=False) as web:
        answer = await web.get("/openapi.json")
    assert answer.status == 200
    assert not [path for path in answer.json["paths"] if path.startswith("/dev/")]
    assert "Development" not in {tag["name"] for tag in answer.json["tags"]}


async def test_the_document_is_served_as_it_is_made(described: dict[str, Any]) -> None:
    async with doors() as web:
        answer = await web.get("/openapi.json")
    assert (answer.status, answer.type) == (200, "application/json")
    assert answer.json == described


# -- examples --------------------------------------------------------------------------------------------
EXAMPLES = [
    (*name.split(" "), body) for name, about in OPERATIONS.items() for body in about.examples.values()
]


@pytest.mark.parametrize(("method", "path", "body"), EXAMPLES)
async def test_an_example_fits_its_schema_and_is_accepted(
    described: dict[str, Any], method: str, path: str, body: Any
) -> None:
    schema = described["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    Draft202012Validator({"allOf": [schema], "components": described["components"]}).validate(body)
    [access] = {route.access for route in ROUTES if name_of(route) == f"{method} {path}"}
    if access != "notify":
        return  # these doors have no stand-in for everything; the hub itself is asked elsewhere
    async with doors() as web:
        answer = await web.call(method, path.replace("{id}", "guest-ch-00001"), json=body, headers=PLATFORM)
    assert answer.status < 300, answer.body


def test_every_body_has_an_example(described: dict[str, Any]) -> None:
    with_bodies = {(method, path) for method, path, one in operations(described) if "requestBody" in one}
    assert with_bodies == {(method, path) for method, path, _ in EXAMPLES}


def test_the_example_is_a_real_booking() -> None:
    bookings = runpy.run_path(str(ROOT / "examples" / "bookings.py"))
    first = next(bookings["read"]())
    assert first.data == examples.BOOKING
    told = [moment.body for moment in bookings["story"](first)]
    assert told == [examples.TO_STAFF, examples.TO_GUEST, examples.COMPLETED]


def test_shown_answers_fit_their_schemas(described: dict[str, Any]) -> None:
    seen = 0
    for _, _, operation in operations(described):
        for response in operation["responses"].values():
            found = at(described, response["$ref"]) if "$ref" in response else response
            for content in found.get("content", {}).values():
                values = [one["value"] for one in content.get("examples", {}).values()]
                values += [content["example"]] if "example" in content else []
                check = Draft202012Validator(
                    {"allOf": [content["schema"]], "components": described["components"]}
                )
                for value in values:
                    check.validate(value)
                    seen += 1
    assert seen > 50


def test_the_key_that_the_page_signs_in_with_is_there_in_development_only() -> None:
    assert web_options(Settings.model_construct()).development_key == DEVELOPMENT_KEY
    assert web_options(Settings.model_construct(env="production")).development_key == ""
