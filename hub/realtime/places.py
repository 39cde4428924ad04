"""How many connections there may be: in the process, from one address, and of those that only begin.

A connection takes a place before anything is kept for it and gives it back at its end, so the next one can
come at once. Until it is settled it counts as a handshake too. Taking and giving back are a few lookups and
never wait. Which address is whose is told; what a connection is, is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from types import TracebackType

from hub.domain.errors import ProcessFull, TooManyConnections

RETRY = 5.0  # seconds after which a place may be free again
_SUBNET = ~((1 << 64) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Most connections at a time. A handshake is a connection that has not yet been let in."""

    total: int = 100_000
    per_address: int = 10_000
    handshakes: int = 10_000
    handshakes_per_address: int = 1000


class Place:
    """One connection's place. As a context it is given back unless it was settled inside."""

    __slots__ = ("_key", "_places", "_taken", "address", "handshake")

    def __init__(self, places: Places, address: str, key: str) -> None:
        self.address = address
        self.handshake = True
        self._places = places
        self._key = key
        self._taken = True

    def settle(self) -> None:
        """It was let in: a handshake no longer."""
        if self.handshake:
            self.handshake = False
            self._places.settled(self._key)

    def leave(self) -> None:
        """Give the place back. Doing it twice does it once."""
        if self._taken:
            self._taken = False
            self.settle()
            self._places.left(self._key)

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.handshake:
            self.leave()


class Places:
    """All places of one process."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.total = 0
        self.handshakes = 0
        self._here: dict[str, int] = {}
        self._beginning: dict[str, int] = {}

    def take(self, address: str) -> Place:
        """A place for a connection from `address` ("" is nobody's: it counts only in all).

        Raises `ProcessFull` and `TooManyConnections`.
        """
        limits, key = self.limits, neighbourhood(address)
        if self.total >= limits.total:
            raise ProcessFull(f"at most {limits.total} connections per process", retry_after=RETRY)
        if self.handshakes >= limits.handshakes:
            raise ProcessFull(f"at most {limits.handshakes} handshakes at a time", retry_after=RETRY)
        if key:
            here, beginning = self._here.get(key, 0), self._beginning.get(key, 0)
            if here >= limits.per_address:
                raise TooManyConnections(
                    f"at most {limits.per_address} connections per address", retry_after=RETRY
                )
            if beginning >= limits.handshakes_per_address:
                raise TooManyConnections(
                    f"at most {limits.handshakes_per_address} handshakes per address at a time",
                    retry_after=RETRY,
                )
            self._here[key] = here + 1
            self._beginning[key] = beginning + 1
        self.total += 1
        self.handshakes += 1
        return Place(self, address, key)

    # -- what a place reports ------------------------------------------------------------------------
    def settled(self, key: str) -> None:
        self.handshakes -= 1
        _one_less(self._beginning, key)

    def left(self, key: str) -> None:
        self.total -= 1
        _one_less(self._here, key)


def _one_less(counts: dict[str, int], key: str) -> None:
    if not key:
        return
    if counts[key] > 1:
        counts[key] -= 1
    else:
        del counts[key]


def neighbourhood(address: str) -> str:
    """What counts as one address: an IPv6 host has a whole /64 to choose from (RFC 4291, section 2.5.4)."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped is not None:  # an IPv4 peer on a socket that listens for both
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) & _SUBNET))
