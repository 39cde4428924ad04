"""The door for Server-Sent Events: `/notifications/sse`, older programs' paths, and a stream to try out.

Credentials, rooms and filters are judged before the stream begins, so a refusal is an ordinary answer;
after that the same session, cursor and replay as everywhere. What a stream looks like in bytes is not
known here.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from hub.domain.access import Principal, Room
from hub.domain.errors import Invalid, RateLimited, Refusal, Unauthorized
from hub.domain.events import MAX_CURSOR
from hub.realtime.connection import Connection
from hub.realtime.places import Place
from hub.realtime.stream import StreamLink, Streams
from hub.realtime.takeover import Taken
from hub.services import dialects
from hub.services.wire import dumps, iso_seconds
from hub.web import stream_paths
from hub.web.background import Background
from hub.web.context import HUB, REQUEST_ID, Services
from hub.web.credentials import principal
from hub.web.entrance import enter
from hub.web.origins import ORIGINS
from hub.web.stream_paths import StreamPath, brief
from hub.web.stream_paths import profile as profile_of

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "Connection": "keep-alive",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Origin, Accept-Encoding",
}
MAX_WORDS = 64
TEST_SECONDS = 60
TEST_STREAMS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    retry_ms: int = 2000
    lifetime: float = 4 * 3600.0  # seconds, give or take a tenth


class Sse:
    """All streams of one process."""

    def __init__(self, services: Services, streams: Streams, options: StreamOptions) -> None:
        self._services = services
        self._streams = streams
        self._options = options
        self._background = Background()
        self._tests = 0

    async def events(self, request: web.Request, place: Place, path: StreamPath) -> web.StreamResponse:
        """A stream of the caller's events. Raises a `Refusal` before anything is written."""
        who = await principal(request)
        sessions = self._services.sessions
        await sessions.admit(who)
        extra = sessions.topics(who, words(request, "rooms"))
        types = self._services.registry.wanted(words(request, "types"))
        cursor, profile = asked_cursor(request), profile_of(request, path)
        id = secrets.token_urlsafe(15)
        link = self._begin(request, id, place)
        if profile.dialect == dialects.MESSAGE:
            link.alive = f"data: {dialects.PING.decode()}\n\n"
        conn = link.connection(id, profile, types=types)
        self._background.spawn(self._open(conn, link, who, cursor, extra))
        return Taken(200)

    async def test(self, request: web.Request, place: Place) -> web.StreamResponse:
        """`GET /notifications/sse/test`: `connected`, then a tick each second for a minute; no token."""
        if self._tests >= TEST_STREAMS:
            raise RateLimited("too many test streams", retry_after=TEST_SECONDS)
        link = self._begin(request, "", place)
        self._background.spawn(self._tick(link))
        return Taken(200)

    def _begin(self, request: web.Request, conn_id: str, place: Place) -> StreamLink:
        headers = {
            **HEADERS,
            **request.app[ORIGINS].headers(request),
            "X-Request-Id": request[REQUEST_ID],
        }
        compress = request.query.get("compress") == "1" and "gzip" in request.headers.get(
            "Accept-Encoding", ""
        )

        def closed() -> None:
            self._services.sessions.close(conn_id)
            place.leave()

        link = self._streams.open(request, headers, on_close=closed, compress=compress)
        place.settle()
        link.send(f"retry: {self._options.retry_ms}\n\n")
        return link

    async def _open(
        self, conn: Connection, link: StreamLink, who: Principal, cursor: str | None, extra: list[Room]
    ) -> None:
        life = self._options.lifetime * random.uniform(0.9, 1.1)
        try:
            await self._services.sessions.open(conn, who, cursor=cursor, extra=extra, lifetime=life)
        except Refusal:
            link.end()  # a part went away meanwhile: the browser comes back by its cursor
        except BaseException:
            link.end()
            raise
        if not link.open:
            self._services.sessions.close(conn.id)  # it went before it was known

    async def _tick(self, link: StreamLink) -> None:
        self._tests += 1
        try:
            link.send(message("connected", {"timestamp": iso_seconds(time.time())}))
            for number in range(1, TEST_SECONDS + 1):
                await asyncio.sleep(1)
                if not link.open:
                    return
                link.send(message("tick", {"n": number, "timestamp": iso_seconds(time.time())}))
            link.end()
        finally:
            self._tests -= 1

    @property
    def open(self) -> int:
        """How many streams there are."""
        return len(self._streams)

    # -- for all of them -----------------------------------------------------------------------------
    def keep_alive(self) -> None:
        """A comment (or what its dialect has for it) to every stream, so that proxies and peers see life."""
        self._streams.comment(f"keep-alive {iso_seconds(time.time())}")

    def spread(self, most_ms: int) -> None:
        """Before the end: every stream is told to come back after a while of its own."""
        for link in self._streams:
            link.send(f"retry: {random.randint(0, most_ms)}\n\n")

    async def shutdown(self) -> None:
        await self._background.close()
        await self._streams.shutdown()


async def events(request: web.Request) -> web.StreamResponse:
    return await _stream(request, stream_paths.EVENTS)


async def notification_messages(request: web.Request) -> web.StreamResponse:
    return await _stream(request, stream_paths.NOTIFICATION_MESSAGES)


async def booking_messages(request: web.Request) -> web.StreamResponse:
    return await _stream(request, stream_paths.BOOKING_MESSAGES)


async def notification_envelopes(request: web.Request) -> web.StreamResponse:
    return await _stream(request, stream_paths.NOTIFICATION_ENVELOPES)


async def _stream(request: web.Request, path: StreamPath) -> web.StreamResponse:
    hub = request.app[HUB]
    try:
        with enter(request) as place:
            return await hub.sse.events(request, place, path)
    except Refusal as refusal:
        hub.traffic.turned_away("sse", refusal)
        if path.brief and isinstance(refusal, Unauthorized):
            return brief(refusal)
        raise


async def test(request: web.Request) -> web.StreamResponse:
    with enter(request) as place:
        return await request.app[HUB].sse.test(request, place)


def message(event: str, data: Any) -> str:
    return f"event: {event}\ndata: {dumps(data).decode()}\n\n"


def words(request: web.Request, name: str) -> list[str]:
    """A comma-separated parameter. Raises `Invalid` when there are too many."""
    found = [word.strip() for word in request.query.get(name, "").split(",") if word.strip()]
    if len(found) > MAX_WORDS or any(len(word) > 160 for word in found):
        raise Invalid(f"{name!r} holds at most {MAX_WORDS} words of at most 160 characters")
    return found


def asked_cursor(request: web.Request) -> str | None:
    """Where the client was: the header wins, because a browser repeats the first URL for ever."""
    cursor = request.headers.get("Last-Event-ID") or request.query.get("lastEventId") or None
    return cursor if cursor is None or len(cursor) <= MAX_CURSOR else "?"  # judged by the replay
