"""What a token says: claims into principals and back, and tokens signed with the configured secret.

Other programs' names for a claim are read too. What could not be the name of a room is refused. Whether a
token is genuine is not judged here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jwt
from ulid import ULID

from hub.domain.access import DEFAULT_TENANT, Principal, Room, require_tenant
from hub.domain.errors import RoomInvalid, TokenInvalid

MAX_ROLES = 64
MAX_TOPICS = 64
LATEST = 253402300799  # the year 9999: a later `exp` is a mistake or an attack


def sign(
    who: Principal, secret: str, *, life: float, now: float, audience: str | None, issuer: str | None
) -> str:
    """A token for `who` (HS256) that lives `life` seconds from `now`, Unix time.

    Raises `TokenInvalid` for names that the hub would not accept.
    """
    claims = claims_of(who) | {"iat": int(now), "exp": int(now + life), "jti": str(ULID())}
    claims |= {"aud": audience} if audience else {}
    claims |= {"iss": issuer} if issuer else {}
    principal_of(claims)
    return jwt.encode(claims, secret, algorithm="HS256")


def claims_of(who: Principal) -> dict[str, Any]:
    """The claims that `principal_of` reads back."""
    claims: dict[str, Any] = {"sub": who.user, "tenant": who.tenant, "roles": list(who.roles)}
    claims |= {"sid": who.session} if who.session and not who.sessionless else {}
    claims |= {"topics": list(who.topics)} if who.topics else {}
    claims |= {"jti": who.token_id} if who.token_id else {}
    return claims | {"iat": who.issued_at, "exp": who.expires_at}


def principal_of(claims: Mapping[str, Any]) -> Principal:
    """The principal of verified claims, with the aliases that other programs use. Raises `TokenInvalid`."""
    try:
        tenant = require_tenant(_text(claims, "tenant", "tenantId", "organizationId") or DEFAULT_TENANT)
        user = _text(claims, "sub", "userId", "id")
        roles = _texts(claims, "roles", "role", most=MAX_ROLES)
        session = _text(claims, "sid", "sessionId")
        named = {"user": (user,), "role": roles, "session": (session,) if session else ()}
        for kind, words in named.items():
            for word in words:
                Room.parse(tenant, f"{kind}:{word}")  # what cannot be a room cannot be a name
        return Principal(
            tenant=sys.intern(tenant),  # thousands of connections have the same
            user=user,
            roles=_shared(roles),
            session=session or str(ULID()),
            topics=_texts(claims, "topics", most=MAX_TOPICS),
            token_id=_text(claims, "jti"),
            issued_at=_time(claims, "iat"),
            expires_at=_time(claims, "exp"),
            sessionless=not session,
        )
    except RoomInvalid as fault:
        raise TokenInvalid(f"the token has a claim that cannot be used: {fault.detail}") from None


@lru_cache(maxsize=1024)
def _shared(words: tuple[str, ...]) -> tuple[str, ...]:
    """Equal words as one tuple."""
    return words


def _text(claims: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = claims.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value:
            return value
        if value not in (None, ""):
            raise TokenInvalid(f"the claim {name!r} is not text")
    return ""


def _texts(claims: Mapping[str, Any], *names: str, most: int) -> tuple[str, ...]:
    for name in names:
        value = claims.get(name)
        if value is None:
            continue
        words = [value] if isinstance(value, str) else value
        if (
            not isinstance(words, list)
            or len(words) > most
            or not all(isinstance(w, str) and w for w in words)
        ):
            raise TokenInvalid(f"the claim {name!r} is not a list of at most {most} words")
        return tuple(dict.fromkeys(words))
    return ()


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise TokenInvalid(f"the claim {name!r} is not a time")
    return float(value)
