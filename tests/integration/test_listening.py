"""The port as `hub serve` opens it: what a first line may hold, and how the listening ends."""

from __future__ import annotations

import asyncio
import json

import pytest

from hub.services.tokens import MAX_TOKEN_BYTES
from hub.settings import DEVELOPMENT_KEY
from hub.web.listening import MAX_LINE
from tests.living import Start, Stream
from tests.realtime import Raw


async def test_the_longest_token_fits_into_an_address_and_into_a_header(living: Start) -> None:
    hub = await living()
    longest = "x" * MAX_TOKEN_BYTES
    for path, headers in (
        (f"/notifications/sse?token={longest}", {}),
        ("/notifications/sse", {"Authorization": f"Bearer {longest}"}),
    ):
        async with hub.http.get(path, headers=headers) as answer:
            assert answer.status == 401
            assert (await answer.json(content_type=None))["code"] == "token_invalid"


async def test_a_longer_line_is_refused_and_the_hub_lives(living: Start) -> None:
    hub = await living()
    async with hub.http.get(f"/livez?{'x' * 2 * MAX_LINE}") as answer:
        assert answer.status == 431
        assert (await answer.json(content_type=None))["code"] == "head_too_large"
    async with hub.http.get("/livez") as answer:
        assert answer.status == 200


UNREADABLE = {
    "a method that there is not": (b"FOO /livez HTTP/1.1\r\nHost: hub\r\n\r\n", 400, "invalid_request"),
    "a header without a value": (b"GET /s3cret HTTP/1.1\r\nHost\r\n\r\n", 400, "invalid_request"),
    "two lengths": (
        b"POST /events HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        *(400, "invalid_request"),
    ),
    "an address that is none": (b"GET http://[s3cret/ HTTP/1.1\r\nHost: hub\r\n\r\n", 400, "invalid_request"),
    "no HTTP at all": (b"\x16\x03\x01s3cret", 400, "invalid_request"),
    "a hope": (b"GET /livez HTTP/1.1\r\nHost: hub\r\nExpect: rain\r\n\r\n", 417, "expectation_failed"),
    "a hope at no place": (
        b"GET /x HTTP/1.1\r\nHost: hub\r\nExpect: rain\r\n\r\n",
        417,
        "expectation_failed",
    ),
}


@pytest.mark.parametrize("sent", UNREADABLE)
async def test_what_cannot_be_read_is_refused_in_the_shape_of_every_refusal(
    living: Start, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    hub = await living()
    line, status, code = UNREADABLE[sent]
    raw = await Raw.open(hub._port)
    await raw.write(line)
    answer = await raw.read_until(b"}")
    raw.close()
    head, _, body = answer.decode().partition("\r\n\r\n")
    shape = json.loads(body)
    assert (int(head.split()[1]), shape["status"], shape["code"]) == (status, status, code)
    assert "Content-Type: application/problem+json" in head
    assert "X-Request-Id: " in head
    assert "Server: hub\r\n" in head + "\r\n"
    assert "s3cret" not in body
    assert "Traceback" not in caplog.text


async def test_a_body_that_is_not_what_it_says_leaves_no_traceback(
    living: Start, caplog: pytest.LogCaptureFixture
) -> None:
    hub = await living()
    key = f"X-API-Key: {DEVELOPMENT_KEY}\r\nX-Tenant-Id: acme".encode()
    raw = await Raw.open(hub._port)
    await raw.write(b"POST /notifications HTTP/1.1\r\nHost: hub\r\n%b\r\n" % key)
    await raw.write(b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde")
    answer = await raw.read_all()
    raw.close()
    assert answer.startswith(b"HTTP/1.1 400 ") and b'"code":"invalid_request"' in answer
    assert "unreadable request: RequestPayloadError" in caplog.text
    assert "Traceback" not in caplog.text


async def test_stopping_ends_the_listening_and_no_open_connection(living: Start) -> None:
    hub = await living()
    stream = await Stream(hub.http).open(hub.token())
    await stream.wait("connected")
    await hub.http.get("/livez")  # leaves a connection that is kept alive
    hub._listening.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", hub._port)
    await hub.notify(to="user:42")
    await stream.wait("booking.created")
    await stream.close()
