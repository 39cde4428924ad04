"""A frame: one event in the bytes of every transport, each encoded once however many receive it.

The body is JSON that somebody else has encoded; it is put between other bytes and never looked into.
`Profile` says what a connection speaks. This file knows the formats (Socket.IO v5 and Engine.IO v4
packets, RFC 6455 text frames, EventSource messages, HTTP chunks) and no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple, Self

import orjson

from hub.realtime.wsframes import Op, frame

GENERIC = "notification:new"
NOTIFICATIONS = "notifications"
_TEXT = int(Op.TEXT)  # a member of an enumeration counts slowly


class Profile(NamedTuple):
    """What a connection speaks. Equal profiles get the same bytes object.

    `events`: both names of a notification, or `generic` only, or `typed` only. `recovery`: the cursor is the
    last argument. `chunked`: an SSE message is one HTTP chunk. `dialect`: other than `named`, an SSE message
    has no `event:` and its data is what the frame's `render` gives for the dialect. `only`: a stream shows
    only these events, `NOTIFICATIONS` or those whose type a pattern selects.
    """

    transport: str  # "socketio" | "sse" | "plain"
    namespace: str = "/"
    events: str = "both"
    recovery: bool = False
    chunked: bool = True
    dialect: str = "named"
    only: str = ""


def text_frame(payload: bytes) -> bytes:
    """One whole, unmasked WebSocket text message (RFC 6455, section 5.2)."""
    return frame(_TEXT, payload)


def chunk(data: bytes) -> bytes:
    """One HTTP/1.1 chunk (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Frame:
    """One event. Immutable to its users; keeps the bytes it has been asked for."""

    __slots__ = (
        "_data",
        "_first",
        "_others",
        "_packets",
        "_render",
        "_wanted",
        "args",
        "body",
        "cursor",
        "inbox",
        "type",
        "wire",
    )

    def __init__(
        self,
        type: str,
        wire: str,
        inbox: bool,
        body: bytes,
        cursor: str | None,
        render: Callable[[str], bytes | None] | None = None,
    ) -> None:
        """`body` is JSON without line breaks. `render(dialect)` gives the data of an SSE message in another
        dialect: None when the dialect does not know such an event, empty when only its place is told."""
        self.type: str | None = type  # None: a signal, which no filter holds back
        self.wire = wire
        self.inbox = inbox
        self.body = body
        self.cursor = cursor
        self.args: tuple[bytes, ...] = (body,)
        self._render = render
        # What has been asked for: mostly the bytes of one profile.
        self._first: Profile | None = None
        self._data = b""
        self._others: dict[Profile, bytes] | None = None
        self._packets: dict[Profile, tuple[str, ...]] | None = None
        self._wanted: dict[tuple[str, ...], bool] | None = None

    @classmethod
    def signal(
        cls,
        name: str,
        args: Sequence[bytes] = (),
        *,
        cursor: str | None = None,
        render: Callable[[str], bytes | None] | None = None,
    ) -> Self:
        """An event with any arguments, each already JSON, that is not in the log."""
        body = args[-1] if args else b"null"
        frame = cls(name, name, False, body, cursor, render)
        frame.type = None
        frame.args = tuple(args)
        return frame

    def wanted(self, types: tuple[str, ...]) -> bool:
        """Whether one of the globs selects this event's type. Signals are always wanted."""
        if self.type is None:
            return True
        wanted = self._wanted = self._wanted or {}
        known = wanted.get(types)
        if known is None:
            known = wanted[types] = any(fnmatchcase(self.type, glob) for glob in types)
        return known

    def passes(self, only: str) -> bool:
        """Whether a profile with that `only` shows this event. Signals pass."""
        if not only or self.type is None:
            return True
        return self.inbox if only == NOTIFICATIONS else fnmatchcase(self.type, only)

    def bytes_for(self, profile: Profile) -> bytes:
        """What is written to a stream or a WebSocket; empty when this profile does not show the event."""
        first = self._first
        if profile is first or profile == first:
            return self._data
        if first is None:
            self._first, self._data = profile, self._encode(profile)
            return self._data
        others = self._others = self._others or {}
        data = others.get(profile)
        if data is None:
            data = others[profile] = self._encode(profile)
        return data

    def packets_for(self, profile: Profile) -> tuple[str, ...]:
        """The Engine.IO packets of a Socket.IO profile, for a polling client's outbox."""
        known = self._packets = self._packets or {}
        packets = known.get(profile)
        if packets is None:
            packets = known[profile] = tuple(message.decode() for message in self._messages(profile))
        return packets

    def _encode(self, profile: Profile) -> bytes:
        if profile.transport == "socketio":
            messages = self._messages(profile)
            return text_frame(messages[0]) if len(messages) == 1 else b"".join(map(text_frame, messages))
        if profile.transport == "plain":
            return text_frame(self._plain())
        message = self._sse(profile.dialect) if self.passes(profile.only) else b""
        return chunk(message) if profile.chunked and message else message

    # -- Socket.IO -----------------------------------------------------------------------------------
    def _messages(self, profile: Profile) -> list[bytes]:
        """Engine.IO `4` (message), Socket.IO `2` (EVENT), the namespace, the JSON array."""
        args = b",".join((b"", *self.args))
        if profile.recovery:
            args = b",".join((args, *self._place()))
        args += b"]"
        return [head + args for head in _heads(profile.namespace, profile.events, self.inbox, self.wire)]

    def _place(self) -> list[bytes]:
        """What a connection with state recovery gets as last argument.

        Its client takes any last argument that is text for a cursor, and the event's name where there is
        none: what is not in the log never ends in text.
        """
        if self.cursor is not None:
            return [orjson.dumps(self.cursor)]
        return [b"null"] if not self.args or self.args[-1].startswith(b'"') else []

    # -- the others ----------------------------------------------------------------------------------
    def _plain(self) -> bytes:
        place = b"" if self.cursor is None else b',"cursor":' + orjson.dumps(self.cursor)
        return b'{"event":%b,"data":%b%b}' % (_name(self.wire), self.body, place)

    def _sse(self, dialect: str) -> bytes:
        """One EventSource message (HTML, section 9.2.6)."""
        place = b"" if self.cursor is None else b"id: %b\n" % self.cursor.encode()
        if dialect == "named":
            return b"%bevent: %b\ndata: %b\n\n" % (place, self.wire.encode(), self.body)
        data = self._render(dialect) if self._render is not None else None
        if data is None:
            return b""
        return b"%bdata: %b\n\n" % (place, data) if data else b"%b\n" % place


@lru_cache(maxsize=1024)  # few names are used over and over; custom types may be many
def _name(name: str) -> bytes:
    """An event's name as JSON."""
    return orjson.dumps(name)


@lru_cache(maxsize=1024)
def _heads(namespace: str, events: str, inbox: bool, wire: str) -> tuple[bytes, ...]:
    """How the packets of an event begin, one for each of its names: everything before the arguments."""
    names: tuple[str, ...] = (wire,)
    if inbox and events != "typed":
        names = (GENERIC,) if events == "generic" else (GENERIC, wire)
    space = b"" if namespace == "/" else namespace.encode() + b","
    return tuple(b"42%b[%b" % (space, _name(name)) for name in names)
