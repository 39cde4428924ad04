"""Links by which a reader switches off what they get: signed, without an end, good for this purpose only.

A link names a tenant, a user, a channel and a type, and whoever holds it may switch off just that. It
works without signing in, because mail programs follow it themselves (RFC 8058). Its key is made from a
secret of the installation, so a link can never pass for a token, nor a token for a link. What is switched off
are the person's preferences, so it can be switched on again where they are. This file does not know HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import jwt

from hub.domain.access import Principal, Room, require_tenant
from hub.domain.errors import LinkInvalid, RoomInvalid
from hub.domain.rules import Types
from hub.services.preferences import PreferencesService

MAX_TOKEN_BYTES = 4096
EVERY_TYPE = "*"  # in the link of a message that holds several types
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

    def __init__(self, secret: str | None, types: Types, *, public_url: str | None) -> None:
        self._types = types
        purpose = f"hub:{_PURPOSE}:1".encode()
        self._key = hmac.digest(secret.encode(), purpose, hashlib.sha256) if secret else None
        self._base = public_url.rstrip("/") if public_url else None

    def unsubscribe_url(self, tenant: str, user: str, channel: str, type: str) -> str | None:
        """Where `user` switches `type` off on `channel`.

        None: it cannot be switched off, or the hub has no public address, or no key.
        """
        if self._base is None or self._key is None or not self.mutable(tenant, type):
            return None
        return f"{self._base}/unsubscribe/{self.token(Link(tenant, user, channel, type))}"

    def mutable(self, tenant: str, type: str) -> bool:
        """Whether people of a tenant may switch a type off."""
        return self._types.kind(tenant, type).mutable

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


class UnsubscribeService:
    """What links do when they are followed."""

    def __init__(self, links: UnsubscribeLinks, preferences: PreferencesService) -> None:
        self._links = links
        self._preferences = preferences

    def look(self, token: str) -> tuple[Link, bool]:
        """What a link may switch off, and whether that type can be. Changes nothing. Raises `LinkInvalid`."""
        link = self._links.read(token)
        return link, self._links.mutable(link.tenant, link.type)

    async def leave(self, token: str, *, everything: bool) -> tuple[Link, bool]:
        """Switch off the link's type, or everything that may be on its channel; whether it was possible.

        Doing it twice does it once. Raises `LinkInvalid`, `TenantUnknown` or `ValidationFailed`.
        """
        link, mutable = self.look(token)
        who = Principal(tenant=link.tenant, user=link.user)
        everything = everything or link.type == EVERY_TYPE
        if everything:
            types = (await self._preferences.show(who))["types"]
            # What the person once said of single types would win over their word for the channel.
            unsaid = {name: {link.channel: None} for name, said in types.items() if said.get(link.channel)}
            await self._preferences.change(who, {link.channel: False, "types": unsaid})
        elif mutable:
            await self._preferences.change(who, {"types": {link.type: {link.channel: False}}})
        return link, everything or mutable
