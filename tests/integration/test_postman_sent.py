"""The Postman collection against a real hub: nothing in it is refused for what it says."""

from __future__ import annotations

import json
import re
from typing import Any

from hub.settings import DEVELOPMENT_KEY
from tests.living import Start
from tests.unit.test_postman import requests

LASTING = re.compile(r"/sse|/stream$|^/ws/")
SIGNED = ("/providers/", "/unsubscribe/")  # no example can know the signature


async def test_every_request_is_understood_by_a_hub_with_another_tenant(living: Start) -> None:
    hub = await living()
    values = {"baseUrl": "", "token": hub.token("1", "ADMIN"), "key": DEVELOPMENT_KEY, "tenant": "acme"}

    def filled(text: str) -> str:
        return re.sub(r"{{(\w+)}}", lambda found: values[found[1]], text)

    refused: list[Any] = []
    # What calls tokens back comes last.
    for request in sorted(requests(), key=lambda request: request["url"]["path"] == ["admin", "revoke"]):
        url = request["url"]
        parts = {f":{part['key']}": filled(part["value"]) for part in url["variable"]}
        path = "/" + "/".join(parts.get(part, part) for part in url["path"])
        if (LASTING.search(path) and request["method"] == "GET") or path.startswith(SIGNED):
            continue
        headers = {part["key"]: filled(part["value"]) for part in request["header"] if "disabled" not in part}
        if request["auth"]["type"] == "bearer":
            headers["Authorization"] = filled("Bearer {{token}}")
        elif request["auth"]["type"] == "apikey":
            headers["X-API-Key"] = filled("{{key}}")
        query = {part["key"]: filled(part["value"]) for part in url["query"] if "disabled" not in part}
        body = filled(request["body"]["raw"]) if "body" in request else None
        async with hub.http.request(
            request["method"], path, data=body, headers=headers, params=query
        ) as answer:
            if answer.status in (400, 401, 403, 405, 422) or answer.status >= 500:
                refused.append((request["method"], path, json.loads(await answer.read())["detail"]))
    assert refused == [], refused
