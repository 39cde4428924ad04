"""A TCP connection from its first byte until its first request's head is there.

aiohttp waits for that as long as for the next request of a connection it knows, with a task and some 20 KB
for each. Here a connection costs a protocol object and what it has sent. It has to send the head within a
deadline and a size; then it is handed on with all its bytes, past aiohttp when somebody takes it. When too
many are silent, the oldest has to go. Those who come to stay are handed on a few in each turn of the event
loop, one of each address after the other, so that a crowd of them holds up nobody else. Does not know what a
request means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import hdrs

from hub.domain.errors import HeadTimeout, HeadTooLarge, Invalid, Refusal
from hub.realtime.deadlines import Deadlines
from hub.services.ids import new_id
from hub.web import problems
from hub.web.middleware import put_common
from hub.web.turns import Turns
from hub.web.written import bytes_of

MAX_HEAD = 64 << 10  # bytes
TURN = 0.01  # seconds of each turn of the event loop for those who come to stay
_ENDS = (b"\n\r\n", b"\n\n")  # the second is for the parser to refuse
_LOOK_BACK = 2  # an end may have begun in what came before


class Arrival(asyncio.Protocol):
    """One connection that has yet to say what it wants."""

    __slots__ = ("_arrivals", "_got", "transport")

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._got = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's is no asyncio.Transport
        self._arrivals.came(self)

    def data_received(self, data: bytes) -> None:
        if self.transport is None:  # refused: what it still says is not looked at
            return
        seen = len(self._got)
        self._got = (self._got + data).lstrip(b"\r\n")  # RFC 9112, section 2.2
        if not self._got[:1].isalpha() and self._got:
            self.refuse(Invalid("this is not HTTP"))
        elif any(self._got.find(end, max(0, seen - _LOOK_BACK)) >= 0 for end in _ENDS):
            self._arrivals.whole(self, self.transport, self._got)
        elif len(self._got) > MAX_HEAD:
            self.refuse(HeadTooLarge(f"a request's head has at most {MAX_HEAD} bytes"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._arrivals.went(self)

    def give(self) -> tuple[asyncio.Transport | None, bytes]:
        """The connection is somebody else's from here on; None: it has ended."""
        transport, self.transport = self.transport, None
        return transport, self._got

    def late(self) -> None:
        """Its time is over. Who has said nothing is told nothing."""
        if self._got:
            self.refuse(HeadTimeout())
        elif self.transport is not None:
            self.transport.abort()

    def refuse(self, refusal: Refusal) -> None:
        transport, self.transport = self.transport, None
        self._arrivals.went(self)
        if transport is not None:
            transport.write(_answer(refusal))
            transport.close()


class Arrivals:
    """All arrivals of a process; calling it makes the protocol for one, as `create_server` wants it.

    `take` may make the connection its own, given what it has sent, and says whether it did; else `onward`
    makes the protocol that takes over. `stays` says of a head whose connection comes to stay; None: it does
    not.
    `timeout` in seconds; `most` that wait at a time.
    """

    def __init__(
        self,
        onward: Callable[[], asyncio.Protocol],
        *,
        timeout: float,
        most: int,
        take: Callable[[asyncio.Transport, bytes], bool] | None = None,
        stays: Callable[[asyncio.Transport, bytes], str | None] = lambda transport, head: None,
        turn: float = TURN,
    ) -> None:
        self._onward = onward
        self._take = take
        self._stays = stays
        self._most = most
        self._waiting: Deadlines[Arrival] = Deadlines(timeout, Arrival.late)
        self._staying: Turns[Arrival] = Turns(self._hand_on, seconds=turn)

    def __call__(self) -> Arrival:
        return Arrival(self)

    def __len__(self) -> int:
        return len(self._waiting)

    def came(self, arrival: Arrival) -> None:
        if len(self._waiting) >= self._most:
            self._waiting.hurry()
        self._waiting.add(arrival)

    def went(self, arrival: Arrival) -> None:
        self._waiting.discard(arrival)
        self._staying.discard(arrival)

    def whole(self, arrival: Arrival, transport: asyncio.Transport, data: bytes) -> None:
        """The head is there, and maybe more behind it."""
        if arrival in self._staying:
            if len(data) > MAX_HEAD:
                arrival.refuse(HeadTooLarge(f"a request's head has at most {MAX_HEAD} bytes"))
            return
        self._waiting.discard(arrival)
        party = self._stays(transport, data) if len(self._staying) < self._most else None
        if party is None:
            self._hand_on(arrival)
        else:
            self._staying.add(arrival, party)

    def _hand_on(self, arrival: Arrival) -> None:
        transport, data = arrival.give()
        if transport is None or transport.is_closing():
            return
        if self._take is not None and self._take(transport, data):
            return
        protocol = self._onward()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    def close(self) -> None:
        """Nobody who has not asked for anything yet is listened to any more."""
        while self._waiting:
            self._waiting.hurry()
        self._waiting.close()
        for arrival in self._staying:
            if arrival.transport is not None:
                arrival.transport.abort()
        self._staying.close()


def _answer(refusal: Refusal) -> bytes:
    response = problems.answer(refusal)
    put_common(response.headers, new_id())
    response.headers[hdrs.CONNECTION] = "close"
    return bytes_of(response)
