"""The page that a problem's `type` leads to."""

from __future__ import annotations

from html import escape

import pytest

from hub.domain.errors import all_refusals
from hub.web.error_pages import explained
from tests.doors import doors

OTHERS = {"method_not_allowed", "internal_error", "internal", "disconnected", "taken_over"}


@pytest.mark.parametrize("code", sorted({kind.code for kind in all_refusals()} | OTHERS))
async def test_every_code_has_a_page_that_says_what_to_do(code: str) -> None:
    async with doors() as web:
        answer = await web.get(f"/errors/{code}")
    assert (answer.status, answer.type) == (200, "text/html")
    text = answer.body.decode()
    found = explained()[code]
    assert escape(found.title) in text
    assert "<dt>What to do</dt><dd>" in text
    assert "`" not in text
    assert "script" not in answer.headers["Content-Security-Policy"]


async def test_the_type_of_a_problem_leads_to_its_page() -> None:
    async with doors() as web:
        refused = await web.get("/notifications")
        shown = await web.get(refused.json["type"])
        allowed = await web.call("PUT", "/livez")
        unknown = await web.get("/errors/nothing_of_ours")
        assert (await web.get(allowed.json["type"])).status == 200
    assert shown.status == 200
    assert b"token_missing" in shown.body
    assert unknown.refused == (404, "not_found")
