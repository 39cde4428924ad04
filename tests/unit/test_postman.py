"""The Postman collection that stands in the documentation: every route, with variables that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.web.openapi.document import name_of
from hub.web.routes import ROUTES

COLLECTION = json.loads((Path(__file__).parents[2] / "docs" / "postman_collection.json").read_text())


def requests() -> Iterator[dict[str, Any]]:
    for folder in COLLECTION["item"]:
        for item in folder["item"]:
            yield item["request"]


def test_every_route_is_a_request() -> None:
    found = {
        f"{request['method']} /{'/'.join(request['url']['path'])}".replace(":", "{") for request in requests()
    }
    assert found == {name_of(route).replace("}", "") for route in ROUTES}


def test_every_variable_and_every_part_of_a_path_can_be_filled_in() -> None:
    known = {variable["key"] for variable in COLLECTION["variable"]}
    used = set(re.findall(r"{{(\w+)}}", json.dumps(COLLECTION["item"])))
    assert used == known
    for request in requests():
        parts = {part[1:] for part in request["url"]["path"] if part.startswith(":")}
        assert parts == {variable["key"] for variable in request["url"]["variable"]}
        if "body" in request:
            assert json.loads(request["body"]["raw"])
