"""The short way for a request that is beyond doubt: it becomes a request of aiohttp's without its server.

Backends send thousands of small requests a second on connections that stay open, and of what one costs
aiohttp's server takes a third. Here such a request is read, given to the same handlers through the same
middlewares, and its answer written at once. Beyond doubt is: one of the routes that say so, by HTTP/1.1, in
visible ASCII, with nothing in its head that would take a server to judge, and whole within a moment.
Everything else goes on to aiohttp with the same bytes, and its connection stays there; a client never
notices which of the two has answered. One request at a time, and none while the client does not read.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from aiohttp import EMPTY_PAYLOAD, HttpVersion11, hdrs, web
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

from hub.realtime.deadlines import Deadlines
from hub.web.looks import Look, begin
from hub.web.parameters import url_of
from hub.web.routing import TABLE
from hub.web.straight import Call, Read, Straight
from hub.web.written import bytes_of

MAX_HEAD = 8000  # bytes; aiohttp counts each line for itself, and allows a little more
MAX_LINES = 64
MAX_BODY = 256 << 10  # bytes that are waited for here
MOMENT = 1.0  # seconds until the rest of a request must be there
_LONGEST = MAX_HEAD + MAX_BODY
_END = b"\r\n\r\n"
# RFC 9112, sections 3 and 5: the request line, then a name, a colon and a value on each line.
_LINE = re.compile(r"([A-Z]+) (/[!\"$-~]*) HTTP/1\.1")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*((?:[!-~]+(?:[\t ]+[!-~]+)*)?)[\t ]*")
_LENGTH = re.compile(r"[0-9]{1,6}")
# What takes a server to judge, and what may stand there only once.
_FOREIGN = frozenset({"transfer-encoding", "expect", "upgrade", "content-encoding", "trailer"})
_SINGLE = frozenset({"host", "content-length", "connection"})

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Way(NamedTuple):
    """Where a request of one method and path goes."""

    handle: Handle
    match: web.UrlMappingMatchInfo
    straight: Read | None
    look: Look | None


class Whole(NamedTuple):
    """A request that has come, and the length of its bytes. `names`: the values of its header `lines` by
    lower-case name, when no name stands there twice."""

    way: Way
    method: str
    target: str
    path: str
    lines: Sequence[str]
    names: Mapping[str, str] | None
    body: bytes
    size: int

    @property
    def message(self) -> RawRequestMessage:
        fields = [(found[1], found[2]) for line in self.lines if (found := _FIELD.fullmatch(line))]
        headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict(fields))
        url = url_of(self.target)
        return RawRequestMessage(
            self.method, self.target, HttpVersion11, headers, (), False, None, False, False, url
        )


class ShortWay:
    """For those routes of `app` that say so; `onward` makes aiohttp's protocol for a connection.

    `keepalive` in seconds: how long a connection may wait for its next request.
    """

    def __init__(
        self, app: web.Application, onward: Callable[[], asyncio.Protocol], *, keepalive: float
    ) -> None:
        self.onward = onward
        self.app = app
        self.straight = Straight(app)
        self.idle: Deadlines[Talk] = Deadlines(keepalive, Talk.abort)
        self.unfinished: Deadlines[Talk] = Deadlines(MOMENT, Talk.go_on)
        self.talks: set[Talk] = set()
        self.max_size = app._client_max_size
        self._ways = {(way.match.route.method, path): way for path, way in _ways(app)}

    def take(self, transport: asyncio.Transport, data: bytes) -> bool:
        """Whether the connection was taken; `data` is all that it has sent."""
        if self.way_of(data) is None:
            return False
        talk = Talk(self, transport)
        transport.set_protocol(talk)
        self.talks.add(talk)
        talk.data_received(data)
        return True

    def way_of(self, data: bytes) -> Way | None:
        """Where a request that begins like this goes, if it may go here at all."""
        method, _, rest = data[:MAX_HEAD].partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        return self._ways.get((method.decode("latin-1"), path.decode("latin-1")))

    def read(self, data: bytes) -> Whole | None:
        """The request at the beginning of `data`; None while it is not whole. Raises `Doubtful`."""
        end = data.find(_END, 0, MAX_HEAD)
        if end < 0:
            if len(data) >= MAX_HEAD or self.way_of(data) is None:
                raise Doubtful
            return None
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        method, target, path = _asked(first)
        way = self._ways.get((method, path))
        if way is None or len(lines) > MAX_LINES:
            raise Doubtful
        names = dict(map(_field, lines))
        if not _FOREIGN.isdisjoint(names) or "host" not in names:
            raise Doubtful
        if names.get("connection", "keep-alive").lower() != "keep-alive":
            raise Doubtful
        if len(names) < len(lines):
            count = Counter(_field(line)[0] for line in lines)
            if any(count[name] > 1 for name in _SINGLE):
                raise Doubtful
        length = _length(names["content-length"]) if "content-length" in names else 0
        size = end + 4 + length
        if length > MAX_BODY or (length and method == hdrs.METH_GET):
            raise Doubtful
        if len(data) < size:
            return None
        single = names if len(names) == len(lines) else None
        return Whole(way, method, target, path, lines, single, data[end + 4 : size], size)

    async def close(self, patience: float) -> None:
        """End the connections: the idle ones now, the others when they have their answer or are late."""
        for talk in [*self.talks]:
            talk.end()
        if busy := [asyncio.ensure_future(talk.quiet()) for talk in self.talks if talk.busy]:
            await asyncio.wait(busy, timeout=patience)
        for talk in [*self.talks]:
            if talk.busy:
                talk.abort()
        self.idle.close()
        self.unfinished.close()


class Doubtful(Exception):
    """This is for aiohttp to judge."""


class Talk(asyncio.Protocol):
    """One connection. It is also what a request knows of its server (`request.protocol`)."""

    __slots__ = (
        "_call",
        "_ending",
        "_got",
        "_held",
        "_way",
        "peername",
        "sockname",
        "ssl_context",
        "task",
        "transport",
    )

    def __init__(self, way: ShortWay, transport: asyncio.Transport) -> None:
        self._way = way
        self._got = b""
        self._held = False  # the client does not read
        self._ending = False
        self.task: asyncio.Task[None] | None = None  # what answers the request under way
        self._call: Call | None = None  # or this
        self.transport: asyncio.Transport | None = transport
        self.ssl_context = transport.get_extra_info("sslcontext")
        self.peername = transport.get_extra_info("peername")
        self.sockname = transport.get_extra_info("sockname")

    # -- what the transport calls ----------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        self._got = self._got + data if self._got else data
        if not self._held and not self.busy:
            self._next()
        elif len(self._got) > _LONGEST and self.transport is not None:
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        self._held = True

    def resume_writing(self) -> None:
        self._held = False
        if not self.busy:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self.transport = None
        if self.task is not None:
            self.task.cancel()
        if self._call is not None:
            self._call.cancel()

    # -- what ends it ----------------------------------------------------------------------------------
    def end(self) -> None:
        """No request after the one under way."""
        self._ending = True
        if not self.busy and self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self.task is not None or self._call is not None

    async def quiet(self) -> None:
        """Returns when the request under way has its answer."""
        if self.task is not None:
            await asyncio.wait([self.task])
        elif self._call is not None:
            await self._call.over()

    def go_on(self) -> None:
        """The connection is aiohttp's from here on, with everything that was not answered."""
        transport, self.transport = self.transport, None
        self._forget()
        if transport is None or transport.is_closing():
            return
        protocol = self._way.onward()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()
        protocol.data_received(self._got)

    # -- request after request -------------------------------------------------------------------------
    def _next(self) -> None:
        """Begin with the next request, as far as it is there."""
        way, transport = self._way, self.transport
        if transport is None or self._ending:
            return
        way.idle.discard(self)
        if not self._got:
            way.idle.add(self)
            return
        try:
            whole = way.read(self._got)
        except Doubtful:
            self.go_on()
            return
        if whole is None:
            way.unfinished.add(self)
            return
        way.unfinished.discard(self)
        self._got = self._got[whole.size :]
        self._call = self._straight(whole)
        if self._call is not None:
            return
        self.task = asyncio.get_running_loop().create_task(self._answer(whole))

    def _straight(self, whole: Whole) -> Call | None:
        way, names, straight = whole.way, whole.names, self._way.straight
        if names is None:
            return None
        if way.straight is not None:
            return straight.begin(way.straight, whole.method, whole.path, names, whole.body, self._told)
        if way.look is not None:
            return begin(straight, way.look, whole.target, whole.path, names, self._told)
        return None

    async def _answer(self, whole: Whole) -> None:
        """Runs in a task of its own, with what is bound to the request's context."""
        way = whole.way
        task: Any = self.task
        request = web.Request(
            whole.message,
            EMPTY_PAYLOAD,
            self,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            task,
            asyncio.get_running_loop(),
            client_max_size=self._way.max_size,
        )
        request._read_bytes = whole.body
        request._match_info = way.match
        try:
            try:
                response = await way.handle(request)
            except web.HTTPException as http:
                response = http
            for signal in self._way.app.on_response_prepare:
                await signal(request, response)
            written = bytes_of(response)
        except BaseException:
            self.task = None
            self.abort()
            raise
        self.task = None
        self._say(written)

    def _told(self, written: bytes | None) -> None:
        """What a request that went straight has come to."""
        self._call = None
        if written is None:
            self.abort()
        else:
            self._say(written)

    def _say(self, written: bytes) -> None:
        """Write an answer; then it is the next request's turn."""
        if (transport := self.transport) is None:
            return
        transport.write(written)
        if self._ending:
            transport.close()
        else:
            transport.resume_reading()
            if not self._held:
                self._next()

    def _forget(self) -> None:
        self._way.talks.discard(self)
        self._way.idle.discard(self)
        self._way.unfinished.discard(self)


