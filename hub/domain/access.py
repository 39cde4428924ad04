"""Who is asking, which rooms exist, and who may be in which.

Rooms come from what the server knows about a principal, never from what a client says: `may_join`
is the one rule. A room without its tenant does not exist.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from hub.domain.errors import RoomInvalid

KINDS = ("user", "role", "tenant", "session", "topic")
DEFAULT_TENANT = "default"
ADMIN = "ADMIN"
TENANT_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# A name may hold anything printable that separates nothing: no space, slash, comma or control character, and
# no half of a character, which JSON can escape and UTF-8 cannot write.
_ROOM = re.compile(rf"(?:{'|'.join(KINDS)}):[^\s/,\x00-\x1f\x7f\ud800-\udfff]{{1,128}}")


def require_tenant(text: str) -> str:
    """A tenant's id, or `RoomInvalid`: 1 to 64 of letters, digits, `.`, `_`, `-`."""
    if not TENANT_PATTERN.fullmatch(text):
        raise RoomInvalid(f"not a tenant id: {text[:80]!r}")
    return text


def require_room(tenant: str, text: object) -> str:
    """`text`, when it names a room inside `tenant`; raises `RoomInvalid`."""
    if not isinstance(text, str) or not _ROOM.fullmatch(text):
        known = ", ".join(f"{kind}:" for kind in KINDS)
        raise RoomInvalid(f"not a room: {str(text)[:80]!r} (a room is one of {known} and a name)")
    if text.startswith("tenant:") and text[7:] != tenant:
        raise RoomInvalid(f"the room of another tenant: {text[7:][:64]!r}")
    return text


class Room(NamedTuple):
    """An audience inside one tenant: `user:42`, `role:ADMIN`, `tenant:acme`, `session:s1`, `topic:jobs`."""

    tenant: str
    kind: str
    name: str

    @classmethod
    def parse(cls, tenant: str, text: object) -> Room:
        """The room `text` names inside `tenant`; raises `RoomInvalid`."""
        kind, _, name = require_room(tenant, text).partition(":")
        return cls(tenant, kind, name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def key(self) -> str:
        """The room as one string that is unique across tenants: `acme/role:ADMIN`."""
        return room_key(self.tenant, str(self))


def room_key(tenant: str, room: str) -> str:
    """The key under which connections of a room are indexed (`tenant` cannot hold a slash)."""
    return f"{tenant}/{room}"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token speaks for. `expires_at` and `issued_at` are Unix seconds.

    `sessionless`: the token names no session, and this one was made up for it.
    """

    tenant: str
    user: str
    roles: tuple[str, ...] = ()
    session: str = ""
    topics: tuple[str, ...] = ()
    token_id: str = ""
    issued_at: float = 0.0
    expires_at: float = 0.0
    sessionless: bool = False

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A backend. `tenant` is None for a key of the whole platform."""

    id: str
    tenant: str | None
    scopes: frozenset[str]


SCOPES = ("notify", "admin", "read")


@dataclass(frozen=True, slots=True)
class Admin:
    """Who may administer: a person or a key, of one tenant or (None) of the whole platform.

    `name` is what the audit says: `user:1` or `key:01J...`.
    """

    tenant: str | None
    name: str


def automatic_rooms(who: Principal) -> tuple[Room, ...]:
    """The rooms a connection is put into and cannot leave."""
    rooms = [Room(who.tenant, "user", who.user)]
    rooms += [Room(who.tenant, "role", role) for role in who.roles]
    rooms.append(Room(who.tenant, "tenant", who.tenant))
    if who.session:
        rooms.append(Room(who.tenant, "session", who.session))
    return tuple(rooms)


def may_join(who: Principal, room: Room) -> bool:
    """Own rooms always; a topic when a pattern of the token allows it; nothing else."""
    if room.tenant != who.tenant:
        return False
    if room.kind == "topic":
        return any(fnmatchcase(room.name, pattern) for pattern in who.topics)
    return room in automatic_rooms(who)
