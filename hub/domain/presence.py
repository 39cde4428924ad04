"""Who is online: from connections to users to roles, and when to say that somebody came or went.

A `Roster` holds the connections of one tenant, `summarize` counts any of them, a `Watch` turns their coming
and going into news about users: once per user, and a going only after a grace, so that a reconnect shows
nothing. Pure: this file knows no clock, no Redis and nobody to tell.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from hub.domain.access import Room


class Entry:
    """One connection as presence sees it. Never changed, only replaced; compared by identity.

    `rooms` are the rooms beyond the automatic ones, as text; `node` is the process that holds the
    connection, "" for this one.
    """

    __slots__ = ("node", "roles", "rooms", "session", "transport", "user")

    def __init__(
        self,
        user: str,
        session: str,
        transport: str,
        roles: tuple[str, ...] = (),
        rooms: tuple[str, ...] = (),
        node: str = "",
    ) -> None:
        self.user = user
        self.session = session
        self.transport = transport
        self.roles = roles
        self.rooms = rooms
        self.node = node

    def same(self, other: Entry) -> bool:
        """Whether both say the same."""
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def in_room(self, room: Room) -> bool:
        """Whether this connection is in a room of its own tenant."""
        match room.kind:
            case "tenant":
                return True
            case "user":
                return self.user == room.name
            case "role":
                return room.name in self.roles
            case "session":
                return self.session == room.name
        return str(room) in self.rooms


class Roster:
    """The connections of one tenant. `version` grows with every change."""

    __slots__ = ("_rooms", "_users", "version")

    def __init__(self) -> None:
        self.version = 0
        self._users: dict[str, tuple[Entry, ...]] = {}
        self._rooms: dict[str, dict[Entry, None]] = {}

    def add(self, entry: Entry) -> None:
        self.add_all((entry,))

    def add_all(self, entries: Iterable[Entry]) -> None:
        """As `add` for each of them."""
        self.version += 1
        users, rooms = self._users, self._rooms
        for entry in entries:
            before = users.get(entry.user)
            users[entry.user] = (entry,) if before is None else (*before, entry)
            for room in entry.rooms:
                rooms.setdefault(room, {})[entry] = None

    def remove(self, entry: Entry) -> None:
        """The very entry that was added."""
        self.version += 1
        if left := tuple(other for other in self._users.get(entry.user, ()) if other is not entry):
            self._users[entry.user] = left
        else:
            self._users.pop(entry.user, None)
        for room in entry.rooms:
            members = self._rooms.get(room, {})
            members.pop(entry, None)
            if not members:
                self._rooms.pop(room, None)

    def of(self, user: str) -> tuple[Entry, ...]:
        return self._users.get(user, ())

    def members(self, room: Room) -> Iterable[Entry]:
        """The connections in a room; costs what it returns, or a look at all for roles and sessions."""
        if room.kind == "user":
            return self.of(room.name)
        if room.kind == "topic":
            return self._rooms.get(str(room), {})
        everybody = chain.from_iterable(self._users.values())
        if room.kind == "tenant":
            return everybody
        return (entry for entry in everybody if entry.in_room(room))


@dataclass(frozen=True, slots=True)
class Summary:
    """Connections, counted. `users` has how many connections each user has; `roles` the users of each."""

    users: Mapping[str, int]
    roles: Mapping[str, frozenset[str]]
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


def summarize(entries: Iterable[Entry]) -> Summary:
    """One look at each entry."""
    entries = list(entries)
    together: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)  # the same roles, the same tuple
    for entry in entries:
        together[entry.roles].add(entry.user)
    roles: defaultdict[str, set[str]] = defaultdict(set)
    for names, users in together.items():
        for name in names:
            roles[name] |= users
    return Summary(
        users=Counter([entry.user for entry in entries]),
        roles={name: frozenset(roles[name]) for name in sorted(roles)},
        transports=Counter([entry.transport for entry in entries]),
        nodes=Counter([entry.node for entry in entries]),
        sessions=len({entry.session for entry in entries}),
    )


@dataclass(frozen=True, slots=True)
class News:
    """A user came or went. For the watchers with a number from `first` on."""

    user: str
    roles: tuple[str, ...]
    came: bool
    first: int = 0


class Watch:
    """Which users of one room were said to be online. Times are monotonic seconds.

    Watchers are numbered when they are told who is online: who was told while somebody's grace ran knows that
    this user is away and must hear of the return, the others must not.
    """

    __slots__ = ("_begun", "_grace", "_leaving", "_online")

    def __init__(self, grace: float, online: Iterable[Entry]) -> None:
        self._grace = grace
        self._begun = 0
        self._online = {entry.user: entry.roles for entry in online}
        self._leaving: dict[str, tuple[float, int]] = {}  # in the order in which their grace ends

    def begin(self) -> int:
        """The number of watchers who know who is online at this moment."""
        self._begun += 1
        return self._begun

    def came(self, user: str, roles: tuple[str, ...]) -> News | None:
        """The user has a connection in the room. None: everybody knows."""
        if left := self._leaving.pop(user, None):
            _, mark = left
            return News(user, roles, True, first=mark + 1) if mark < self._begun else None
        if user in self._online:
            return None
        self._online[user] = roles
        return News(user, roles, True)

    def went(self, user: str, now: float) -> None:
        """The user has no connection in the room any more."""
        if user in self._online and user not in self._leaving:
            self._leaving[user] = (now + self._grace, self._begun)

    def due(self, now: float) -> list[News]:
        """Those whose grace is over."""
        news = []
        for user, (until, _) in list(self._leaving.items()):
            if until > now:
                break
            del self._leaving[user]
            news.append(News(user, self._online.pop(user), False))
        return news
