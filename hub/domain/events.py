"""Events, their place in a tenant's log, and the registry of their types.

An `Event` is complete when it is made, and stays as it is; only its place in the log (`epoch`, `offset`) is
written later, in the transaction that stores it.
This file does not know JSON, SQL or who is connected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from hub.domain.errors import CursorInvalid

SEVERITIES = ("info", "success", "warning", "error", "critical")
CHANNELS = ("inApp", "email", "sms", "discord", "webpush")
MAX_CURSOR = 256
# What clients hear under these names is the hub's or their library's own; nobody's event may pass for it.
_PROTOCOL = frozenset(
    {
        *("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"),
        *("open", "message", "error", "connected", "heartbeat", "ping", "pong", "joinedRoom", "leftRoom"),
        *("presenceStats", "notificationRead", "locationUpdated"),
    }
)
_PROTOCOL_NOUNS = frozenset({"notification", "delivery", "presence", "auth", "sync", "server", "session"})


def is_protocol_name(name: str) -> bool:
    """Whether a name belongs to the protocol: `disconnect`, `error`, `notification:read`."""
    noun, colon, _ = name.partition(":")
    return name in _PROTOCOL or (bool(colon) and noun in _PROTOCOL_NOUNS)


class Cursor(NamedTuple):
    """One place in a tenant's log, valid on every transport: `epoch:offset`."""

    epoch: str
    offset: int

    @classmethod
    def parse(cls, text: object) -> Cursor:
        """Raises `CursorInvalid`. Attacker input: at most 256 characters, no surprises."""
        if isinstance(text, str) and len(text) <= MAX_CURSOR:
            epoch, colon, offset = text.partition(":")
            if colon and epoch.isalnum() and offset.isascii() and offset.isdigit() and len(offset) <= 18:
                return cls(epoch, int(offset))
        raise CursorInvalid(f"not a cursor: {str(text)[:80]!r} (expected epoch:offset)")

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a tenant's log stands: its newest offset, and the last one that retention has removed."""

    epoch: str
    offset: int
    trimmed: int = 0

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.epoch, self.offset)


@dataclass(slots=True, kw_only=True)  # not frozen: that doubles the price of making one
class Event:
    """Something that happened. `inbox` makes it a notification; `offset` 0: not in the log (volatile)."""

    tenant: str
    id: str
    type: str
    wire: str
    created_at: datetime
    rooms: tuple[str, ...]
    title: str | None = None
    message: str | None = None
    link: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    severity: str = "info"
    inbox: bool = True
    exclude: tuple[str, ...] = ()
    actor: str | None = None
    expires_at: datetime | None = None
    epoch: str = ""
    offset: int = 0

    @property
    def cursor(self) -> Cursor | None:
        return Cursor(self.epoch, self.offset) if self.offset else None


class Digest(NamedTuple):
    """What comes within `window` seconds leaves in one message, apart for each value of the field `key`."""

    window: int
    key: str


class Throttle(NamedTuple):
    """At most so many to one person on one channel in so many seconds."""

    most: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One entry of the registry (`hub/types.toml`). `escalate`: seconds after which a channel is tried, too,
    unless the person has seen the notification by then. `filed`: the fields that an operator's file says."""

    name: str
    wire: str
    aliases: tuple[str, ...] = ()
    channels: tuple[str, ...] = ("inApp",)
    severity: str = "info"
    ttl_days: int | None = None
    mutable: bool = True
    schema: Mapping[str, Any] | None = None
    known: bool = True
    digest: Digest | None = None
    throttle: Throttle | None = None
    escalate: Mapping[str, int] = field(default_factory=dict)
    filed: frozenset[str] = frozenset()

    @property
    def outside(self) -> bool:
        """Whether it goes to outside channels when the sender names none."""
        return bool(self.escalate) or self.channels not in (("inApp",), ())


class Registry:
    """Event types by name and alias. Read only."""

    def __init__(self, types: Iterable[EventType]) -> None:
        self.types: dict[str, EventType] = {}
        self._names: dict[str, EventType] = {}
        for kind in types:
            self.types[kind.name] = kind
            for name in (kind.name, kind.wire, *kind.aliases):
                taken = self._names.setdefault(name, kind)
                if taken is not kind:
                    raise ValueError(f"types {taken.name!r} and {kind.name!r} share the name {name!r}")

    @classmethod
    def from_tables(
        cls, tables: Mapping[str, Mapping[str, Any]], filed: Mapping[str, Iterable[str]] | None = None
    ) -> Registry:
        """From the parsed registry file: a table per canonical name. `filed`: an operator's words of them."""
        return cls(
            EventType(
                name=name,
                wire=table.get("wire", name),
                aliases=tuple(table.get("aliases", ())),
                channels=tuple(table.get("channels", ("inApp",))),
                severity=table.get("severity", "info"),
                ttl_days=table.get("ttl_days"),
                mutable=table.get("mutable", True),
                schema=table.get("schema"),
                digest=_digest(name, table.get("digest")),
                throttle=_throttle(name, table.get("throttle")),
                escalate=_escalate(name, table.get("escalate", {})),
                filed=frozenset((filed or {}).get(name, ())),
            )
            for name, table in tables.items()
        )

    def find(self, name: str) -> EventType | None:
        return self._names.get(name)

    def canonical(self, name: str) -> str:
        """The type's own name for an alias or a wire name; whatever else is itself."""
        found = self._names.get(name)
        return name if found is None else found.name

    def wanted(self, patterns: Iterable[str]) -> tuple[str, ...] | None:
        """What a connection wants, as patterns of canonical names. None: all."""
        return tuple(map(self.canonical, patterns)) or None

    def custom(self, name: str) -> EventType:
        """A type nobody registered: in-app only."""
        return EventType(name=name, wire=name, known=False)


def _digest(name: str, table: Mapping[str, Any] | None) -> Digest | None:
    return None if table is None else Digest(_positive(name, table["window"]), table.get("key", ""))


def _throttle(name: str, table: Mapping[str, Any] | None) -> Throttle | None:
    if table is None:
        return None
    return Throttle(_positive(name, table["most"]), _positive(name, table["seconds"]))


def _escalate(name: str, table: Mapping[str, Any]) -> dict[str, int]:
    unknown = table.keys() - set(CHANNELS) | table.keys() & {"inApp"}
    if unknown:
        raise ValueError(f"type {name!r} cannot escalate to {', '.join(sorted(unknown))}")
    return {channel: _positive(name, seconds) for channel, seconds in table.items()}


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"type {name!r}: {value!r} must be a whole number above zero")
    return value
