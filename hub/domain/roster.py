"""Who is online: the connections of one tenant, by user and room, and counted.

A `Roster` holds connections, `summarize` counts those of a room. Many that come at once stay columns
(`Rows`) until one of them is looked at: most are only ever counted. Pure: this file knows no clock and no
Redis.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from typing import NamedTuple, cast

from hub.domain.access import Room


@dataclass(slots=True, eq=False)  # not frozen: that doubles the price of making one
class Traits:
    """What many connections have in common. One object for equal ones where that is easy; hashed by identity.

    `rooms` are the rooms beyond the automatic ones, as text; `node` is the process that holds the
    connection, "" for this one.
    """

    transport: str
    roles: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    node: str = ""

    def same(self, other: Traits) -> bool:
        """Whether both say the same."""
        return self is other or all(getattr(self, name) == getattr(other, name) for name in self.__slots__)


shared_traits = lru_cache(maxsize=1024)(Traits)


class _Columns(NamedTuple):
    user: str
    session: str
    traits: Traits


class Entry(_Columns):
    """One connection as presence sees it. Never changed, only replaced; compared by identity.

    A tuple, so that thousands are made, and turned into columns, without a step of Python for each.
    """

    __slots__ = ()
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__

    @classmethod
    def of(
        cls,
        user: str,
        session: str,
        transport: str,
        roles: tuple[str, ...] = (),
        rooms: tuple[str, ...] = (),
        node: str = "",
    ) -> Entry:
        return cls(user, session, shared_traits(transport, roles, rooms, node))

    @property
    def roles(self) -> tuple[str, ...]:
        return self.traits.roles

    @property
    def rooms(self) -> tuple[str, ...]:
        return self.traits.rooms

    def same(self, other: Entry) -> bool:
        """Whether both say the same."""
        return self[:2] == other[:2] and self.traits.same(other.traits)

    def in_room(self, room: Room) -> bool:
        """Whether this connection is in a room of its own tenant."""
        match room.kind:
            case "tenant":
                return True
            case "user":
                return self.user == room.name
            case "role":
                return room.name in self.traits.roles
            case "session":
                return self.session == room.name
        return str(room) in self.traits.rooms


Columns = tuple[Sequence[str], Sequence[str], Sequence[Traits]]  # users, sessions, traits


class Rows:
    """Connections as columns. Iterating gives entries, made at the first time; always the same ones."""

    __slots__ = ("_conns", "_entries", "columns")

    def __init__(
        self,
        conns: Sequence[str],
        users: Sequence[str],
        sessions: Sequence[str],
        traits: Sequence[Traits],
    ) -> None:
        self._conns = conns
        self._entries: list[Entry] | None = None
        self.columns = (users, sessions, traits)

    def __len__(self) -> int:
        return len(self._conns)

    def __iter__(self) -> Iterator[Entry]:
        if self._entries is None:
            make = partial(tuple.__new__, Entry)
            self._entries = list(map(make, zip(*self.columns, strict=True)))
        return iter(self._entries)

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Every connection's id and entry."""
        return zip(self._conns, self, strict=True)


class Roster:
    """The connections of one tenant. `version` grows with every change."""

    __slots__ = ("_rooms", "_rows", "_users", "version")

    def __init__(self) -> None:
        self.version = 0
        self._users: dict[str, tuple[Entry, ...]] = {}
        self._rooms: dict[str, dict[Entry, None]] = {}
        self._rows: list[Rows] = []  # that are not in the other two yet

    def add(self, entry: Entry) -> None:
        self.version += 1
        self._add((entry,))

    def add_rows(self, rows: Rows) -> None:
        """As `add` for each of them."""
        self.version += 1
        self._rows.append(rows)

    def _add(self, entries: Iterable[Entry]) -> None:
        users, rooms = self._users, self._rooms
        for entry in entries:
            before = users.get(entry.user)
            users[entry.user] = (entry,) if before is None else (*before, entry)
            for room in entry.traits.rooms:
                rooms.setdefault(room, {})[entry] = None

    def _unfold(self) -> None:
        for rows in self._rows:
            self._add(rows)
        self._rows.clear()

    def remove(self, entry: Entry) -> None:
        """The very entry that was added."""
        self._unfold()
        self.version += 1
        if left := tuple(other for other in self._users.get(entry.user, ()) if other is not entry):
            self._users[entry.user] = left
        else:
            self._users.pop(entry.user, None)
        for room in entry.traits.rooms:
            members = self._rooms.get(room, {})
            members.pop(entry, None)
            if not members:
                self._rooms.pop(room, None)

    def of(self, user: str) -> tuple[Entry, ...]:
        self._unfold()
        return self._users.get(user, ())

    def members(self, room: Room) -> Iterable[Entry]:
        """The connections in a room; costs what it returns, or a look at all for roles and sessions."""
        if room.kind == "user":
            return self.of(room.name)
        self._unfold()
        if room.kind == "topic":
            return self._rooms.get(str(room), {})
        everybody = chain.from_iterable(self._users.values())
        if room.kind == "tenant":
            return everybody
        return (entry for entry in everybody if entry.in_room(room))

    def columns(self, room: Room) -> list[Columns]:
        """The members of a room, to be counted."""
        if room.kind != "tenant":
            found = [_columns(self.members(room))]
        else:
            found = [rows.columns for rows in self._rows]
            found.append(_columns(chain.from_iterable(self._users.values())))
        return [columns for columns in found if columns]


def _columns(entries: Iterable[Entry]) -> Columns:
    return cast(Columns, tuple(zip(*entries, strict=True)))  # empty for nobody


@dataclass(frozen=True, slots=True)
class Summary:
    """Connections, counted. `users` has how many connections each user has; `roles` the users of each."""

    users: Mapping[str, int]
    roles: Mapping[str, Set[str]]
    transports: Mapping[str, int]
    nodes: Mapping[str, int]
    sessions: int

    @property
    def connections(self) -> int:
        return sum(self.transports.values())

    @property
    def by_role(self) -> dict[str, int]:
        """How many users each role has. A user with two roles counts in both."""
        return {role: len(users) for role, users in self.roles.items()}

    def first(self, limit: int) -> list[tuple[str, tuple[str, ...], int]]:
        """The first users by id, with their roles and number of connections."""
        users = heapq.nsmallest(limit, self.users)
        return [
            (user, tuple(role for role, those in self.roles.items() if user in those), self.users[user])
            for user in users
        ]


def summarize(everybody: Iterable[Columns]) -> Summary:
    """One look at each connection."""
    users: Counter[str] = Counter()
    sessions: set[str] = set()
    having: defaultdict[Traits, list[str]] = defaultdict(list)
    for those, theirs, alike in everybody:
        users.update(those)
        sessions.update(theirs)
        for user, traits in zip(those, alike, strict=True):
            having[traits].append(user)
    transports: Counter[str] = Counter()
    nodes: Counter[str] = Counter()
    roles: defaultdict[str, set[str]] = defaultdict(set)
    for traits, those in having.items():
        transports[traits.transport] += len(those)
        nodes[traits.node] += len(those)
        for role in traits.roles:
            roles[role].update(those)
    return Summary(
        users=users,
        roles={name: roles[name] for name in sorted(roles)},
        transports=transports,
        nodes=nodes,
        sessions=len(sessions),
    )
