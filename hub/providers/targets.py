"""Where requests may go whose URL somebody else has chosen: https, public addresses, no way around it.

Webhooks and push endpoints come from users, and a request to them must not reach what only this machine can
reach. Promises: the address that was judged is the one that is connected to, at every connection anew;
redirects are for the caller not to follow. An operator may name hosts and networks that are allowed
although they are not public. Knows no provider.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

MAX_URL = 2048
# IPv6 networks that carry an IPv4 address in them, and where: NAT64 (RFC 6052), 6to4 (RFC 3056).
_NAT64, _6TO4 = ip_network("64:ff9b::/96"), ip_network("2002::/16")


class TargetRefused(ValueError):
    """No request goes there. `for_good`: the URL itself is wrong, not what its name resolves to today."""

    def __init__(self, reason: str, *, for_good: bool = True) -> None:
        super().__init__(reason)
        self.for_good = for_good


class Targets:
    """`allowed`: names, addresses and networks that may be reached whatever they are, also by plain http.

    `loopback`: this machine may be, as in development.
    """

    def __init__(self, *, allowed: Iterable[str] = (), loopback: bool = False) -> None:
        self._names: set[str] = {"localhost"} if loopback else set()
        self._networks = [ip_network("127.0.0.0/8"), ip_network("::1/128")] if loopback else []
        for item in allowed:
            try:
                self._networks.append(ip_network(item, strict=False))
            except ValueError:
                self._names.add(item.lower())

    def require(self, text: str, *, hosts: Collection[str] = ()) -> URL:
        """The URL, when a request may go there as far as it alone can tell. Raises `TargetRefused`.

        With `hosts`, only to them (and to what the operator has allowed).
        """
        if len(text) > MAX_URL or not text.isascii() or not text.isprintable() or " " in text:
            raise TargetRefused("not a URL")
        try:
            url = URL(text)
            host, _ = url.host, url.port
        except ValueError:
            raise TargetRefused("not a URL") from None
        if not host or url.user is not None or url.password is not None or "\\" in text:
            raise TargetRefused("a URL has a host and no password")
        excused = self._is_allowed(host)
        if url.scheme != "https" and not (url.scheme == "http" and excused):
            raise TargetRefused("only https is allowed")
        if hosts and host.lower() not in hosts and not excused:
            raise TargetRefused(f"the host is none of {', '.join(sorted(hosts))}")
        try:
            address = ip_address(host)
        except ValueError:
            return url
        self.require_public(address)
        return url

    def require_public(self, address: IPv4Address | IPv6Address, *, name: str = "") -> None:
        """Raises `TargetRefused` when it is an address of this machine, of a private network, or none."""
        if name.lower() in self._names or self._is_allowed(str(address)):
            return
        if not is_public(address):
            raise TargetRefused("the address is not public", for_good=not name)

    def _is_allowed(self, host: str) -> bool:
        if host.lower().rstrip(".") in self._names:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is somebody else's address on the internet, also once it is unwrapped."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and address in _6TO4:
            inner = IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class PublicResolver(AbstractResolver):
    """Names become addresses that may be connected to. Raises `TargetRefused` when one of them may not."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for item in found:
            self._targets.require_public(ip_address(item["host"].partition("%")[0]), name=host)
        return found

    async def close(self) -> None:
        await self._resolver.close()
