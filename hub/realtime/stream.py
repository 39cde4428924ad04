"""Server-Sent Events over connections taken over from aiohttp: no task and no timer per stream.

A stream writes its own response head, then its messages; it ignores what the peer sends and notices when
the peer goes. `Streams` knows all that are open, for the keep-alive comments that its owner sends and for
the end. It does not know what the messages mean.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate
from typing import Any

from aiohttp import web

from hub.realtime.connection import Connection
from hub.realtime.departures import Departures
from hub.realtime.frames import Profile, chunk
from hub.realtime.outflow import Outflow, Tick
from hub.realtime.takeover import take_over

LAST_CHUNK = b"0\r\n\r\n"
END_TIMEOUT = 5.0  # seconds a peer may take to fetch the rest of a stream that has ended
# gzip with a small window: some 20 KB of memory a stream instead of 256.
_GZIP_WINDOW = 16 + 11
_GZIP_MEMORY = 3


class StreamLink(Outflow):
    """One stream. `chunked`: frames must come as HTTP chunks. `alive`: what it gets instead of comments."""

    __slots__ = ("_close", "_timer", "alive", "chunked", "streams")

    def __init__(
        self, streams: Streams, transport: asyncio.Transport, close: Callable[[], None], *, chunked: bool
    ) -> None:
        super().__init__(streams.tick, transport)
        self.streams = streams
        self.chunked = chunked
        self.alive: str | None = None
        self._close = close
        self._timer: asyncio.TimerHandle | None = None

    def connection(
        self, id: str, profile: Profile, *, types: tuple[str, ...] | None = None, context: Any = None
    ) -> Connection:
        """A connection on this stream, told to speak as the stream needs it."""
        profile = profile._replace(transport="sse", chunked=self.chunked)
        return Connection(id, self, profile, self.tick, _end, types=types, context=context)

    def send(self, text: str) -> None:
        """Whole lines of EventSource text, for what is no frame: `retry:`, comments."""
        data = text.encode()
        self.push(chunk(data) if self.chunked else data)

    def last(self) -> bytes:
        """What ends the response."""
        return LAST_CHUNK if self.chunked else b""

    def end(self) -> None:
        """Finish the response after what was sent; a peer that does not fetch it is cut."""
        if not self.open or self._timer is not None:
            return
        self.tick.settle()
        self.flush()
        transport = self.transport
        transport.write(self.last())
        self.tick.epoch += 1
        self.streams.departures.add(self)
        transport.close()
        self._timer = asyncio.get_running_loop().call_later(END_TIMEOUT, transport.abort)

    @property
    def open(self) -> bool:
        return self._timer is None and super().open

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()
            self.streams.departures.discard(self)
        if self in self.streams.links:
            self.streams.links.discard(self)
            self._close()


class CompressedLink(StreamLink):
    """A stream in gzip. Each turn's bytes can be read as soon as they arrive."""

    __slots__ = ("_framed", "_gzip")
    direct = False

    def __init__(
        self, streams: Streams, transport: asyncio.Transport, close: Callable[[], None], *, chunked: bool
    ) -> None:
        super().__init__(streams, transport, close, chunked=False)
        self._framed = chunked
        self._gzip = zlib.compressobj(6, zlib.DEFLATED, _GZIP_WINDOW, _GZIP_MEMORY)

    def shape(self, data: bytes) -> bytes:
        packed = self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        return chunk(packed) if self._framed else packed

    def last(self) -> bytes:
        packed = self._gzip.flush(zlib.Z_FINISH)
        return chunk(packed) + LAST_CHUNK if self._framed else packed


class Streams:
    """All open streams of a process."""

    def __init__(self, tick: Tick) -> None:
        self.tick = tick
        self.links: set[StreamLink] = set()
        self.departures = Departures()  # ended, but not yet fetched to the end

    def __len__(self) -> int:
        return len(self.links)

    def __iter__(self) -> Iterator[StreamLink]:
        return iter(tuple(self.links))

    def open(
        self,
        request: web.Request,
        headers: Mapping[str, str],
        *,
        on_close: Callable[[], None],
        compress: bool = False,
    ) -> StreamLink:
        """Answer `request` with a stream; the handler then returns `Taken(200)` without awaiting anything.

        `on_close` is called once, when the connection is gone. Raises ConnectionResetError when it is gone
        already.
        """
        modern = request.version >= (1, 1)
        head = _head(headers, chunked=modern, compress=compress)
        kind = CompressedLink if compress else StreamLink
        link = kind(self, take_over(request), on_close, chunked=modern)
        self.links.add(link)
        link.adopt(head)
        return link

    def comment(self, text: str) -> None:
        """`:text` to every stream, so that proxies and peers see life."""
        for link in self:
            link.send(link.alive or f":{text}\n\n")

    async def shutdown(self) -> None:
        """End all streams; returns when they are gone, at most after `END_TIMEOUT`."""
        for link in self:
            link.end()
        await self.departures.over(END_TIMEOUT)


def _head(headers: Mapping[str, str], *, chunked: bool, compress: bool) -> bytes:
    """The response head. HTTP/1.0 knows no chunks: the end of the connection is that of the stream."""
    fields = {"Date": formatdate(usegmt=True), **headers}
    if compress:
        fields["Content-Encoding"] = "gzip"
    if chunked:
        fields["Transfer-Encoding"] = "chunked"
    else:
        fields["Connection"] = "close"
    lines = [f"{name}: {value}" for name, value in fields.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header holds a line break")
    return ("\r\n".join(["HTTP/1.1 200 OK", *lines]) + "\r\n\r\n").encode("latin-1")


def _end(conn: Connection, code: str, reason: str, reconnect: bool) -> None:
    """`Connection.close`: an EventSource comes back by itself, and is told by the answer if it must not."""
    assert isinstance(conn.link, StreamLink)
    conn.link.end()
