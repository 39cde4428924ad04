"""Requests that aiohttp cannot read: they are refused in the one shape of all refusals.

What they hold is repeated to nobody, for it may be a token. Does not know what the request was for, as nobody
does; the line in the log is aiohttp's own.
"""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError, InvalidURLError, LineTooLong
from aiohttp.web_protocol import RequestHandler

from hub.domain.errors import HeadTooLarge, Invalid, Refusal
from hub.services.ids import new_id
from hub.web import problems
from hub.web.middleware import put_common
from hub.web.written import SERVER


class Reader(RequestHandler):
    """aiohttp's protocol for one connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # for the log
        fault = isinstance(exc, HttpProcessingError) and status < 500
        answer = problems.answer(_refusal(exc)) if fault else problems.answer_failure()
        put_common(answer.headers, new_id())
        answer.headers[hdrs.SERVER] = SERVER
        answer.force_close()
        return answer


def _refusal(fault: BaseException | None) -> Refusal:
    if isinstance(fault, LineTooLong):
        return HeadTooLarge("a line of the request's head is longer than this server reads")
    if isinstance(fault, InvalidURLError):
        return Invalid("the request's address is not one")
    said = str(getattr(fault, "message", "")).partition(":")[0]  # what was sent stands behind it
    return Invalid(f"the request is not HTTP as RFC 9112 has it: {said}")
