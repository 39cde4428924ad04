"""Who is at the other end of the connection, when proxies may stand between.

`X-Forwarded-For` and `X-Forwarded-Proto` are believed only when the connection itself comes from a
trusted proxy, and read from the right: the entries on the left are whatever the client made up.
`X-Forwarded-Host` and `Forwarded` are never read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import web

Network = IPv4Network | IPv6Network
MAX_HOPS = 32  # proxies looked at in one header
_FORWARDED = re.compile(rb"\r\nX-Forwarded-For:([^\r\n]*)", re.I)


@dataclass(frozen=True, slots=True)
class Peer:
    """`address` is "" when the transport has none (a Unix socket, or a connection that is gone)."""

    address: str
    scheme: str


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses (`10.0.0.1`) and networks (`10.0.0.0/8`). Raises ValueError for anything else."""
    return tuple(ip_network(text, strict=False) for text in texts)


TRUSTED: web.AppKey[tuple[Network, ...]] = web.AppKey("trusted_proxies")


def peer_of(request: web.Request) -> Peer:
    """The client's address and the scheme it used."""
    address = _direct(request.transport)
    trusted = request.app[TRUSTED]
    if not trusted or not _is_in(address, trusted):
        return Peer(address, request.scheme)
    address = _behind(address, ",".join(request.headers.getall("X-Forwarded-For", ())), trusted)
    schemes = ",".join(request.headers.getall("X-Forwarded-Proto", ())).split(",")
    scheme = schemes[-1].strip().lower()
    return Peer(address, scheme if scheme in ("http", "https") else request.scheme)


def address_of(transport: asyncio.Transport, head: bytes, trusted: Sequence[Network]) -> str:
    """The client's address, from the head of a request as it came."""
    address = _direct(transport)
    if not trusted or not _is_in(address, trusted):
        return address
    return _behind(address, b",".join(_FORWARDED.findall(head)).decode("latin-1"), trusted)


def _behind(address: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The last address, from the right, for which a trusted proxy vouches."""
    for hop in reversed(forwarded.split(",")[-MAX_HOPS:]):
        parsed = _address(hop)
        if parsed is None:  # nothing left of garbage can be believed
            break
        address = str(parsed)
        if not _is_in(address, trusted):
            break
    return address


def hides_clients(request: web.Request) -> bool:
    """Whether the connection comes from a proxy whose word about its clients is not believed."""
    trusted = request.app[TRUSTED]
    return "X-Forwarded-For" in request.headers and not _is_in(_direct(request.transport), trusted)


def _direct(transport: asyncio.Transport | asyncio.BaseTransport | None) -> str:
    name = transport.get_extra_info("peername") if transport else None
    return str(name[0]) if isinstance(name, tuple) and name else ""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address with or without its port: `10.0.0.1`, `10.0.0.1:80`, `::1`, `[::1]:80`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _is_in(text: str, trusted: Sequence[Network]) -> bool:
    found = _address(text)
    return found is not None and any(found in network for network in trusted)
