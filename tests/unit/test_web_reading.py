"""The pure parts of the doors: JSON within limits, fingerprints, problems, the table of routes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.domain.errors import (
    JsonInvalid,
    RateLimited,
    Refusal,
    Unauthorized,
    ValidationFailed,
    all_refusals,
)
from hub.web import problems
from hub.web.idempotency import fingerprint
from hub.web.reading import measure, parse
from hub.web.routes import ROUTES

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_json_can_say_is_read_as_it_was_written(value: Any, spaced: bool) -> None:
    text = json.dumps(value, indent=2 if spaced else None, ensure_ascii=spaced).encode(
        "utf-8", "surrogatepass"
    )
    assert parse(text, max_depth=100) == value


class Twice(dict[str, Any]):
    """An object that is written with one of its names twice."""

    def items(self) -> Any:
        return [*super().items(), next(iter(super().items()))]


@given(VALUES, st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=3))
def test_a_name_twice_is_refused_wherever_it_stands(around: Any, twice: dict[str, Any]) -> None:
    text = json.dumps([around, {"a:": Twice(twice)}]).encode()
    with pytest.raises(JsonInvalid, match="twice"):
        parse(text, max_depth=100)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a" :2}',
        '{"a" :1,"a":2}',
        '{"a":1,"a"\n:2}',
        '{"a":1,"a"\r:2}',
        '{"a":1,"a"\t:2}',
        '{"a":"\\":","a":1}',
        '{"a":1,"\\u0061":2}',
    ],
)
def test_a_name_twice_is_refused_however_its_colon_is_written(text: str) -> None:
    with pytest.raises(JsonInvalid, match="twice"):
        parse(text.encode(), max_depth=100)


@given(VALUES)
def test_depth_is_counted_in_levels(value: Any) -> None:
    def levels(item: Any) -> int:
        if isinstance(item, dict):
            return 1 + max(map(levels, item.values()), default=0)
        return 1 + max(map(levels, item), default=0) if isinstance(item, list) else 0

    assert measure(value)[0] == levels(value)


BRACKETS = st.recursive(
    st.text("[]{}", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("[]{}", max_size=2), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(BRACKETS, st.integers(0, 5))
@example([[{}]], 2)
@example(["]", ["]", ["]", "["], "["], "["], 2)
def test_the_depth_allowed_is_exact_whatever_strings_hold(value: Any, most: int) -> None:
    text = json.dumps(value, separators=(",", ":")).encode()
    if measure(value)[0] <= most:
        assert parse(text, max_depth=most) == value
    else:
        with pytest.raises(JsonInvalid, match="nested deeper"):
            parse(text, max_depth=most)


@pytest.mark.parametrize("text", [b'":"', b'"\\":\\\\"', b'{"a\\"b:": ":"}', '{"ü:": "\u2028:"}'.encode()])
def test_colons_in_strings_are_not_names(text: bytes) -> None:
    assert parse(text, max_depth=4) == json.loads(text)


def test_a_fingerprint_is_of_the_meaning() -> None:
    one = fingerprint("n", {"a": 1, "b": {"c": [1, 2], "d": None}})
    assert one == fingerprint("n", {"b": {"d": None, "c": [1, 2]}, "a": 1})
    others = [
        fingerprint("e", {"a": 1, "b": {"c": [1, 2], "d": None}}),
        fingerprint("n", {"a": 1, "b": {"c": [2, 1], "d": None}}),
        fingerprint("n", {"a": 1, "b": {"c": [1, 2]}}),
        fingerprint("n", {"a": "1", "b": {"c": [1, 2], "d": None}}),
    ]
    assert len({one, *others}) == 5
    assert len(one) == 64


@pytest.mark.parametrize("kind", all_refusals(), ids=lambda kind: kind.code)
def test_every_refusal_is_one_shape(kind: type[Refusal]) -> None:
    refusal = kind("what happened")
    response = problems.answer(refusal)
    shape = problems.problem(refusal)
    assert response.status == shape["status"] == kind.status
    assert response.content_type == "application/problem+json"
    assert shape["type"] == f"/errors/{kind.code}"
    assert shape["title"] == shape["error"] == kind.title
    assert shape["detail"] == "what happened"
    assert "errors" not in shape
    assert (response.headers.get("Retry-After") is not None) == (kind.status in (429, 503))
    assert ("WWW-Authenticate" in response.headers) == issubclass(kind, Unauthorized)


@pytest.mark.parametrize(("seconds", "whole"), [(None, 1), (0, 1), (0.01, 1), (1, 1), (1.2, 2), (60, 60)])
def test_retry_after_is_whole_seconds_and_at_least_one(seconds: float | None, whole: int) -> None:
    assert problems.retry_after(RateLimited(retry_after=seconds)) == whole


def test_faults_say_by_themselves_what_is_wrong() -> None:
    faults = [
        {"field": "expiresAt", "message": "lies in the past"},
        {"field": "to", "message": "is required"},
    ]
    assert ValidationFailed(errors=faults).detail == "expiresAt lies in the past; to is required"


def test_the_table_names_each_route_once_and_says_what_it_does() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert all(route.summary for route in ROUTES)
    assert {route.path for route in ROUTES if route.development} == {
        route.path for route in ROUTES if route.path.startswith("/dev/")
    }


def test_a_general_path_does_not_hide_a_special_one() -> None:
    for place, route in enumerate(ROUTES):
        for later in ROUTES[place + 1 :]:
            general, special = route.path.split("/"), later.path.split("/")
            hides = len(general) == len(special) and all(
                part == other or part.startswith("{") for part, other in zip(general, special, strict=True)
            )
            assert not hides or route.method != later.method, f"{route.path} hides {later.path}"
