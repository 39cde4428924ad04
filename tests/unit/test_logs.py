"""Logging: one shape for all loggers, and no credential in any line."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from hub import logs

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"
KEY = "hub_Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4"
Lines = Callable[..., io.StringIO]
EARLY = [structlog.get_logger("hub.early") for _ in range(3)]


@pytest.fixture
def lines(own_logging: None) -> Lines:
    """`lines(as_json=True)` sends logging to a text that it returns."""

    def configure(*, level: str = "debug", as_json: bool, color: bool = False) -> io.StringIO:
        stream = io.StringIO()
        logs.configure(level=level, as_json=as_json, stream=stream, color=color)
        return stream

    return configure


def only(stream: io.StringIO) -> dict[str, Any]:
    """The one JSON line that was written."""
    (line,) = stream.getvalue().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_has_an_action_a_level_a_logger_and_a_time_in_utc(lines: Lines) -> None:
    stream = lines(as_json=True)
    structlog.get_logger("hub.x").info("the hub listens", action="hub.listening", port=8000)
    line = only(stream)
    assert line.pop("at").endswith("Z")
    assert line == {
        "action": "hub.listening",
        "message": "the hub listens",
        "level": "info",
        "logger": "hub.x",
        "port": 8000,
    }


def test_a_line_of_a_foreign_logger_has_the_same_shape(lines: Lines) -> None:
    stream = lines(as_json=True)
    logging.getLogger("aiohttp.server").warning("closed by %s", "peer")
    line = only(stream)
    assert (line["action"], line["level"], line["logger"]) == ("closed by peer", "warning", "aiohttp.server")


def test_what_is_bound_to_a_request_stands_in_its_lines(lines: Lines) -> None:
    stream = lines(as_json=True)
    with structlog.contextvars.bound_contextvars(request="r1"):
        structlog.get_logger().info("x")
    assert only(stream)["request"] == "r1"


def test_a_line_is_for_people_in_development(lines: Lines) -> None:
    stream = lines(as_json=False)
    structlog.get_logger("hub.x").warning("the hub listens", action="hub.listening", port=8000)
    (line,) = stream.getvalue().splitlines()
    assert "the hub listens" in line
    assert "action=hub.listening" in line
    assert "port=8000" in line
    assert "\x1b" not in line


def test_below_the_level_nothing_is_written(lines: Lines) -> None:
    stream = lines(level="warning", as_json=True)
    structlog.get_logger("hub.x").info("no")
    logging.getLogger("other").info("no")
    structlog.get_logger("hub.x").warning("yes")
    assert only(stream)["action"] == "yes"


@pytest.mark.parametrize("name", ["aiosqlite", "websockets.server"])
def test_chatty_libraries_are_quiet_even_at_debug(lines: Lines, name: str) -> None:
    stream = lines(level="debug", as_json=True)
    logging.getLogger(name).debug("executing")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "field",
    [
        "token",
        "access_token",
        "ticket",
        "jwt_secret",
        "password",
        "Authorization",
        "cookie",
        "api_key",
        "X-API-Key",
    ],
)
def test_a_field_with_a_secret_name_is_masked_wherever_it_stands(
    lines: Lines, field: str, as_json: bool
) -> None:
    stream = lines(as_json=as_json)
    log = structlog.get_logger()
    log.info("x", **{field: "canary"})
    log.info("x", request={"headers": {field: "canary"}, "list": [{field: ["canary"]}]})
    assert "canary" not in stream.getvalue()
    assert logs.MASK in stream.getvalue()


def test_a_name_that_only_resembles_a_secret_is_shown(lines: Lines) -> None:
    stream = lines(as_json=True)
    structlog.get_logger().info("x", token_id="j1", passed=3, tokens=2, key="k1", token=None)
    assert {"token_id": "j1", "passed": 3, "tokens": 2, "key": "k1", "token": None}.items() <= only(
        stream
    ).items()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /sse?token=canary&types=a", "GET /sse?token=[redacted]&types=a"),
        ("GET /sse?types=a&ticket=canary HTTP/1.1", "GET /sse?types=a&ticket=[redacted] HTTP/1.1"),
        ("GET /x?access_token=canary", "GET /x?access_token=[redacted]"),
        ("Authorization: Bearer canary", "Authorization: Bearer [redacted]"),
        ("redis://user:canary@host:1/0", "redis://user:[redacted]@host:1/0"),
        ("redis://:canary@host", "redis://:[redacted]@host"),
        (f"bad token {JWT} given", "bad token [redacted] given"),
        (f"key {KEY} unknown", "key [redacted] unknown"),
        (
            "https://discord.example/api/webhooks/123/canary-1_2",
            "https://discord.example/api/webhooks/123/[redacted]",
        ),
        ("GET /unsubscribe/canary HTTP/1.1", "GET /unsubscribe/[redacted] HTTP/1.1"),
        ("nothing to hide: https://host:8000/a?b=c", "nothing to hide: https://host:8000/a?b=c"),
    ],
)
def test_text_that_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert logs.redact(text) == shown


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("color", [True, False])
def test_no_secret_comes_out_of_messages_arguments_objects_or_tracebacks(
    lines: Lines, as_json: bool, color: bool
) -> None:
    class Address:
        def __str__(self) -> str:
            return "http://h/?token=canary"

        __repr__ = __str__

    stream = lines(as_json=as_json, color=color)
    log = structlog.get_logger("hub.x")
    log.info("GET /?ticket=canary", path="/?token=canary", address=Address())
    logging.getLogger("other").error("asked %s with %s", Address(), "Bearer canary")
    try:
        raise ValueError(f"{Address()} {JWT} {KEY}")
    except ValueError:
        log.exception("failed")
        logging.getLogger("other").exception("failed too")
    written = stream.getvalue()
    assert written.count("Traceback") == 2
    for secret in ("canary", JWT, KEY):
        assert secret not in written


def test_a_line_with_a_traceback_is_like_the_others_otherwise(lines: Lines) -> None:
    stream = lines(as_json=True)
    log = structlog.get_logger("hub.x")
    with structlog.contextvars.bound_contextvars(request="r1"):
        log.error("a.failed", password="canary", port=1)
        try:
            raise LookupError
        except LookupError:
            log.exception("a.failed", password="canary", port=1)
    plain, traced = map(json.loads, stream.getvalue().splitlines())
    assert "LookupError" in traced.pop("exception")
    assert plain.keys() == traced.keys()
    for name in plain.keys() - {"at"}:
        assert plain[name] == traced[name]
    assert len(plain["at"]) == len(traced["at"])


class Broken(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_a_line_that_cannot_be_written_is_nobodys_fault(lines: Lines) -> None:
    lines(as_json=True)
    for stream in (Broken(), closed := io.StringIO()):
        closed.close()
        logs.configure(level="info", as_json=True, stream=stream)
        structlog.get_logger("hub.x").info("said.nothing")


def test_what_does_not_fit_into_json_is_written_all_the_same(lines: Lines) -> None:
    stream = lines(as_json=True)
    structlog.get_logger().info("x", half="\ud800", large=1 << 80)
    assert only(stream)["large"] == 1 << 80


@pytest.mark.parametrize("number", range(3))
def test_a_logger_that_was_made_before_is_configured_too(lines: Lines, number: int) -> None:
    stream = lines(as_json=True)
    EARLY[number].info("x")
    assert only(stream)["logger"] == "hub.early"


def test_what_json_does_not_know_is_written_as_text(lines: Lines) -> None:
    stream = lines(as_json=True)
    structlog.get_logger().info("x", error=KeyError("k"), kinds={1, 2}, by={1: 2})
    line = only(stream)
    assert (line["error"], line["by"]) == ("'k'", {"1": 2})


class Writes(io.StringIO):
    """A text that knows in which pieces it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[list[str]] = []

    def write(self, text: str) -> int:
        self.pieces.append([json.loads(line)["action"] for line in text.splitlines()])
        return len(text)


async def test_a_turns_lines_are_written_together_and_a_warning_at_once_behind_them(
    own_logging: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = Writes()
    monkeypatch.setattr("sys.stderr", writes)
    logs.configure(level="info", as_json=True)
    one, other = structlog.get_logger("hub.one"), structlog.get_logger("hub.other")
    for name in ("a", "b"):
        one.info(name)
        other.info(name)
    assert writes.pieces == []
    await asyncio.sleep(0)
    assert writes.pieces == [["a", "a", "b", "b"]]
    one.info("c")
    other.warning("d")
    await asyncio.to_thread(one.info, "e")
    assert writes.pieces[1:] == [["c", "d"], ["e"]]
