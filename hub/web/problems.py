"""Every refusal as one shape: `application/problem+json` (RFC 9457).

`code` is stable, `error` repeats the title for older clients, `errors` lists single fields. What
aiohttp itself refuses (no such path, wrong method) gets the same shape. An unforeseen exception says
nothing about itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from hub.domain.errors import BodyTooLarge, Missing, RateLimited, Refusal, TokenMissing
from hub.services.wire import dumps

CONTENT_TYPE = "application/problem+json"
MAX_ERRORS = 100  # more faults than anyone corrects at once


def problem(refusal: Refusal) -> dict[str, Any]:
    """The JSON object; `retryAfter` (seconds) is there when the header would be."""
    seconds = retry_after(refusal)
    return _shape(
        refusal.status,
        refusal.code,
        refusal.title,
        refusal.detail,
        refusal.errors,
        {} if seconds is None else {"retryAfter": seconds},
    )


def retry_after(refusal: Refusal) -> int | None:
    """Whole seconds, at least 1 (RFC 9110, section 10.2.3); None where waiting does not help."""
    if refusal.retry_after is None and not refusal.retryable:
        return None
    return max(1, math.ceil(refusal.retry_after or 1))


def answer(refusal: Refusal) -> web.Response:
    """The HTTP answer that refuses."""
    response = _response(refusal.status, problem(refusal))
    seconds = retry_after(refusal)
    if seconds is not None:
        response.headers[hdrs.RETRY_AFTER] = str(seconds)
    if isinstance(refusal, RateLimited) and refusal.quota is not None:  # draft-ietf-httpapi-ratelimit-headers
        most, window = refusal.quota
        response.headers["RateLimit-Policy"] = f'"tenant";q={most};w={window:.0f}'
        response.headers["RateLimit"] = f'"tenant";r=0;t={seconds}'
    if refusal.status == 401:  # RFC 6750, section 3: no error code when nothing was presented
        known = "" if isinstance(refusal, TokenMissing) else ' error="invalid_token"'
        response.headers[hdrs.WWW_AUTHENTICATE] = f"Bearer{known}"
    if refusal.status == 408:
        response.force_close()
    return response


def answer_http(refused: web.HTTPException) -> web.Response:
    """The same for what aiohttp refuses by itself."""
    if refused.status == 404:
        return answer(Missing("no such path"))
    if refused.status == 413:
        return answer(BodyTooLarge("the body is larger than this server accepts"))
    if isinstance(refused, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(refused.allowed_methods))
        detail = f"{refused.method} is not possible here; possible: {allowed}"
        response = _response(405, _shape(405, "method_not_allowed", "Method not allowed", detail))
        response.headers[hdrs.ALLOW] = allowed
        return response
    title = HTTPStatus(refused.status).phrase.capitalize()
    return _response(refused.status, _shape(refused.status, title.lower().replace(" ", "_"), title, title))


def answer_failure() -> web.Response:
    """The answer to a request that ran into a mistake of ours."""
    title = "Internal error"
    detail = "the hub made a mistake; its log has the details under this answer's X-Request-Id"
    return _response(500, _shape(500, "internal_error", title, detail))


def _shape(
    status: int,
    code: str,
    title: str,
    detail: str,
    errors: Sequence[Mapping[str, Any]] = (),
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "type": f"/errors/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "error": title,
    }
    if errors:
        shape["errors"] = list(errors[:MAX_ERRORS])
    return shape | dict(more or {})


def _response(status: int, shape: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, body=dumps(shape), content_type=CONTENT_TYPE)
