"""Answers that are not refusals: JSON, pages of a list with their headers, and 304.

This file knows HTTP and nothing of what is answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from aiohttp import hdrs, web

from hub.services.wire import dumps

# Of what a client may keep for its user, and has to ask for again.
CACHED: Mapping[str, str] = {hdrs.CACHE_CONTROL: "private, no-cache", hdrs.VARY: "Authorization, Cookie"}


def answer_json(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return answer_bytes(dumps(value), status=status, headers=headers)


def answer_bytes(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON that is encoded already."""
    return web.Response(status=status, body=body, headers=headers, content_type="application/json")


def answer_unless_known(request: web.Request, body: bytes, headers: Mapping[str, str]) -> web.Response:
    """JSON with an ETag over it and `headers`; 304 when the client has it (RFC 9110, section 13.1.2)."""
    tag = tag_of(body, headers)
    headers = {**headers, hdrs.ETAG: f'"{tag}"', **CACHED}
    known = request.if_none_match or ()
    if any(etag.value in (tag, "*") for etag in known):
        return web.Response(status=304, headers=headers)
    return answer_bytes(body, headers=headers)


def tag_of(body: bytes, headers: Mapping[str, str]) -> str:
    """What an ETag holds between its quotes."""
    digest = hashlib.blake2b(body, digest_size=12)
    digest.update(repr(sorted(headers.items())).encode())
    return digest.hexdigest()
