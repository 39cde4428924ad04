"""The life of a connection: join first, then replay, then live; and the end of its token.

A session is one principal on one connection, whatever carries it. Authorization stays true while it
lives: it is warned before its token expires, closed a little after, and moves between rooms when a
refreshed token says so. This file does not know sockets, streams or HTTP.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from hub.cluster.bus import Bus
from hub.domain.access import Principal, Room, automatic_rooms, may_join, room_key
from hub.domain.errors import (
    CursorInvalid,
    RoomForbidden,
    StoreUnavailable,
    TokenInvalid,
    TokenRevoked,
    TooManyConnections,
)
from hub.domain.events import Cursor, Position
from hub.realtime.connection import Connection
from hub.realtime.fanout import Fanout
from hub.realtime.frames import Frame
from hub.services import dialects
from hub.services.inbox import InboxService
from hub.services.mutes import Mutes
from hub.services.presence import PresenceService
from hub.services.replay import Replays, Verdict
from hub.services.session import Session, SessionRules, signal
from hub.services.tokens import Tokens
from hub.services.wire import dumps, iso_seconds

EXPIRING = 60.0  # seconds before `exp` that the client is warned
GRACE = 25.0  # seconds after `exp` that it may still refresh
RETRY_PLACE = 5.0  # seconds after which a connection may have ended
SLICE = 500  # connections served before others get a turn
NOT_ASKED = Verdict(False)
Settle = Callable[[Verdict], Awaitable[None]]


class Sessions:
    def __init__(
        self,
        *,
        fanout: Fanout,
        bus: Bus,
        replays: Replays,
        inbox: InboxService,
        mutes: Mutes,
        tokens: Tokens,
        presence: PresenceService,
        rules: SessionRules,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._fanout = fanout
        self._bus = bus
        self._replays = replays
        self._inbox = inbox
        self._mutes = mutes
        self._tokens = tokens
        self._presence = presence
        self._rules = rules
        self._wall = wall
        self._monotonic = monotonic
        self._by_id: dict[str, Session] = {}  # by connection id
        self.opened: Counter[str] = Counter()  # since the start, by transport

    def all(self) -> list[Session]:
        """Every session of this process, as they are now."""
        return list(self._by_id.values())

    # -- opening -------------------------------------------------------------------------------------
    async def admit(self, who: Principal) -> None:
        """Ask first. Raises `TooManyConnections`, `TenantUnknown`, `StoreUnavailable`."""
        self._require_place(who)
        await self._bus.follow(who.tenant)
        self._bus.unfollow(who.tenant)  # it lingers until `open` follows for good

    def _require_place(self, who: Principal) -> None:
        rules, members = self._rules, self._fanout.members
        if len(members(room_key(who.tenant, f"user:{who.user}"))) >= rules.per_user:
            raise TooManyConnections(
                f"at most {rules.per_user} connections per user", retry_after=RETRY_PLACE
            )
        most = rules.per_tenant
        if most is not None and len(members(room_key(who.tenant, f"tenant:{who.tenant}"))) >= most:
            raise TooManyConnections(f"at most {most} connections per tenant", retry_after=RETRY_PLACE)

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
        lost: str = "",
        settle: Settle | None = None,
    ) -> Session:
        """Join, say `connected`, replay what `cursor` asks for, go live.

        Raises `StoreUnavailable`, and `TooManyConnections` when others were faster.

        `lifetime` in seconds: then the connection is closed and the client comes back by its cursor. `lost`,
        without a cursor: why it cannot get what it has missed. `settle` is told what the replay will be
        before anything is said; what it raises ends the attempt.
        """
        session = Session(who, conn)
        self.opened[conn.profile.transport] += 1
        self._by_id[conn.id] = session
        conn.hold()  # live events wait behind the replay
        try:
            self._tokens.require_valid(who)  # it is listed now: what is revoked from here on finds it
            await self._bus.follow(who.tenant)
            session.follows = True
            if cursor is not None:
                await self._reach(who.tenant, cursor)
            if session.alive:
                rooms = [*automatic_rooms(who), *extra]
                await self._join_and_replay(session, rooms, cursor, lost, settle)
        except BaseException:
            self.close(conn.id)
            raise
        finally:
            if not session.alive:
                self._let_go(session)  # it was closed while it was being opened
        if lifetime < math.inf:
            session.ends_at = self._monotonic() + lifetime
        self._watch(session)
        return session

    async def _join_and_replay(
        self, session: Session, rooms: Sequence[Room], cursor: str | None, lost: str, settle: Settle | None
    ) -> None:
        who, conn = session.who, session.conn
        self._require_place(who)  # others may have come since it was admitted
        names = [str(room) for room in rooms]
        for name in names:
            self._fanout.join(conn, room_key(who.tenant, name))
        self._presence.came(session)
        # No await between joining and this: what is dispatched after `position` is held, and nothing before.
        position = self._bus.position(who.tenant) or Position("", 0)
        verdict = Verdict(False, lost) if lost else NOT_ASKED
        muted, unread = await asyncio.gather(self._mutes.keep(who, conn), self._unread(who, position))
        if cursor is not None:
            verdict = await self._replays.since(
                cursor,
                position,
                tenant=who.tenant,
                user=who.user,
                rooms=names,
                types=conn.types,
                only=conn.profile.only,
                muted=muted,
            )
        if settle is not None:
            await settle(verdict)
        self._greet(session, names, position, cursor, verdict, unread)
        await self._play(conn, verdict)
        self._mutes.release(conn)

    async def _reach(self, tenant: str, cursor: str) -> None:
        """Catch up when the client has already seen more than this process has."""
        position = self._bus.position(tenant)
        try:
            asked = Cursor.parse(cursor)
        except CursorInvalid:
            return
        if position is not None and asked.epoch == position.epoch and asked.offset > position.offset:
            await self._bus.catch_up(tenant)

    async def _unread(self, who: Principal, position: Position) -> int | None:
        """As it was at `position`: what was stored since then comes live, and adds to it once."""
        try:
            return await self._inbox.unread_count(who, upto=position.offset if position.epoch else None)
        except StoreUnavailable:
            return None  # a connection is worth more than its counter

    def _greet(
        self,
        session: Session,
        rooms: Sequence[str],
        position: Position,
        asked: str | None,
        verdict: Verdict,
        unread: int | None,
    ) -> None:
        who, conn = session.who, session.conn
        stream = conn.profile.transport == "sse"
        # While a replay is still to come, the client's place is where it was: a drop in the middle of it
        # must ask for the rest again.
        cursor = asked if verdict.frames and asked else str(position.cursor)
        connected = {
            "sid": conn.id,
            "sessionId": who.session,
            "userId": who.user,
            "tenantId": who.tenant,
            "rooms": rooms,
            "cursor": cursor,
            "recovered": verdict.recovered,
            "recoveryReason": verdict.reason or None,
            "replayed": len(verdict.frames),
            "unreadCount": unread,
            "heartbeatMs": self._rules.stream_heartbeat_ms if stream else self._rules.heartbeat_ms,
            "expiresAt": iso_seconds(who.expires_at) if who.expires_at else None,
        }
        greeting = partial(dialects.greeting, connected, iso_seconds(self._wall()))
        conn.send_now(Frame.signal("connected", [dumps(connected)], cursor=cursor, render=greeting))
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
        self._mutes.forget(session.conn)
        self._presence.went(session)
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

    def find(self, tenant: str, conn_id: str) -> Session | None:
        """The session on a connection, if it is the tenant's and in this process."""
        session = self._by_id.get(conn_id)
        return session if session is not None and session.who.tenant == tenant else None

    def on(self, conn: Connection) -> Session | None:
        """The session on a connection of this process, while it lives."""
        return self._by_id.get(conn.id)

    async def end_revoked(self) -> None:
        """End every connection whose token was revoked."""
        for place, session in enumerate(self.all(), 1):
            try:
                self._tokens.require_valid(session.who)
            except TokenRevoked as revoked:
                self.end(session, "token_revoked", revoked.detail, reconnect=False)
            if place % SLICE == 0:
                await asyncio.sleep(0)

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
            self._presence.came(session)
        return str(room)

    def leave(self, session: Session, name: object) -> str:
        """Raises `RoomInvalid`, or `RoomForbidden` for a room that cannot be left."""
        room = Room.parse(session.who.tenant, name)
        if room in automatic_rooms(session.who):
            raise RoomForbidden(f"{str(room)!r} cannot be left")
        self._fanout.leave(session.conn, room.key)
        self._presence.left(session, str(room))
        if session.alive:
            self._presence.came(session)
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
            self._presence.came(session)
        self._watch(session)
        return {"expiresAt": iso_seconds(who.expires_at)}

    def _watch(self, session: Session) -> None:
        """Arrange for the end of the token. The wall clock is read once; waiting is monotonic."""
        if session.who.expires_at:
            expires_at = self._monotonic() + session.who.expires_at - self._wall()
            session.warn_at = expires_at - EXPIRING
            session.expires_at = expires_at + GRACE
