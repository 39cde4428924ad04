"""The sender's name for a request, so that sending it again changes nothing.

The fingerprint is a digest of what the body means, not of its bytes: the order of names and the white
space do not matter. An item of a batch and the same body sent alone have the same fingerprint, so an
item can be retried by itself.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import orjson
from aiohttp import web

from hub.domain.drafts import IdempotencyKey
from hub.domain.errors import Invalid

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_RULE = "must be 1 to 255 printable ASCII characters, given once"


def key_of(request: web.Request, kind: str, body: Any) -> IdempotencyKey | None:
    """The header's key, or None. `kind` keeps equal bodies of different routes apart."""
    given = request.headers.getall(HEADER, ())
    if not given:
        return None
    if len(given) > 1 or not is_key(given[0]):
        raise Invalid(f"{HEADER} {_RULE}", errors=[{"field": HEADER, "message": _RULE}])
    return IdempotencyKey(given[0], fingerprint(kind, body))


def refuse_key(request: web.Request, why: str) -> None:
    """Raises `Invalid` when a key was sent where it could not be kept."""
    if HEADER in request.headers:
        raise Invalid(f"{HEADER}: {why}", errors=[{"field": HEADER, "message": why}])


def is_key(text: object) -> bool:
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def fingerprint(kind: str, body: Any) -> str:
    """SHA-256 over the kind and the body in one canonical form, as hex."""
    canonical = orjson.dumps([kind, body], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()
