"""Answers as they go over the wire: their heads as aiohttp writes them, and their bodies.

For connections that are answered past aiohttp's server. Does not know what is answered, nor to whom.
"""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_writer import _serialize_headers

_BODILESS = frozenset({204, 304})
SERVER = "hub"  # which parts it is made of, in which versions, helps nobody but attackers
_SERVER = SERVER.encode()


def bytes_of(response: web.StreamResponse) -> bytes:
    """A whole answer that has its headers, but for what depends on its body and the time."""
    assert isinstance(response, web.Response)
    body, headers, status = response.body or b"", response.headers, response.status
    assert isinstance(body, bytes)
    if status in _BODILESS:
        body = b""
    if body or status not in _BODILESS:
        headers[hdrs.CONTENT_LENGTH] = str(len(body))
    headers[hdrs.DATE] = rfc822_formatted_time()
    headers[hdrs.SERVER] = SERVER
    return _head(response) + b"\r\n" + body


class Form:
    """Answers that are like `response`, each with an id, a body and perhaps some header lines of its own."""

    def __init__(self, response: web.Response) -> None:
        self._head = _head(response)
        self._length = b"" if response.status in _BODILESS else b"Content-Length: %d\r\n"

    def filled(self, id: str, body: bytes, lines: bytes = b"") -> bytes:
        return b"%b%bX-Request-Id: %b\r\n%bDate: %b\r\nServer: %b\r\n\r\n%b" % (
            self._head,
            lines,
            id.encode(),
            self._length and self._length % len(body),
            rfc822_formatted_time().encode(),
            _SERVER,
            body,
        )


def _head(response: web.Response) -> bytes:
    """Without the empty line behind it."""
    return _serialize_headers(f"HTTP/1.1 {response.status} {response.reason}", response.headers)[:-2]
