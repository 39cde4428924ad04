"""The request for whose sake something is done, as log lines name it.

What outlives a request (its deliveries) keeps the name, so that a worker's lines can be found by the
`X-Request-Id` of the answer. Does not know what a request is.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from structlog.contextvars import bound_contextvars, get_contextvars

NAME = "request_id"


def named() -> str | None:
    """The id of the request that this task carries out; None: of none."""
    return get_contextvars().get(NAME)


def on_behalf_of(id: str | None) -> AbstractContextManager[None]:
    """Lines in here name that request."""
    return nullcontext() if id is None else bound_contextvars(**{NAME: id})
