"""Heads that are read without an HTTP server: what is beyond doubt, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from hub.realtime.engineio.head import MAX_BYTES, MAX_LINES, Reader

PLAIN = (
    "GET /socket.io/?EIO=4&transport=websocket&t=a%20b HTTP/1.1\r\n"
    "Host: hub\r\nUpgrade:websocket\r\nX-Two: one\r\nx-two:\t two \r\n\r\n"
)


def read(text: str | bytes) -> Any:
    data = text.encode("latin-1") if isinstance(text, str) else text
    return Reader(web.Application(), "/socket.io/").read(data, None)  # type: ignore[arg-type]


def test_a_plain_head_is_read_as_a_request_would_be() -> None:
    head = read(PLAIN)
    assert (head.method, head.host, head.query_string) == ("GET", "hub", "EIO=4&transport=websocket&t=a%20b")
    assert dict(head.query) == {"EIO": "4", "transport": "websocket", "t": "a b"}
    assert head.headers["upgrade"] == "websocket"
    assert head.headers.getall("X-TWO") == ["one", "two"]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("GET", "POST"),
        PLAIN.replace("/socket.io/", "/other/"),
        PLAIN.replace("?EIO=4&transport=websocket&t=a%20b", ""),
        PLAIN.replace("t=a", "t=#"),
        PLAIN.replace("HTTP/1.1", "HTTP/1.0"),
        PLAIN.replace(" HTTP/1.1", ""),
        PLAIN.replace("Host: hub\r\n", ""),
        PLAIN.replace("Host: hub", "Host: hub\r\nHost: evil"),
        PLAIN.replace("X-Two: one", "Content-Length: 5"),
        PLAIN.replace("X-Two: one", "Transfer-Encoding: chunked"),
        PLAIN.replace("X-Two: one", "Expect: 100-continue"),
        PLAIN.replace("X-Two: one", "X-Two: o\xe9"),
        PLAIN.replace("X-Two: one", "X-Two: o\x00e"),
        PLAIN.replace("X-Two: one", "X-Two : one"),
        PLAIN.replace("X-Two: one", "X-Two"),
        PLAIN.replace("X-Two: one", " folded: one"),
        PLAIN.replace("X-Two: one\r\n", "X-Two: one\n"),
        PLAIN + "more",
        PLAIN[:-2],
        PLAIN.replace("one", "x" * MAX_BYTES),
        PLAIN.replace("X-Two: one\r\n", "A: b\r\n" * (MAX_LINES + 1)),
        "",
    ],
)
def test_whatever_is_unusual_is_left_to_the_server(text: str) -> None:
    assert read(text) is None
