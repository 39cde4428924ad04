"""What is looked at and kept of the request that opens a session."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import chain

from aiohttp import web

from hub.realtime.places import Place, Places

# What an application may want to know of the first request; the rest is not kept for hours.
KEPT_HEADERS = tuple(
    (name, "HTTP_" + name.upper().replace("-", "_"))
    for name in ("Authorization", "Cookie", "Origin", "X-Api-Key", "Sec-WebSocket-Protocol")
)


def same_host(origin: str, request: web.Request) -> bool:
    """The rule when none is given: a page may call the host it came from."""
    return origin.partition("://")[2] == request.host


def take_place(places: Places, request: web.Request) -> Place:
    """The rule when none is given: the other end of the connection is the client."""
    return places.take(request.remote or "")


class Environ(Mapping[str, str]):
    """What is kept of the request that opened a session, in WSGI's names; half as big as a dict of it."""

    __slots__ = ("_items",)

    def __init__(self, *items: str) -> None:
        """Names and values in turn."""
        self._items = items

    def __getitem__(self, name: str) -> str:
        names = self._items[::2]
        if name not in names:
            raise KeyError(name)
        return self._items[2 * names.index(name) + 1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items[::2])

    def __len__(self) -> int:
        return len(self._items) // 2


def environ_of(request: web.Request, address: str) -> Environ:
    """What an application may ask about the request later."""
    headers = request.headers
    more = [(key, headers[name]) for name, key in KEPT_HEADERS if name in headers]
    query = sys.intern(request.query_string)  # most clients send the same
    return Environ("QUERY_STRING", query, "REMOTE_ADDR", address, *chain.from_iterable(more))
