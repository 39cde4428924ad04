"""Requests and answers byte by byte, on one connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.doors import Doors
from tests.realtime import Raw


async def answered(raw: Raw, id: str = "") -> bytes:
    """One answer, without what differs from one to the next. `id`: the one that was given stays."""
    head = await raw.read_until(b"\r\n\r\n")
    size = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
    body = b""
    while len(body) < size:
        more = await raw.read_some(size - len(body))
        assert more, "the server hung up in the middle of a body"
        body += more
    given = f"X-Request-Id: {id}".encode()
    differs = (b"X-Request-Id:", b"Date:")
    kept = [line for line in head.split(b"\r\n") if line == given or not line.startswith(differs)]
    return b"\r\n".join(sorted(kept)) + body


@asynccontextmanager
async def talking(web: Doors) -> AsyncIterator[Raw]:
    raw = await Raw.open(web.port)
    try:
        yield raw
    finally:
        raw.close()
