"""What happens to every request: an id, a log line, one shape of refusal, and the common headers.

The log line names the route, never the path or the query, because both may hold secrets. Headers are
added while an answer is prepared, so streams and WebSocket handshakes have them too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict, istr

from hub.domain.errors import ExpectationFailed, Refusal
from hub.services.ids import new_id
from hub.web import problems
from hub.web.context import HUB, REQUEST_ID
from hub.web.origins import ORIGINS, preflight
from hub.web.written import SERVER

log = structlog.get_logger("hub.web")
# The same for an application's life: making it anew costs as much as writing a line.
LOG: web.AppKey[Any] = web.AppKey("log")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CLIENT_GONE = 499  # what proxies write down for a client that left before its answer
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})  # asked every few seconds, for ever
_BEGUN = web.RequestKey("begun", web.StreamResponse)
_ID = istr("X-Request-Id")
_HEADERS = CIMultiDict(
    {
        istr("X-Content-Type-Options"): "nosniff",
        istr("X-Frame-Options"): "DENY",
        istr("Referrer-Policy"): "no-referrer",  # an address may hold a ticket
        istr("Content-Security-Policy"): "default-src 'none'; frame-ancestors 'none'",
        hdrs.CACHE_CONTROL: "no-store",
        hdrs.VARY: "Origin",
    }
)


@web.middleware
async def front(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost step of every request."""
    started = time.monotonic()
    request[REQUEST_ID] = id = request_id(request.headers.get(_ID))
    status = CLIENT_GONE
    structlog.contextvars.bind_contextvars(request_id=id)  # for this request only: it has a task of its own
    try:
        response = preflight(request) or await _carry_out(request, handler)
        status = response.status
        return response
    except web.HTTPException as redirect:
        status = redirect.status
        raise
    finally:
        route = route_of(request)
        lines = request.app[LOG]
        write = lines.debug if route in _QUIET else lines.info
        took = time.monotonic() - started
        request.app[HUB].traffic.answered(request.method, route, status, took)
        milliseconds = round(took * 1000, 1)
        write("http.answered", method=request.method, route=route, status=status, ms=milliseconds)


def request_id(given: str | None) -> str:
    """The id that a client gave its request, or a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else new_id()


async def _carry_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        refused = problems.answer(refusal)
    except web.HTTPException as http:
        if http.status < 400:
            raise
        refused = _options(request, http) or problems.answer_http(http)
    except Exception as fault:
        if isinstance(fault, ConnectionError) and _is_gone(request):
            return _begun(request) or web.Response(status=CLIENT_GONE)  # nobody is left to read it
        log.exception("http.failed", method=request.method, route=route_of(request))
        refused = problems.answer_failure()
    begun = _begun(request)
    if begun is None:
        return refused
    if request.transport is not None:  # half an answer is out: a second one would be read as its rest
        request.transport.abort()
    return begun


def _begun(request: web.Request) -> web.StreamResponse | None:
    """The answer whose head has left already."""
    response: web.StreamResponse | None = request.get(_BEGUN)
    return response


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _options(request: web.Request, http: web.HTTPException) -> web.Response | None:
    """OPTIONS on a path that exists says what is possible there (RFC 9110, section 9.3.7)."""
    if request.method != hdrs.METH_OPTIONS or not isinstance(http, web.HTTPMethodNotAllowed):
        return None
    return web.Response(
        status=204, headers={hdrs.ALLOW: ", ".join(sorted({*http.allowed_methods, "OPTIONS"}))}
    )


def route_of(request: web.Request) -> str:
    """The route as the table names it (`/users/{id}`); `-` for a path that is none."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "-"


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Puts the common headers on an answer that is about to leave; its own come first."""
    request[_BEGUN] = response
    headers = response.headers
    if isinstance(response, web.HTTPExpectationFailed):  # aiohttp's own, before anything here
        refused = problems.answer(ExpectationFailed("nothing is known here of what Expect says"))
        response.body = refused.body
        headers.update(
            {hdrs.CONTENT_TYPE: problems.CONTENT_TYPE, hdrs.CONTENT_LENGTH: str(refused.content_length)}
        )
    headers[hdrs.SERVER] = SERVER
    put_common(headers, request.get(REQUEST_ID) or new_id())
    if hdrs.ORIGIN in request.headers:
        headers.update(request.app[ORIGINS].headers(request))


def put_common(headers: CIMultiDict[str], id: str) -> None:
    """What every answer has, whoever asks."""
    headers[_ID] = id
    if vary := headers.get(hdrs.VARY):
        headers[hdrs.VARY] = f"{vary}, Origin"
    headers.merge(_HEADERS)  # those that are not there yet
