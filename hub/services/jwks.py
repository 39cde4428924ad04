"""Which key verifies a token: the shared secret for HS algorithms, else a key of a JWKS by its `kid`.

A JWKS may be a file or an https URL. It is kept for ten minutes; an unknown `kid` asks again, at most
twice a minute and one request at a time. When the source is away the keys that are known stay good.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
import structlog

LIFETIME = 600.0  # seconds
PAUSE = 30.0  # least seconds between two requests
TIMEOUT = 5.0
MAX_BYTES = 1 << 20

log = structlog.get_logger(__name__)


class KeySource:
    """`jwks` is a path or a URL; None: only the secret."""

    def __init__(
        self,
        *,
        secret: str,
        algorithms: list[str],
        jwks: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret = secret
        self._algorithms = algorithms
        self._jwks = jwks
        self._clock = clock
        self._set: jwt.PyJWKSet | None = None
        self._asked = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, header: Mapping[str, Any]) -> Any:
        """The key for a token's (unverified) header. Raises `jwt.InvalidTokenError`."""
        algorithm = header.get("alg")
        if algorithm not in self._algorithms:
            raise jwt.InvalidAlgorithmError("the algorithm is not allowed")
        if str(algorithm).startswith("HS"):
            return self._secret
        if self._jwks is None:
            raise jwt.InvalidTokenError("no JWKS is configured")
        kid = header.get("kid")
        key = self._pick(kid)
        age = self._clock() - self._asked
        if age > LIFETIME or (key is None and age > PAUSE):
            await self._load()
            key = self._pick(kid)
        if key is None:
            raise jwt.InvalidTokenError("unknown key")
        if key.algorithm_name != algorithm:
            raise jwt.InvalidAlgorithmError("the key is for another algorithm")
        return key.key

    def known(self, header: Mapping[str, Any]) -> Any:
        """The same without asking anybody and without saying what is wrong: None."""
        algorithm = header.get("alg")
        if algorithm not in self._algorithms:
            return None
        if str(algorithm).startswith("HS"):
            return self._secret
        key = self._pick(header.get("kid"))
        if key is None or key.algorithm_name != algorithm or self._clock() - self._asked > LIFETIME:
            return None
        return key.key

    def _pick(self, kid: object) -> jwt.PyJWK | None:
        keys = self._set.keys if self._set else []
        if kid is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.key_id == kid), None)

    async def _load(self) -> None:
        async with self._lock:
            if self._clock() - self._asked <= PAUSE:
                return  # somebody else has just asked
            self._asked = self._clock()
            try:
                text = await asyncio.to_thread(_read, self._jwks or "")
                self._set = jwt.PyJWKSet.from_json(text)
            except (OSError, ValueError, jwt.PyJWTError) as fault:
                log.warning("the JWKS cannot be read", action="jwks.load", fault=str(fault))


def _read(source: str) -> str:
    if not source.startswith("https://"):
        return Path(source.removeprefix("file://")).read_text()
    with urllib.request.urlopen(source, timeout=TIMEOUT) as answer:  # noqa: S310 (https only, see above)
        text: bytes = answer.read(MAX_BYTES)
    return text.decode()
