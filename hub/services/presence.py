"""Presence: who is online in a room over all processes, and telling those who asked who comes and goes.

`Sessions` says what happens to each connection here; what the other processes hold comes from the cluster.
Answers are right within a lease; when the others cannot be known they speak of this process alone and
say `partial`. Asking subscribes the connection to the room's news, until it ends or leaves the room. Who may
not see users is told that somebody came or went, but not who. This file does not know Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from hub.cluster.elsewhere import Elsewhere
from hub.cluster.presence import Presence
from hub.cluster.record import Record
from hub.domain.access import Principal, Room, may_join, room_key
from hub.domain.errors import RoomForbidden
from hub.domain.presence import News, Watch
from hub.domain.roster import Columns, Entry, Roster, Summary, summarize
from hub.realtime.connection import Connection
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Frame
from hub.services.wire import dumps, iso_seconds

if TYPE_CHECKING:
    from hub.services.session import Session

SHOWN_USERS = 100  # that one answer on a connection lists
EVERYONE = "*"
# A count that took long is kept for so many times as long: counting never takes more than a 20th of a core.
KEPT = 20.0
ROLES = attrgetter("roles")


@dataclass(frozen=True, slots=True)
class PresenceRules:
    """`roles` may see who is online (`*`: everyone may); `grace` in seconds."""

    roles: frozenset[str]
    grace: float

    def may_see_users(self, who: Principal) -> bool:
        return EVERYONE in self.roles or not self.roles.isdisjoint(who.roles)


class _Watched:
    """A room that some connections here have asked about."""

    __slots__ = ("conns", "room", "watch")

    def __init__(self, room: Room, watch: Watch) -> None:
        self.room = room
        self.watch = watch
        self.conns: dict[Connection, tuple[int, Session]] = {}  # with the number of what they were told


@dataclass(slots=True)
class _Count:
    """What was counted, and the news of the room since then for those who are given an old count."""

    of: tuple[object, ...]  # the rosters and their versions
    until: float
    summary: Summary
    number: int | None  # that the room's watch gave; None: it was not watched
    news: list[News] = field(default_factory=list)

    def tells(self, news: News) -> bool:
        return self.number is not None and news.first <= self.number


class PresenceService:
    def __init__(
        self,
        fanout: Fanout,
        *,
        rules: PresenceRules,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._fanout = fanout
        self._rules = rules
        self._wall = wall
        self._monotonic = monotonic
        self._watched: dict[str, dict[str, _Watched]] = {}  # by tenant and room
        self._asked: dict[str, set[str]] = {}  # the rooms each connection has asked about
        self._counts: dict[str, _Count] = {}  # by room key

    def attach(self, here: Presence, elsewhere: Elsewhere) -> None:
        """They call `changed`, so they come second."""
        self._here = here
        self._elsewhere = elsewhere

    def hear(self, record: Record) -> None:
        """A record of the bus about another process."""
        self._elsewhere.hear(record)

    async def open(self) -> None:
        await self._here.open()
        await self._elsewhere.open()

    async def leave(self) -> None:
        """Nobody is here any more, whatever connections there are."""
        await self._here.leave()

    async def close(self) -> None:
        await self._here.leave()
        await self._elsewhere.close()

    # -- what happens to sessions ----------------------------------------------------------------------
    def came(self, session: Session) -> None:
        """The session is in its rooms, or in other rooms or roles than before."""
        who, conn = session.who, session.conn
        mark = f"{who.tenant}/"
        topics = tuple([key.removeprefix(mark) for key in conn.rooms if key.startswith("topic:", len(mark))])
        self._here.put(
            who.tenant, conn.id, Entry.of(who.user, who.session, conn.profile.transport, who.roles, topics)
        )
        for name in list(self._asked.get(conn.id, ())):
            if not may_ask(who, Room.parse(who.tenant, name)):
                self.left(session, name)

    def went(self, session: Session) -> None:
        """The session is over. Doing it twice does it once."""
        for name in list(self._asked.get(session.conn.id, ())):
            self.left(session, name)
        self._here.remove(session.who.tenant, session.conn.id)

    def left(self, session: Session, name: str) -> None:
        """The connection is not told of this room any more."""
        tenant, conn = session.who.tenant, session.conn
        asked = self._asked.get(conn.id)
        if asked is None or name not in asked:
            return
        asked.discard(name)
        if not asked:
            del self._asked[conn.id]
        rooms = self._watched[tenant]
        del rooms[name].conns[conn]
        if not rooms[name].conns:
            del rooms[name]
            self._counts.pop(room_key(tenant, name), None)
        if not rooms:
            del self._watched[tenant]

    # -- asking --------------------------------------------------------------------------------------
    async def ask(self, session: Session, name: object) -> dict[str, Any]:
        """Counts of a room, the whole tenant when `name` is None; from now on the connection gets its news.

        Raises `RoomInvalid`, or `RoomForbidden` for a room that is not the caller's.
        """
        who = session.who
        room = Room.parse(who.tenant, f"tenant:{who.tenant}" if name is None else name)
        if not may_ask(who, room):
            raise RoomForbidden(f"the presence of {str(room)!r} is not shown to you")
        far = await self._elsewhere.roster(room.tenant)
        # No await from here on: the news begin where the count ends.
        watched = self._watched_room(room) if session.alive else None
        count = self._count(room, far, watched)
        if watched is not None and count.number is not None:
            self._begin(session, watched, count)
        answer = _shape(room, count.summary, partial=far is None)
        if self._rules.may_see_users(session.who):
            answer["users"] = users(count.summary, SHOWN_USERS)
        return answer

    async def overview(
        self, tenant: str, name: str | None, *, limit: int, named: Sequence[str]
    ) -> dict[str, Any]:
        """What an admin sees. Raises `RoomInvalid`, and what following the tenant raises."""
        room = Room.parse(tenant, name or f"tenant:{tenant}")
        far = await self._elsewhere.roster(tenant)
        summary = self._count(room, far, None).summary
        answer = _shape(room, summary, partial=far is None)
        nodes = {node or self._here.node: count for node, count in sorted(summary.nodes.items())}
        answer |= {
            "byTransport": dict(sorted(summary.transports.items())),
            "nodes": nodes,
            "users": users(summary, limit),
        }
        if named:
            answer["named"] = await self._named(tenant, named, far)
        return answer

    async def _named(self, tenant: str, named: Sequence[str], far: Roster | None) -> list[dict[str, Any]]:
        seen = await self._elsewhere.last_seen(tenant, named)
        rosters = self._rosters(tenant, far)
        shown = []
        for user in named:
            online = any(roster.of(user) for roster in rosters)
            at = self._wall() if online else seen[user]
            shown.append(
                {"userId": user, "online": online, "lastSeen": None if at is None else iso_seconds(at)}
            )
        return shown

    def _rosters(self, tenant: str, far: Roster | None) -> list[Roster]:
        return [roster for roster in (self._here.roster(tenant), far) if roster is not None]

    def _count(self, room: Room, far: Roster | None, watched: _Watched | None) -> _Count:
        rosters = self._rosters(room.tenant, far)
        of = (far is None, *rosters, *(roster.version for roster in rosters))
        kept, started = self._counts.get(room.key), self._monotonic()
        usable = kept is not None and kept.of[0] == of[0] and (watched is None or kept.number is not None)
        if kept is not None and usable and (kept.of == of or started < kept.until):
            return kept
        summary = summarize(_columns(rosters, room))
        ended = self._monotonic()
        number = watched.watch.begin() if watched is not None else None
        count = self._counts[room.key] = _Count(of, ended + KEPT * (ended - started), summary, number)
        return count

    # -- news ----------------------------------------------------------------------------------------
    def _watched_room(self, room: Room) -> _Watched:
        rooms, name = self._watched.setdefault(room.tenant, {}), str(room)
        if name not in rooms:
            rosters = self._rosters(room.tenant, self._elsewhere.known(room.tenant))
            online = [
                zip(users, map(ROLES, traits), strict=True) for users, _, traits in _columns(rosters, room)
            ]
            rooms[name] = _Watched(room, Watch(self._rules.grace, chain.from_iterable(online)))
        return rooms[name]

    def _begin(self, session: Session, watched: _Watched, count: _Count) -> None:
        assert count.number is not None
        watched.conns[session.conn] = (count.number, session)
        self._asked.setdefault(session.conn.id, set()).add(str(watched.room))
        # The answer goes first.
        loop = asyncio.get_running_loop()
        for news in filter(count.tells, count.news):
            loop.call_soon(self._send, watched.room, news, [(session.conn, session)])

    def changed(self, tenant: str, entries: Iterable[Entry], came: bool) -> None:
        """Connections, here or elsewhere, are in the rosters now, or are not any more."""
        if tenant not in self._watched:
            return
        for watched in self._watched[tenant].values():
            for entry in entries:
                if entry.in_room(watched.room):
                    self._note(tenant, watched, entry, came)

    def _note(self, tenant: str, watched: _Watched, entry: Entry, came: bool) -> None:
        if came:
            if news := watched.watch.came(entry.user, entry.roles):
                self._tell(watched, news)
            return
        rosters = self._rosters(tenant, self._elsewhere.known(tenant))
        if not any(other.in_room(watched.room) for roster in rosters for other in roster.of(entry.user)):
            watched.watch.went(entry.user, self._monotonic())

    async def sweep(self) -> None:
        """A few times a second: tell of those who went and did not come back."""
        now = self._monotonic()
        for tenant, rooms in self._watched.items():
            self._elsewhere.want(tenant)
            for watched in rooms.values():
                for news in watched.watch.due(now):
                    self._tell(watched, news)
        for key in [key for key, count in self._counts.items() if count.until < now]:
            del self._counts[key]

    def _tell(self, watched: _Watched, news: News) -> None:
        if count := self._counts.get(watched.room.key):
            count.news.append(news)
        told = watched.conns.items()
        self._send(
            watched.room,
            news,
            [(conn, session) for conn, (number, session) in told if news.first <= number],
        )

    def _send(self, room: Room, news: News, told: Sequence[tuple[Connection, Session]]) -> None:
        seeing: dict[Connection, None] = {}
        others: dict[Connection, None] = {}
        for conn, session in told:
            (seeing if self._rules.may_see_users(session.who) else others)[conn] = None
        at = iso_seconds(self._wall())
        for receivers, user in ((seeing, news.user), (others, None)):
            args = [dumps({"room": str(room), "userId": user, "roles": news.roles, "at": at})]
            frame = Frame.signal("presence:join", args) if news.came else Frame.signal("presence:leave", args)
            self._fanout.send(frame, receivers)


def _columns(rosters: Iterable[Roster], room: Room) -> Iterable[Columns]:
    return chain.from_iterable(roster.columns(room) for roster in rosters)


def _shape(room: Room, summary: Summary, *, partial: bool) -> dict[str, Any]:
    return {
        "room": str(room),
        "totalOnline": len(summary.users),
        "byRole": summary.by_role,
        "connections": summary.connections,
        "sessions": summary.sessions,
    } | ({"partial": True} if partial else {})


def may_ask(who: Principal, room: Room) -> bool:
    """Its own rooms, and those its token lets it join; an admin every room of the tenant."""
    return room.tenant == who.tenant and (who.is_admin or may_join(who, room))


def users(summary: Summary, limit: int) -> list[dict[str, Any]]:
    """The first users by id."""
    return [
        {"userId": user, "roles": roles, "connections": connections}
        for user, roles, connections in summary.first(limit)
    ]
