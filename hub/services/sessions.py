"""The life of a connection: join first, then replay, then live; and the end of its token.

A session is one principal on one connection, whatever carries it. Authorization stays true while it
lives: it is warned before its token expires, closed a little after, and moves between rooms when a
refreshed token says so. This file does not know sockets, streams or HTTP.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hub.cluster.bus import Bus
from hub.domain.access import Principal, Room, automatic_rooms, may_join, room_key
from hub.domain.errors import CursorInvalid, RoomForbidden, StoreUnavailable, TokenInvalid, TooManyConnections
from hub.domain.events import Cursor, Position
from hub.realtime.connection import Connection
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Frame
from hub.services.inbox import InboxService
from hub.services.replay import Replays, Verdict
from hub.services.tokens import Tokens
from hub.services.wire import dumps, iso_seconds

EXPIRING = 60.0  # seconds before `exp` that the client is warned
GRACE = 25.0  # seconds after `exp` that it may still refresh
DRAIN_SPREAD_MS = 2000
RETRY_PLACE = 5.0  # seconds after which a connection may have ended
SLICE = 500  # connections served before others get a turn
NOT_ASKED = Verdict(False)


@dataclass(frozen=True, slots=True)
class SessionRules:
    per_user: int = 20  # connections of one user in this process
    heartbeat_ms: int = 30000


class Session:
    """One principal on one connection."""

    __slots__ = ("alive", "conn", "ends_at", "expires_at", "follows", "warn_at", "who")

    def __init__(self, who: Principal, conn: Connection) -> None:
        self.who = who
        self.conn = conn
        self.alive = True
        self.follows = False  # the bus counts it
        self.warn_at = self.expires_at = self.ends_at = math.inf  # monotonic seconds


class Sessions:
    def __init__(
        self,
        *,
        fanout: Fanout,
        bus: Bus,
        replays: Replays,
        inbox: InboxService,
        tokens: Tokens,
        rules: SessionRules,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._fanout = fanout
        self._bus = bus
        self._replays = replays
        self._inbox = inbox
        self._tokens = tokens
        self._rules = rules
        self._wall = wall
        self._monotonic = monotonic
        self._by_id: dict[str, Session] = {}  # by connection id

    # -- opening -------------------------------------------------------------------------------------
    async def admit(self, who: Principal) -> None:
        """Ask first. Raises `TooManyConnections`, `TenantUnknown`, `StoreUnavailable`."""
        mine = self._fanout.members(room_key(who.tenant, f"user:{who.user}"))
        if len(mine) >= self._rules.per_user:
            raise TooManyConnections(
                f"at most {self._rules.per_user} connections per user", retry_after=RETRY_PLACE
            )
        await self._bus.follow(who.tenant)
        self._bus.unfollow(who.tenant)  # it lingers until `open` follows for good

    def topics(self, who: Principal, names: Iterable[object]) -> list[Room]:
        """The rooms a client asks for beyond its own. Raises `RoomInvalid` or `RoomForbidden`."""
        return [self._require_room(who, name) for name in names]

    async def open(
        self,
        conn: Connection,
        who: Principal,
        *,
        cursor: str | None = None,
        extra: Iterable[Room] = (),
        lifetime: float = math.inf,
    ) -> Session:
        """Join, say `connected`, replay what `cursor` asks for, go live. Raises `StoreUnavailable`.

        `lifetime` in seconds: then the connection is closed and the client comes back by its cursor.
        """
        session = Session(who, conn)
        self._by_id[conn.id] = session
        conn.hold()  # live events wait behind the replay
        try:
            await self._bus.follow(who.tenant)
            session.follows = True
            if cursor is not None:
                await self._reach(who.tenant, cursor)
            if session.alive:
                await self._join_and_replay(session, [*automatic_rooms(who), *extra], cursor)
        except BaseException:
            self.close(conn.id)
            raise
        finally:
            if not session.alive:
                self._let_go(session)  # it was closed while it was being opened
        session.ends_at = self._monotonic() + lifetime
        self._watch(session)
        return session

    async def _join_and_replay(self, session: Session, rooms: Sequence[Room], cursor: str | None) -> None:
        who, conn = session.who, session.conn
        conn.user_key = room_key(who.tenant, f"user:{who.user}")
        for room in rooms:
            self._fanout.join(conn, room.key)
        # No await between joining and this: what is dispatched after `position` is held, and nothing before.
        position = self._bus.position(who.tenant) or Position("", 0)
        verdict = NOT_ASKED
        if cursor is not None:
            verdict = await self._replays.since(
                cursor,
                position,
                tenant=who.tenant,
                user=who.user,
                rooms=[str(room) for room in rooms],
                types=conn.types,
            )
        unread = await self._unread(who)
        self._greet(session, rooms, position, cursor, verdict, unread)
        await self._play(conn, verdict)
        conn.release()

    async def _reach(self, tenant: str, cursor: str) -> None:
        """Catch up when the client has already seen more than this process has."""
        position = self._bus.position(tenant)
        try:
            asked = Cursor.parse(cursor)
        except CursorInvalid:
            return
        if position is not None and asked.epoch == position.epoch and asked.offset > position.offset:
            await self._bus.catch_up(tenant)

    async def _unread(self, who: Principal) -> int | None:
        try:
            return await self._inbox.unread_count(who)
        except StoreUnavailable:
            return None  # a connection is worth more than its counter

    def _greet(
        self,
        session: Session,
        rooms: Iterable[Room],
        position: Position,
        asked: str | None,
        verdict: Verdict,
        unread: int | None,
    ) -> None:
        who, conn = session.who, session.conn
        # While a replay is still to come, the client's place is where it was: a drop in the middle of it
        # must ask for the rest again.
        cursor = asked if verdict.frames and asked else str(position.cursor)
        connected = {
            "sid": conn.id,
            "sessionId": who.session,
            "userId": who.user,
            "tenantId": who.tenant,
            "rooms": [str(room) for room in rooms],
            "cursor": cursor,
            "recovered": verdict.recovered,
            "recoveryReason": verdict.reason or None,
            "replayed": len(verdict.frames),
            "unreadCount": unread,
            "heartbeatMs": self._rules.heartbeat_ms,
            "expiresAt": iso_seconds(who.expires_at) if who.expires_at else None,
        }
        conn.send_now(
            Frame(type="connected", wire="connected", inbox=False, body=dumps(connected), cursor=cursor)
        )
        if verdict.reason:
            earliest = str(Cursor(position.epoch, position.trimmed))
            conn.send_now(signal("sync:reset", {"reason": verdict.reason, "earliest": earliest}))

    @staticmethod
    async def _play(conn: Connection, verdict: Verdict) -> None:
        for frame in verdict.frames:
            conn.send_now(frame)
            if conn.crowded and not await conn.drained():
                return

    # -- closing -------------------------------------------------------------------------------------
    def close(self, conn_id: str) -> None:
        """The connection is gone. Doing it twice does it once."""
        session = self._by_id.pop(conn_id, None)
        if session is not None:
            session.alive = False
            self._let_go(session)

    def _let_go(self, session: Session) -> None:
        self._fanout.drop(session.conn)
        if session.follows:
            session.follows = False
            self._bus.unfollow(session.who.tenant)

    def end(self, session: Session, code: str, reason: str, *, reconnect: bool) -> None:
        """Say why, then close."""
        session.conn.send_now(
            signal("session:closed", {"code": code, "reason": reason, "reconnect": reconnect})
        )
        session.conn.close(code, reason, reconnect=reconnect)
        self.close(session.conn.id)

    # -- rooms ---------------------------------------------------------------------------------------
    def _require_room(self, who: Principal, name: object) -> Room:
        room = Room.parse(who.tenant, name)
        if not may_join(who, room):
            raise RoomForbidden(f"the token does not allow {str(room)!r}")
        return room

    def join(self, session: Session, name: object) -> str:
        """Raises `RoomInvalid` or `RoomForbidden`."""
        room = self._require_room(session.who, name)
        if session.alive:
            self._fanout.join(session.conn, room.key)
        return str(room)

    def leave(self, session: Session, name: object) -> str:
        """Raises `RoomInvalid`, or `RoomForbidden` for a room that cannot be left."""
        room = Room.parse(session.who.tenant, name)
        if room in automatic_rooms(session.who):
            raise RoomForbidden(f"{str(room)!r} cannot be left")
        self._fanout.leave(session.conn, room.key)
        return str(room)

    # -- tokens --------------------------------------------------------------------------------------
    async def refresh(self, session: Session, token: str) -> dict[str, Any]:
        """Go on with a newer token; a changed role moves rooms at once. Raises `TokenInvalid`, ..."""
        fresh = await self._tokens.principal(token)
        old = session.who
        if (fresh.tenant, fresh.user) != (old.tenant, old.user):
            raise TokenInvalid("the token is for somebody else")
        session.who = who = replace(fresh, session=old.session)
        if session.alive:
            keep = {room.key for room in automatic_rooms(who)}
            for key in list(session.conn.rooms):
                room = Room.parse(who.tenant, key.partition("/")[2])
                if key not in keep and not may_join(who, room):
                    self._fanout.leave(session.conn, key)
            for key in keep:
                self._fanout.join(session.conn, key)
        self._watch(session)
        return {"expiresAt": iso_seconds(who.expires_at)}

    def _watch(self, session: Session) -> None:
        """Arrange for the end of the token. The wall clock is read once; waiting is monotonic."""
        if session.who.expires_at:
            expires_at = self._monotonic() + session.who.expires_at - self._wall()
            session.warn_at = expires_at - EXPIRING
            session.expires_at = expires_at + GRACE

    # -- time ----------------------------------------------------------------------------------------
    def sweep(self) -> None:
        """Once a second: warn and close those whose token or lifetime ends. One look per session."""
        now = self._monotonic()
        for session in list(self._by_id.values()):
            if now >= session.warn_at:
                session.warn_at = math.inf
                session.conn.send(signal("auth:expiring", {"expiresAt": iso_seconds(session.who.expires_at)}))
            if now >= session.expires_at:
                self.end(session, "token_expired", "the token has expired", reconnect=True)
            elif now >= session.ends_at:
                session.conn.close("lifetime", "the stream has reached its age", reconnect=True)
                self.close(session.conn.id)

    async def reap(self) -> None:
        """A safety net: forget sessions whose connection has ended without anyone saying so."""
        for session in list(self._by_id.values()):
            if session.conn.closed:
                self.close(session.conn.id)

    async def beat(self) -> None:
        """`heartbeat` to every connection that is not a stream (those have comments)."""
        frame = signal("heartbeat", {"timestamp": iso_seconds(self._wall())})
        for place, session in enumerate(list(self._by_id.values()), 1):
            if session.conn.profile.transport != "sse":
                session.conn.send(frame)
            if place % SLICE == 0:
                await asyncio.sleep(0)

    async def drain(self) -> None:
        """Tell everybody to come back, each after a different while, and let go."""
        for place, session in enumerate(list(self._by_id.values()), 1):
            wait = random.randint(0, DRAIN_SPREAD_MS)
            session.conn.send_now(signal("server:draining", {"retryAfterMs": wait}))
            if place % SLICE == 0:
                await asyncio.sleep(0)


def signal(name: str, payload: Any) -> Frame:
    """A frame for one connection: an event with one argument, not in the log."""
    return Frame.signal(name, [dumps(payload)])
