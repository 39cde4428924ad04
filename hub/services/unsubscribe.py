"""Links by which a reader switches off what they get: signed, without an end, good for this purpose only.

A link names a tenant, a user, a channel and a type, and whoever holds it may switch off just that. It
works without signing in, because mail programs follow it themselves (RFC 8058). Its key is made from a
secret of the installation, so a link can never pass for a token, nor a token for a link. This file does not
know HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import jwt

from hub.domain.access import Room, require_tenant
from hub.domain.errors import LinkInvalid, RoomInvalid

MAX_TOKEN_BYTES = 4096
_PURPOSE = "unsubscribe"
_FIELDS = ("t", "u", "c", "k")


@dataclass(frozen=True, slots=True)
class Link:
    """What one link may switch off."""

    tenant: str
    user: str
    channel: str
    type: str


class UnsubscribeLinks:
    """`secret` None: there are no links. `public_url` is where the outside reaches the hub."""

    def __init__(self, secret: str | None, *, public_url: str | None) -> None:
        purpose = f"hub:{_PURPOSE}:1".encode()
        self._key = hmac.digest(secret.encode(), purpose, hashlib.sha256) if secret else None
        self._base = public_url.rstrip("/") if public_url else None

    def unsubscribe_url(self, tenant: str, user: str, channel: str, type: str) -> str | None:
        """Where `user` switches `type` off on `channel`. None: the hub has no public address, or no key."""
        if self._base is None or self._key is None:
            return None
        return f"{self._base}/unsubscribe/{self.token(Link(tenant, user, channel, type))}"

    def token(self, link: Link) -> str:
        """The signed part of a link. The same link has the same token for ever."""
        assert self._key is not None
        named = (link.tenant, link.user, link.channel, link.type)
        claims = {"aud": _PURPOSE, **dict(zip(_FIELDS, named, strict=True))}
        return jwt.encode(claims, self._key, algorithm="HS256")

    def read(self, token: str) -> Link:
        """What a token may switch off. Raises `LinkInvalid`."""
        if self._key is None or len(token) > MAX_TOKEN_BYTES:
            raise LinkInvalid("this link was not made here")
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"], audience=_PURPOSE)
            tenant, user, channel, kind = (str(claims[name]) for name in _FIELDS)
            Room.parse(require_tenant(tenant), f"user:{user}")
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, RecursionError, RoomInvalid):
            raise LinkInvalid("this link was not made here") from None
        return Link(tenant, user, channel, kind)
