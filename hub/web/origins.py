"""Which web pages may call: CORS, preflights, and the guard for requests that a cookie signs.

A page's origin is allowed when it is listed, when it is the hub's own, or, in development with nothing
listed, when it is on this machine. `*` lets every page read answers but never with cookies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiohttp import hdrs, web

from hub.domain.errors import OriginForbidden
from hub.web.proxies import peer_of

_LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_ASKABLE = (
    "Authorization, Content-Type, X-API-Key, X-Tenant-Id, X-Request-Id, Idempotency-Key, "
    "If-None-Match, Last-Event-ID, Cache-Control"
)
_READABLE = (
    "X-Request-Id, X-Total-Count, X-Unread-Count, Link, ETag, Retry-After, Idempotency-Replayed, "
    "WWW-Authenticate, RateLimit, RateLimit-Policy"
)
_SAFE = (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS)


class Origins:
    """The rule, as configured."""

    def __init__(self, listed: Sequence[str], *, development: bool) -> None:
        self._listed = frozenset(origin.rstrip("/").lower() for origin in listed)
        self._local = development and not listed

    @property
    def any(self) -> bool:
        return "*" in self._listed

    def lists(self, origin: str) -> bool:
        """Whether this very origin may call with credentials. Sandboxed pages (`null`) may not."""
        origin = origin.lower()
        return origin in self._listed or (self._local and _LOCAL.fullmatch(origin) is not None)

    def allows(self, request: web.Request) -> bool:
        """Whether the page that made the request may; requests of no page (no Origin) always may."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or self.lists(origin):
            return True
        return origin.lower() == f"{peer_of(request).scheme}://{request.host}".lower()

    def headers(self, request: web.Request) -> dict[str, str]:
        """CORS headers of an answer to `request`."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return {}
        if self.lists(origin):
            return {
                hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
                hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true",
                hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: _READABLE,
            }
        if self.any:
            return {
                hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
                hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: _READABLE,
            }
        return {}


ORIGINS = web.AppKey("origins", Origins)


def preflight(request: web.Request) -> web.Response | None:
    """The answer to a browser that asks before it calls (Fetch, section 4.8), or None: it is no preflight.

    The Allow-Origin header is put on by the middleware, as on every answer.
    """
    if request.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
        return None
    if not request.app[ORIGINS].headers(request):
        return web.Response(status=204)
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _ASKABLE,
            hdrs.ACCESS_CONTROL_MAX_AGE: "600",
        },
    )


def require_own_page(request: web.Request) -> None:
    """Raises `OriginForbidden` when a foreign page uses the visitor's cookie to change something."""
    if request.method not in _SAFE and not request.app[ORIGINS].allows(request):
        raise OriginForbidden("the cookie counts only for pages listed in CORS_ORIGIN and the hub's own")
