"""What is looked at and kept of the request that opens a session."""

from __future__ import annotations

from typing import Any

from aiohttp import web

# What an application may want to know of the first request; the rest is not kept for hours.
KEPT_HEADERS = tuple(
    (name, "HTTP_" + name.upper().replace("-", "_"))
    for name in ("Authorization", "Cookie", "Origin", "X-Api-Key", "Sec-WebSocket-Protocol")
)


def same_host(origin: str, request: web.Request) -> bool:
    """The rule when none is given: a page may call the host it came from."""
    return origin.partition("://")[2] == request.host


def peer_address(request: web.Request) -> str:
    return request.remote or ""


def environ_of(request: web.Request, address: str) -> dict[str, Any]:
    """What is kept of the request that opened a session, in WSGI's names."""
    environ: dict[str, Any] = {"QUERY_STRING": request.query_string, "REMOTE_ADDR": address}
    headers = request.headers
    for name, key in KEPT_HEADERS:
        if name in headers:
            environ[key] = headers[name]
    return environ
