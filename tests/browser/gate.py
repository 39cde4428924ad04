"""A proxy between a browser and a hub that lets through what a test allows, one request a connection.

As boxes in real networks do: no upgrades, no streams. Knows HTTP as far as a request's head.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

from tests.hubs import LOOPBACK

_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Gate:
    """`async with Gate(port) as gate`: `gate.url` leads to the hub on `port`.

    `shut` names what does not come through: `websocket`, `sse`.
    """

    def __init__(self, port: int) -> None:
        self.shut: set[str] = set()
        self.passed: list[str] = []
        self._port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Gate:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                kind = _kind(head)
                if kind in self.shut:
                    writer.write(_REFUSED)
                else:
                    self.passed.append(kind)
                    await self._through(head, kind, reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _through(
        self, head: bytes, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if kind != "websocket":
            head = _CONNECTION.sub(b"", head).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        from_hub, to_hub = await asyncio.open_connection(LOOPBACK, self._port)
        self._writers.add(to_hub)
        try:
            to_hub.write(head)
            ways = [asyncio.create_task(_pipe(*way)) for way in ((reader, to_hub), (from_hub, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        finally:
            self._writers.discard(to_hub)
            to_hub.close()


def _kind(head: bytes) -> str:
    if b"upgrade: websocket" in head.lower():
        return "websocket"
    if b" /notifications/sse" in head.partition(b"\r\n")[0]:
        return "sse"
    return "polling" if b"transport=polling" in head else "http"


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
