"""Credentials into principals: JWTs, single-use tickets and API keys.

The accepted algorithms come from the configuration, never from the token. A token without `exp`, one
over 8 KiB, or one whose names could not be rooms is refused; so is one that was revoked. Nothing here is
logged, and no refusal repeats any part of what was presented.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

import jwt

from hub.domain.access import ApiKey, Principal
from hub.domain.errors import Refusal, TokenExpired, TokenInvalid
from hub.domain.events import Position
from hub.services.claims import claims_of, principal_of, sign
from hub.services.jwks import KeySource
from hub.services.verified import Verified
from hub.services.wire import dumps, loads

MAX_TOKEN_BYTES = 8192
LEEWAY = 30  # seconds
KEY_SECONDS = 1.5  # an API key is looked up again after this; a revoked one works no longer
MAX_KEYS = 1000


class Tickets(Protocol):
    ttl: int

    async def issue(self, content: bytes) -> str: ...
    async def redeem(self, ticket: str) -> bytes | None: ...


class KeyStore(Protocol):
    async def find(self, secret: str) -> ApiKey | None: ...


class TenantLog(Protocol):
    async def tenant(self, tenant: str, *, create: bool) -> Position: ...


class Tokens:
    """Checks what clients present, and makes tokens for the command line and the demo."""

    def __init__(
        self,
        keys: KeySource,
        *,
        secret: str,
        algorithms: Sequence[str],
        audience: str | None,
        issuer: str | None,
        tickets: Tickets,
        api_keys: KeyStore,
        log: TenantLog,
        require_valid: Callable[[Principal], None],
        create_tenants: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._secret = secret
        self._algorithms = list(algorithms)
        self._audience = audience
        self._issuer = issuer
        self._tickets = tickets
        self._api_keys = api_keys
        self._log = log
        self._require_valid = require_valid
        self._create = create_tenants
        self._clock = clock
        self._verified = Verified()
        self._known: set[str] = set()
        self._keys_seen: dict[str, tuple[ApiKey, float]] = {}  # with the time they were looked up

    async def principal(self, token: str) -> Principal:
        """Who a JWT speaks for. Raises `TokenInvalid`, `TokenExpired`, `TokenRevoked` or `TenantUnknown`."""
        if len(token) > MAX_TOKEN_BYTES:
            raise TokenInvalid("the token is too long")
        try:
            key = await self._keys.find(_header(token.partition(".")[0]))
            who = self._who(token, key)
        except jwt.ExpiredSignatureError:
            raise TokenExpired("the token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise TokenInvalid("the token is not valid") from None
        await self.require_tenant(who.tenant)
        self._require_valid(who)  # last, so that nothing is awaited between this and its use
        return who

    def known_principal(self, token: str) -> Principal | None:
        """Whom `principal` would find without asking anybody; None when it would have to, or would refuse.

        A token that names no session has none here: nothing can have been sent to the one it would get.
        """
        if len(token) > MAX_TOKEN_BYTES:
            return None
        try:
            key = self._keys.known(_header(token.partition(".")[0]))
            who = None if key is None else self._who(token, key)
            if who is None or who.tenant not in self._known:
                return None
            self._require_valid(who)
        except (jwt.PyJWTError, Refusal, ValueError, TypeError, OverflowError, RecursionError):
            return None
        return replace(who, session="") if who.sessionless else who

    def _who(self, token: str, key: Any) -> Principal:
        """Raises what decoding raises."""
        who = self._verified.find(token, key, now=self._clock() - LEEWAY)
        if who is None:
            who = principal_of(self._decoded(token, key))
            self._verified.keep(token, key, who)
        return who

    def _decoded(self, token: str, key: Any) -> Mapping[str, Any]:
        """The claims, when all that can be judged without asking anybody is in order."""
        return jwt.decode(
            token,
            key,
            algorithms=self._algorithms,
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY,
            options={
                "require": ["exp"],
                "verify_aud": self._audience is not None,
                "verify_sub": False,  # integers are read as strings
            },
        )

    async def require_tenant(self, tenant: str) -> None:
        """Raises `TenantUnknown`, unless it exists or may be created now."""
        if tenant not in self._known:
            await self._log.tenant(tenant, create=self._create)
            self._known.add(tenant)

    async def ticket(self, who: Principal) -> tuple[str, int]:
        """A single-use ticket for `who`, and the seconds it lives. For clients that cannot set headers."""
        return await self._tickets.issue(dumps(claims_of(who))), self._tickets.ttl

    async def redeem(self, ticket: str) -> Principal:
        """Who a ticket was made for; it is used up. Raises `TokenInvalid`, `TokenExpired`, `TokenRevoked`."""
        payload = await self._tickets.redeem(ticket)
        if payload is None:
            raise TokenInvalid("the ticket is unknown or was used")
        try:
            who = principal_of(loads(payload))
        except ValueError:
            raise TokenInvalid("the ticket is unknown or was used") from None
        if who.expires_at + LEEWAY < self._clock():
            raise TokenExpired("the token has expired")
        self._require_valid(who)
        return who

    def require_valid(self, who: Principal) -> None:
        """Raises `TokenRevoked` when the token that `who` came from was revoked meanwhile."""
        self._require_valid(who)

    async def api_key(self, secret: str) -> ApiKey:
        """Raises `TokenInvalid` for a key that is unknown, or was revoked more than `KEY_SECONDS` ago."""
        if (known := self.known(secret)) is not None:
            return known
        now = self._clock()
        key = await self._api_keys.find(secret) if len(secret) <= 256 else None
        if key is None:
            self._keys_seen.pop(secret, None)
            raise TokenInvalid("the API key is unknown or revoked")
        if len(self._keys_seen) >= MAX_KEYS:
            self._keys_seen.clear()
        self._keys_seen[secret] = key, now
        return key

    def known(self, secret: str) -> ApiKey | None:
        """What `api_key` would say without asking anybody; None when it would have to."""
        seen = self._keys_seen.get(secret)
        return seen[0] if seen is not None and abs(self._clock() - seen[1]) < KEY_SECONDS else None

    def issue(self, who: Principal, expires_in: float) -> str:
        """A token for `who` that lives `expires_in` seconds, signed with the configured secret (HS256)."""
        return sign(
            who,
            self._secret,
            life=expires_in,
            now=self._clock(),
            audience=self._audience,
            issuer=self._issuer,
        )


@lru_cache(maxsize=64)
def _header(segment: str) -> Mapping[str, Any]:
    """The header that says which key to try; decoding judges it again. Tokens of one issuer share it."""
    header = loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    if not isinstance(header, dict):
        raise TypeError("the header is no object")
    return header
