"""What holds every answer of the tests against the description would notice one that is not described."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from hub.domain.errors import KeyUnknown, NotificationUnknown
from hub.services.wire import dumps
from hub.web import problems
from hub.web.answers import answer_json
from hub.web.openapi import examples
from hub.web.routes import ROUTES
from tests.described import described
from tests.doors import ID, OPTIONS, USER, doors

ONE = "/notifications/{id}"


def faults(answer: web.Response, method: str = "GET", path: str = ONE, **more: Any) -> list[str]:
    return described(ROUTES, OPTIONS).faults(method, path, answer, **more)


def test_an_answer_as_it_is_described_is_no_fault() -> None:
    assert not faults(answer_json(examples.ENVELOPE))
    assert not faults(answer_json([examples.ENVELOPE]), path="/notifications")
    assert not faults(problems.answer(NotificationUnknown()))
    assert not faults(web.Response(status=204), "DELETE")


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (answer_json(examples.ENVELOPE, status=201), "status 201"),
        (web.Response(text="hello"), "type text/plain"),
        (answer_json(examples.ENVELOPE | {"secret": 1}), "'secret' was unexpected"),
        (answer_json({name: value for name, value in examples.ENVELOPE.items() if name != "read"}), "'read'"),
        (answer_json(examples.ENVELOPE | {"createdAt": "yesterday"}), "createdAt"),
        (answer_json(examples.ENVELOPE, headers={"X-Total-Count": "1"}), "header X-Total-Count"),
        (problems.answer(KeyUnknown()), "key_unknown"),
        (
            web.Response(status=404, body=dumps({"code": "x"}), content_type=problems.CONTENT_TYPE),
            "required property",
        ),
    ],
)
def test_an_answer_that_is_not_described_is_a_fault(answer: web.Response, word: str) -> None:
    assert any(word in fault for fault in faults(answer))


def test_where_nothing_is_described_only_404_and_405_may_come() -> None:
    assert not faults(problems.answer_http(web.HTTPNotFound()), path="")
    assert not faults(problems.answer_http(web.HTTPMethodNotAllowed("PUT", ["GET"])), "PUT", "/livez")
    assert faults(answer_json({}), path="/nowhere")
    assert faults(problems.answer_http(web.HTTPNotFound()), "PUT", "/livez")


async def test_a_test_fails_over_an_answer_that_is_not_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotificationUnknown, "code", "gone")
    with pytest.raises(AssertionError, match=r"DELETE /notifications/.*gone"):
        async with doors() as running:
            await running.call("DELETE", f"/notifications/{ID[:-1]}9", headers=USER)
