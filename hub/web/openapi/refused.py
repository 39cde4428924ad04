"""What a route may refuse, as answers: one for each status, with the codes that can stand in it.

What follows from who may call a route, and from its having a body, is said once here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hub.domain.errors import (
    BodyTimeout,
    BodyTooLarge,
    Draining,
    ExpectationFailed,
    Forbidden,
    HeadTimeout,
    HeadTooLarge,
    Invalid,
    JsonInvalid,
    OriginForbidden,
    Refusal,
    ScopeMissing,
    StoreUnavailable,
    TenantForbidden,
    TenantUnknown,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
    Unavailable,
    ValidationFailed,
)
from hub.web.openapi.shapes import Schema, many, record, ref, text, whole
from hub.web.problems import CONTENT_TYPE
from hub.web.routing import Access

_TOKEN = (TokenMissing, TokenInvalid, TokenExpired, TokenRevoked, TenantUnknown)
_TENANT = (TenantForbidden, TenantUnknown, ValidationFailed)
BY_ACCESS: dict[Access, tuple[type[Refusal], ...]] = {
    "public": (),
    "user": (*_TOKEN, Forbidden, OriginForbidden),
    "notify": (*_TOKEN, Forbidden, OriginForbidden, ScopeMissing, *_TENANT),
    "admin": (*_TOKEN, Forbidden, OriginForbidden, ScopeMissing, *_TENANT),
    "platform": (*_TOKEN, Forbidden, OriginForbidden, ScopeMissing),
}
BY_BODY: tuple[type[Refusal], ...] = (JsonInvalid, Invalid, BodyTooLarge, BodyTimeout, ValidationFailed)
# Answered before a route is known.
BY_ALL: tuple[type[Refusal], ...] = (HeadTooLarge, HeadTimeout, ExpectationFailed)
BY_STORE: tuple[type[Refusal], ...] = (StoreUnavailable, Unavailable, Draining)
FAILED = "internal_error"

PROBLEM: Schema = record(
    {
        "type": text(
            "where this code is explained", format="uri-reference", examples=["/errors/room_invalid"]
        ),
        "title": text("the same for every problem with this code"),
        "status": whole(minimum=400, maximum=599),
        "detail": text("what was wrong this time"),
        "code": text("stable: what programs decide by", pattern="^[a-z_]+$"),
        "error": text("the title again, for older clients"),
    },
    {
        "errors": many(ref("Fault"), "every field that is wrong"),
        "retryAfter": whole("seconds to wait, as in the header Retry-After", minimum=1),
    },
    "why a request was not carried out (RFC 9457)",
)
FAULT: Schema = record(
    {"field": text("a path, such as `to.2`", examples=["to.2"]), "message": text(examples=["is required"])}
)


def answers(refusals: Iterable[type[Refusal]]) -> dict[str, Any]:
    """Responses by status for these refusals, and the one for a mistake of the hub's own."""
    by_status: dict[int, dict[str, str]] = {500: {FAILED: "Internal error"}}
    retryable = set()
    for kind in sorted({*refusals, *BY_ALL}, key=lambda kind: kind.code):
        by_status.setdefault(kind.status, {})[kind.code] = kind.title
        if kind.retryable:
            retryable.add(kind.status)
    return {
        str(status): _answer(status, codes, retryable=status in retryable)
        for status, codes in sorted(by_status.items())
    }


def _answer(status: int, codes: dict[str, str], *, retryable: bool) -> dict[str, Any]:
    headers = ["X-Request-Id", *(["Retry-After"] if retryable else [])]
    if status == 429:
        headers.extend(("RateLimit", "RateLimit-Policy"))
    if status == 401:
        headers.append("WWW-Authenticate")
    shape = {"properties": {"status": {"const": status}, "code": {"enum": list(codes)}}}
    return {
        "description": "; ".join(f"`{code}`: {title}" for code, title in codes.items()),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            CONTENT_TYPE: {
                "schema": {"allOf": [ref("Problem"), shape]},
                "examples": {code: {"value": _example(status, code, title)} for code, title in codes.items()},
            }
        },
    }


def _example(status: int, code: str, title: str) -> dict[str, Any]:
    problem = {"type": f"/errors/{code}", "title": title, "status": status, "detail": title}
    more: dict[str, Any] = {"code": code, "error": title}
    if code == ValidationFailed.code:
        problem["detail"] = "to is required"
        more["errors"] = [{"field": "to", "message": "is required"}]
    return problem | more
