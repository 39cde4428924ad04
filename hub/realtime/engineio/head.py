"""The head of a request that opens a WebSocket, read without an HTTP server.

`read` understands only what is beyond doubt: a GET of one path, whole, in visible ASCII, without a body or
anything else that would take an HTTP server to judge. None sends the caller there with the same bytes, so a
client never notices which of the two has answered. `Head` offers what is asked of an aiohttp request until
its connection is taken over, under the same names.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import CIMultiDict, MultiDict

MAX_BYTES = 8000  # aiohttp counts each line for itself, and allows a little more
MAX_LINES = 64
# RFC 9112, sections 3 and 5: the request line, then a name, a colon and a value on each line.
_LINE = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n"
_FOREIGN = ("Content-Length", "Transfer-Encoding", "Expect")


class Head:
    """A GET by HTTP/1.1 that has no body."""

    __slots__ = ("app", "headers", "query", "query_string", "transport")
    method: Final = "GET"

    def __init__(
        self, app: web.Application, transport: asyncio.Transport, query: str, headers: CIMultiDict[str]
    ) -> None:
        self.app = app
        self.transport = transport
        self.query_string = query
        self.query = MultiDict(parse_qsl(query, keep_blank_values=True))
        self.headers = headers

    @property
    def host(self) -> str:
        return self.headers["Host"]

    @property
    def scheme(self) -> str:
        return "http" if self.transport.get_extra_info("sslcontext") is None else "https"

    @property
    def remote(self) -> str:
        name = self.transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) and name else ""


class Reader:
    """Reads the heads of requests for `path`, which `app` serves."""

    def __init__(self, app: web.Application, path: str) -> None:
        self._app = app
        self._prefix = f"GET {path}?".encode()
        self._head = re.compile(
            rf"GET {re.escape(path)}\?([!\"$-~]+) HTTP/1\.1\r\n((?:{_LINE})+)\r\n".encode(),
        )

    def read(self, data: bytes, transport: asyncio.Transport) -> Head | None:
        """`data` is everything that has come so far."""
        if not data.startswith(self._prefix) or len(data) > MAX_BYTES:
            return None
        found = self._head.fullmatch(data)
        if found is None:
            return None
        lines = found[2].decode().split("\r\n")[:-1]
        if len(lines) > MAX_LINES:
            return None
        headers: CIMultiDict[str] = CIMultiDict()
        for line in lines:
            name, _, value = line.partition(":")
            headers.add(name, value.strip(" \t"))
        if any(name in headers for name in _FOREIGN) or len(headers.getall("Host", ())) != 1:
            return None
        return Head(self._app, transport, found[1].decode(), headers)
