"""Who is calling: the token or key of a request, looked for where the contract says, first match wins.

A user's token: `Authorization: Bearer`, the handshake's own field (Socket.IO `auth.token`), the cookie,
`?ticket=`, `?token=`. A backend's key: `Authorization: Bearer hub_...` or `X-API-Key`. What was found
first is judged, a second one is not tried. Nothing presented is ever logged or repeated in an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

from hub.domain.access import Admin, ApiKey, Principal, require_tenant
from hub.domain.errors import (
    Forbidden,
    RoomInvalid,
    ScopeMissing,
    TenantForbidden,
    TokenInvalid,
    TokenMissing,
    ValidationFailed,
)
from hub.web.context import HUB, Services, Tokens
from hub.web.origins import require_own_page

KEY_PREFIX = "hub_"


@dataclass(frozen=True, slots=True)
class Presented:
    """What a first request brought along, as it stood in its header lines and its query."""

    authorization: str = ""
    cookies: str = ""
    ticket: str = ""
    token: str = ""

    @property
    def bearer(self) -> str:
        """What stands behind `Bearer`, or "" (RFC 6750, section 2.1; the scheme's case does not matter)."""
        return _bearer(self.authorization)

    def cookie(self, name: str) -> str:
        """The first cookie of that name, or "". Others may be as malformed as they like."""
        for pair in self.cookies.split(";"):
            found, _, value = pair.partition("=")
            if found.strip() == name:
                return value.strip().strip('"')
        return ""


def presented(request: web.Request) -> Presented:
    """What an HTTP request presents."""
    return Presented(
        request.headers.get(hdrs.AUTHORIZATION, ""),
        request.headers.get(hdrs.COOKIE, ""),
        request.query.get("ticket", ""),
        request.query.get("token", ""),
    )


async def principal(request: web.Request) -> Principal:
    """The user who calls. Raises `Unauthorized` of some kind, `OriginForbidden`, or `Forbidden` for a key."""
    return await principal_of(
        request.app[HUB], presented(request), cookie_allowed=lambda: require_own_page(request)
    )


async def principal_of(
    hub: Services,
    given: Presented,
    *,
    handshake: str | None = None,
    cookie_allowed: Callable[[], None] = lambda: None,
) -> Principal:
    """The user behind what was presented; a ticket is used up.

    `handshake` is a token that came in a handshake of its own. `cookie_allowed` raises where a cookie does
    not count.
    """
    bearer = given.bearer
    if bearer.startswith(KEY_PREFIX):
        await hub.tokens.api_key(_ascii(bearer))
        raise Forbidden("an API key speaks for no user: send a user's token")
    if token := bearer or handshake:
        return await hub.tokens.principal(_ascii(token))
    if token := given.cookie(hub.options.token_cookie):
        cookie_allowed()
        return await hub.tokens.principal(_ascii(token))
    if given.ticket:
        return await hub.tokens.redeem(_ascii(given.ticket))
    if hub.options.token_in_query and given.token:
        return await hub.tokens.principal(_ascii(given.token))
    raise TokenMissing(
        "no token: send one as Authorization: Bearer, as Socket.IO's auth.token, as the cookie or as ?ticket="
    )


async def backend(request: web.Request, scope: str) -> ApiKey:
    """The API key that calls, when it has `scope` (`admin` has them all).

    Raises `Unauthorized`, and `ScopeMissing` also for a user's token, whatever its roles.
    """
    if secret := _key_of(request):
        key = await request.app[HUB].tokens.api_key(_ascii(secret))
        if key.scopes.isdisjoint({scope, "admin"}):
            raise ScopeMissing(f"this API key lacks the scope {scope!r}")
        return key
    try:
        await principal(request)
    except TokenMissing:
        raise TokenMissing("no API key: send one as Authorization: Bearer hub_... or X-API-Key") from None
    raise ScopeMissing(f"a user's token cannot do this: it takes an API key with the scope {scope!r}")


async def admin(request: web.Request) -> Admin:
    """The admin who calls: a user with the role ADMIN in its tenant, or a key with the scope `admin`.

    Raises `Unauthorized`, `Forbidden` for other users, and `ScopeMissing` for other keys.
    """
    if secret := _key_of(request):
        key = await request.app[HUB].tokens.api_key(_ascii(secret))
        if "admin" not in key.scopes:
            raise ScopeMissing("this API key lacks the scope 'admin'")
        return Admin(key.tenant, f"key:{key.id}")
    try:
        who = await principal(request)
    except TokenMissing:
        raise TokenMissing(
            "nobody: send an admin's token or an API key as Authorization: Bearer, or the key as X-API-Key"
        ) from None
    if not who.is_admin:
        raise Forbidden("this takes the role ADMIN, or an API key with the scope 'admin'")
    return Admin(who.tenant, f"user:{who.user}")


async def platform(request: web.Request) -> Admin:
    """The admin of the whole platform: a platform key with the scope `admin`. Raises as `admin` does."""
    who = await admin(request)
    if who.tenant is not None:
        raise Forbidden("this takes a key of the whole platform with the scope 'admin'")
    return who


def tenant_for(request: web.Request, key: ApiKey | Admin, body: Any = None) -> str:
    """The tenant a backend or an admin acts in: its own, or for a platform key the one it names.

    It is named by `tenantId` in the body or by `X-Tenant-Id`; the two may not differ. Raises
    `TenantForbidden` when a tenant's key names another one, and `ValidationFailed`.
    """
    return tenant_named(request.headers.get("X-Tenant-Id"), key, body)


def tenant_named(header: str | None, key: ApiKey | Admin, body: Any) -> str:
    """The same for a request with this `X-Tenant-Id`."""
    said = _tenant_in(body)
    if header is None and said is not None and key.tenant == said:
        return said
    named = {text for text in (header, said) if text is not None}
    if key.tenant is not None:
        if named - {key.tenant}:
            raise TenantForbidden("the caller belongs to another tenant")
        return key.tenant
    if len(named) > 1:
        raise _tenant_fault("differs from the header X-Tenant-Id")
    if not named:
        raise _tenant_fault("is required with a platform key, here or as the header X-Tenant-Id")
    try:
        return require_tenant(named.pop())
    except RoomInvalid as fault:
        raise _tenant_fault(f"is {fault.detail}") from None


def tenant_or_platform(request: web.Request, who: Admin, body: Any = None) -> str | None:
    """As `tenant_for`; None when a platform key names no tenant and so means the platform itself."""
    if who.tenant is None and "X-Tenant-Id" not in request.headers and _tenant_in(body) is None:
        return None
    return tenant_for(request, who, body)


def known_user(fields: Mapping[str, str], tokens: Tokens) -> Principal | None:
    """Whom `principal` would find behind these header lines (by lower-case name) without asking anybody; None
    when it cannot say."""
    token = _bearer(fields.get("authorization", ""))
    return tokens.known_principal(token) if token else None


def known_backend(fields: Mapping[str, str], scope: str, tokens: Tokens) -> ApiKey | None:
    """Whom `backend` would find behind these header lines (by lower-case name) without asking anybody; None
    when it cannot say."""
    secret = _secret(fields.get("authorization", ""), fields.get("x-api-key"))
    key = tokens.known(secret) if secret else None
    return None if key is None or key.scopes.isdisjoint((scope, "admin")) else key


def _key_of(request: web.Request) -> str | None:
    return _secret(request.headers.get(hdrs.AUTHORIZATION, ""), request.headers.get("X-API-Key"))


def _secret(authorization: str, api_key: str | None) -> str | None:
    bearer = _bearer(authorization)
    return bearer if bearer.startswith(KEY_PREFIX) else api_key


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _tenant_in(body: Any) -> str | None:
    value = body.get("tenantId") if isinstance(body, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or isinstance(value, str):
        return value
    raise _tenant_fault("must be text")


def _tenant_fault(message: str) -> ValidationFailed:
    return ValidationFailed(f"tenantId {message}", errors=[{"field": "tenantId", "message": message}])


def _ascii(text: str) -> str:
    """No token of ours has another character, and what lies below may not be able to encode it."""
    if not text.isascii():
        raise TokenInvalid("the token is not valid")
    return text
