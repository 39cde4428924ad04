"""What happens to every request: ids, logs, refusals of aiohttp's own, headers, deadlines, broken HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from aiohttp import web as aio

from hub.domain.errors import RateLimited
from hub.web.routes import ROUTES
from hub.web.routing import assemble, public
from tests.doors import KEY, LOOPBACK, OPTIONS, USER, Behind, Doors, doors

GOOD = b'{"type": "test", "to": "user:1"}'


@pytest.fixture
async def web() -> AsyncIterator[Doors]:
    async with doors() as served:
        yield served


async def raw(web: Doors, *parts: bytes, finish: bool = True) -> bytes:
    """Everything the server says to these bytes until it closes."""
    reader, writer = await asyncio.open_connection(LOOPBACK, web.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if finish:
            writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def head(*lines: str, method: str = "POST", path: str = "/notifications") -> bytes:
    common = (f"{method} {path} HTTP/1.1", "Host: localhost", "Authorization: Bearer hub_acme")
    return "\r\n".join([*common, *lines, "", ""]).encode()


# -- ids and logs ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/notifications"])
async def test_a_request_id_is_kept_or_made(web: Doors, path: str) -> None:
    kept = await web.get(path, headers={"X-Request-Id": "order-17.a_b:c"})
    assert kept.headers["X-Request-Id"] == "order-17.a_b:c"
    made = {(await web.get(path)).headers["X-Request-Id"] for _ in range(2)}
    assert {len(id) for id in made} == {26}
    assert len(made) == 2


@pytest.mark.parametrize("id", ["", " ", "a b", "x" * 129, "<script>", "\xfc", "-x"])
async def test_a_bad_request_id_is_replaced(web: Doors, id: str) -> None:
    answer = await web.get("/livez", headers={"X-Request-Id": id})
    assert len(answer.headers["X-Request-Id"]) == 26


async def test_each_request_is_one_line_without_path_query_or_headers(web: Doors) -> None:
    with structlog.testing.capture_logs() as lines:
        await web.get(
            "/users/canary-user?token=canary-token&ticket=canary-ticket",
            headers={**KEY, "Cookie": "access_token=canary-cookie"},
        )
        await web.get("/canary-path?token=canary-token")
    assert [(line["event"], line["method"], line["route"], line["status"]) for line in lines] == [
        ("http.answered", "GET", "/users/{id}", 404),
        ("http.answered", "GET", "-", 404),
    ]
    assert "canary" not in str(lines)
    assert all(line["log_level"] == "info" and line["ms"] >= 0 for line in lines)


async def test_probes_are_logged_for_who_looks_closely(web: Doors) -> None:
    with structlog.testing.capture_logs() as lines:
        await web.get("/livez")
    assert [line["log_level"] for line in lines] == ["debug"]


async def test_a_line_carries_the_request_id_and_the_next_one_its_own(web: Doors) -> None:
    seen: list[object] = []

    async def look(request: aio.Request) -> aio.Response:
        seen.append(structlog.contextvars.get_contextvars().get("request_id"))
        return aio.Response()

    async with doors(routes=[public("GET", "/look", look, "")]) as web:
        await web.get("/look", headers={"X-Request-Id": "one"})
        await web.get("/look", headers={"X-Request-Id": "two"})
    assert seen == ["one", "two"]


# -- refusals --------------------------------------------------------------------------------------------
async def test_a_path_that_is_none_is_a_problem(web: Doors) -> None:
    assert (await web.get("/nowhere")).refused == (404, "not_found")


async def test_a_wrong_method_is_a_problem_that_names_the_right_ones(web: Doors) -> None:
    answer = await web.call("DELETE", "/events", headers=KEY)
    assert answer.refused == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"
    assert "POST" in answer.json["detail"]


async def test_options_says_what_is_possible(web: Doors) -> None:
    answer = await web.call("OPTIONS", "/users/7")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
    assert (await web.call("OPTIONS", "/nowhere")).refused == (404, "not_found")


async def test_an_unforeseen_exception_is_500_logged_and_silent() -> None:
    async def break_(request: aio.Request) -> aio.Response:
        raise KeyError("canary")

    async with doors(routes=[public("GET", "/break", break_, "")]) as web:
        with structlog.testing.capture_logs() as lines:
            answer = await web.get("/break")
    assert answer.refused == (500, "internal_error")
    assert b"canary" not in answer.body
    [failed] = [line for line in lines if line["event"] == "http.failed"]
    assert (failed["log_level"], failed["exc_info"], failed["route"]) == ("error", True, "/break")


async def test_redirects_and_other_http_answers_of_handlers_work() -> None:
    async def away(request: aio.Request) -> aio.Response:
        raise aio.HTTPFound("/there")

    async def teapot(request: aio.Request) -> aio.Response:
        raise aio.HTTPUnsupportedMediaType

    routes = [public("GET", "/away", away, ""), public("GET", "/teapot", teapot, "")]
    async with doors(routes=routes) as web:
        answer = await web.get("/away", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, "/there")
        assert (await web.get("/teapot")).refused == (415, "unsupported_media_type")


async def test_a_refusal_after_the_answer_has_begun_cuts_the_connection() -> None:
    async def half(request: aio.Request) -> aio.StreamResponse:
        response = aio.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise RateLimited

    async with doors(routes=[public("GET", "/half", half, "")]) as web:
        said = await raw(web, head(method="GET", path="/half"), finish=False)
    assert said.startswith(b"HTTP/1.1 200")
    assert said.count(b"HTTP/1.1") == 1
    assert b"rate_limited" not in said
    assert b"\r\n0\r\n" not in said  # the end of a chunked answer would make half of it a whole


# -- headers ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/notifications", "/break"])
async def test_every_answer_carries_the_common_headers(path: str) -> None:
    async def break_(request: aio.Request) -> aio.Response:
        raise KeyError

    from hub.web.routes import ROUTES

    async with doors(routes=[*ROUTES, public("GET", "/break", break_, "")]) as web:
        headers = (await web.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Server"] == "hub"  # and no version of anything
    assert headers["X-Request-Id"]


async def test_streams_have_the_common_headers_too() -> None:
    async def stream(request: aio.Request) -> aio.StreamResponse:
        response = aio.StreamResponse(headers={"Cache-Control": "no-cache, no-transform"})
        await response.prepare(request)
        return response

    async with doors(routes=[public("GET", "/stream", stream, "")]) as web:
        headers = (await web.get("/stream")).headers
    assert headers["X-Request-Id"]
    assert headers["Cache-Control"] == "no-cache, no-transform"


# -- bodies ----------------------------------------------------------------------------------------------
async def test_a_body_that_does_not_arrive_in_time_is_408_and_the_connection_ends() -> None:
    async with doors(body_timeout=0.05) as web:
        said = await raw(web, head("Content-Length: 30"), b'{"type"', finish=False)
        assert said.startswith(b"HTTP/1.1 408")
        assert b'"code":"body_timeout"' in said
        assert web.hub.stored == []


async def test_a_body_in_many_pieces_is_read_whole(web: Doors) -> None:
    pieces = [GOOD[place : place + 3] for place in range(0, len(GOOD), 3)]
    chunks = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces]
    said = await raw(
        web, head("Transfer-Encoding: chunked", "Connection: close"), *chunks, b"0\r\n\r\n", finish=False
    )
    assert said.startswith(b"HTTP/1.1 202")
    assert len(web.hub.stored) == 1


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_413_announced_or_not(announced: bool) -> None:
    async with doors(max_body_bytes=2000) as web:
        body = b'{"type": "test", "to": "user:1", "data": {"x": "' + b"y" * 2000 + b'"}}'
        if announced:
            lines = [f"Content-Length: {len(body)}"]
            body = b""  # refused before any of it came
        else:
            lines = ["Transfer-Encoding: chunked"]
            body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        said = await raw(web, head(*lines, "Connection: close"), body, finish=False)
        assert said.startswith(b"HTTP/1.1 413")
        assert b'"code":"body_too_large"' in said
        assert b"at most 2000 bytes" in said
        assert web.hub.stored == []


async def test_a_compressed_body_is_unpacked_within_the_limit(web: Doors) -> None:
    headers = {**KEY, "Content-Encoding": "gzip"}
    good = await web.call("POST", "/notifications", data=gzip.compress(GOOD), headers=headers)
    assert good.status == 202
    bomb = gzip.compress(b" " * (200 << 20))
    assert len(bomb) < 1 << 20
    answer = await web.call("POST", "/notifications", data=bomb, headers=headers)
    assert answer.refused == (413, "body_too_large")
    assert len(web.hub.stored) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_packed_as_it_says_is_400(web: Doors, encoding: str) -> None:
    headers = {**KEY, "Content-Encoding": encoding}
    answer = await web.call("POST", "/notifications", data=b"not packed at all", headers=headers)
    assert answer.refused == (400, "invalid_request")


@pytest.mark.parametrize(
    "request_",
    [
        (head("Content-Length: 100"), b"{"),
        (head("Transfer-Encoding: chunked"), b"5\r\n{"),
        (head("Transfer-Encoding: chunked"), b"zz\r\n{"),
    ],
    ids=["length", "chunk", "garbage"],
)
async def test_a_client_that_breaks_off_leaves_nothing_behind(
    web: Doors, caplog: pytest.LogCaptureFixture, request_: tuple[bytes, ...]
) -> None:
    with structlog.testing.capture_logs() as lines:
        await raw(web, *request_)
        assert (await web.get("/livez")).status == 200
    assert web.hub.stored == []
    assert [line for line in lines if line["event"] == "http.failed"] == []
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["tls", "short", "version", "header", "long", "length"],
)
async def test_broken_http_is_400_and_one_quiet_line(
    web: Doors, caplog: pytest.LogCaptureFixture, bytes_: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    said = await raw(web, bytes_, finish=False)
    assert said.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    records = [record for record in caplog.records if record.name == "aiohttp.server"]
    assert len(records) <= 1
    assert [record for record in records if record.exc_info or record.levelno > logging.INFO] == []


async def test_requests_follow_each_other_on_one_connection(web: Doors) -> None:
    refused = await web.call("POST", "/notifications", data=b"x" * 5000, headers=USER)
    assert refused.refused == (403, "scope_missing")  # its body was never read
    assert (await web.get("/livez")).status == 200


def test_all_methods_of_a_path_are_found_at_the_first_look() -> None:
    """Otherwise a request is matched against every path that stands between two of its own."""
    hub: Any = Behind(OPTIONS)
    app = assemble(hub, ROUTES)
    paths = [resource.canonical for resource in app.router.resources()]
    assert len(paths) == len(set(paths))