def _ways(app: web.Application) -> Iterable[tuple[str, Way]]:
    """Through the application's middlewares to the handlers of its routes, as aiohttp itself would go."""
    short = {(route.method, route.path): route for route in app[TABLE] if route.short}
    for route in app.router.routes():
        path = route.resource.canonical if route.resource is not None else ""
        served = short.get((route.method, path))
        if served is None:
            continue
        match = web.UrlMappingMatchInfo({}, route)
        match.add_app(app)
        match.freeze()
        handle: Any = route.handler
        for middleware in reversed(app.middlewares):
            handle = partial(middleware, handler=handle)
        yield path, Way(handle, match, served.straight, served.look)


# Clients send the same lines again and again.
@lru_cache(maxsize=256)
def _asked(line: str) -> tuple[str, str, str]:
    """The method, the target and its path. Raises `Doubtful`."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise Doubtful
    method, target = found.groups()
    return method, target, target.partition("?")[0]


@lru_cache(maxsize=1024)
def _field(line: str) -> tuple[str, str]:
    """The lower-case name and the value. Raises `Doubtful`."""
    found = _FIELD.fullmatch(line)
    if found is None:
        raise Doubtful
    return found[1].lower(), found[2]


def _length(given: str) -> int:
    if not _LENGTH.fullmatch(given):
        raise Doubtful
    return int(given)
