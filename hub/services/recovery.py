"""Connection state recovery: who comes back after a short drop is the connection it was, on any process.

A connection that asks for it gets a pid, a secret behind which its id, its session and the rooms it has
joined are kept for a while. Whoever comes back with it must be the same user of the same tenant and session
on the same namespace, by a token that is valid now; rooms it may no longer join are dropped. A connection
that is still open under that id, half-open or not, is ended: the one that came last has it. What was missed
is not known here; that is the log's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hub.cluster.states import State, States
from hub.domain.access import Principal, Room, automatic_rooms, may_join
from hub.domain.errors import RoomInvalid, TokenRevoked
from hub.services.publish import Publish
from hub.services.session import Session
from hub.services.sessions import Sessions
from hub.services.wire import dumps, loads

ORDER = "recovered"  # what processes tell each other


@dataclass(frozen=True, slots=True)
class Hold:
    """A connection's own state: `turn` says how often it was taken over before."""

    pid: str
    owner: str
    turn: int


@dataclass(frozen=True, slots=True)
class Back:
    """What a client has come back to."""

    hold: Hold
    sid: str
    who: Principal
    rooms: tuple[Room, ...]


class Recovery:
    """`require_valid` raises `TokenRevoked`."""

    def __init__(
        self,
        states: States,
        sessions: Sessions,
        publish: Publish,
        *,
        require_valid: Callable[[Principal], None],
    ) -> None:
        self._states = states
        self._sessions = sessions
        self._publish = publish
        self._require_valid = require_valid
        self._held: dict[str, tuple[str, Hold]] = {}  # tenant and state, by connection id
        self._forgetting: set[asyncio.Task[None]] = set()
        publish.on_order(ORDER, self._ordered)

    # -- in ------------------------------------------------------------------------------------------
    async def begin(self, who: Principal, namespace: str, conn_id: str, rooms: Iterable[Room]) -> str | None:
        """A pid for a new connection. None: nothing can be kept now, so it cannot be recovered."""
        hold = Hold(self._states.new_secret(), _owner(who, namespace), 1)
        names = [str(room) for room in rooms]
        if not await self._states.keep(_state(hold, conn_id, who.session, names)):
            return None
        self.hold(who.tenant, conn_id, hold)
        return hold.pid

    async def claim(self, who: Principal, namespace: str, pid: str) -> Back | None:
        """What is behind a pid. None: it is unknown, too old, not theirs, or its session was revoked.

        Whoever had it loses it: their connection is ended.
        """
        hold = Hold(pid, _owner(who, namespace), 0)
        claimed = await self._states.claim(pid, hold.owner)
        if claimed is None:
            return None
        try:
            kept = loads(claimed.content)
            sid, names = kept["sid"], kept["rooms"]
            who = replace(who, session=kept["session"])
            self._require_valid(who)
        except (ValueError, KeyError, TypeError, TokenRevoked):
            return None
        self._publish.order(ORDER, {"tenant": who.tenant, "sid": sid, "turn": claimed.turn})
        return Back(
            hold=replace(hold, turn=claimed.turn),
            sid=sid,
            who=who,
            rooms=tuple(_allowed(who, names)),
        )

    def hold(self, tenant: str, conn_id: str, hold: Hold) -> None:
        """The connection has this state from now on."""
        self._held[conn_id] = tenant, hold

    # -- while it lives ------------------------------------------------------------------------------
    async def save(self, session: Session) -> None:
        """Keep the rooms that it is in now. Nothing to do for a connection that did not ask for recovery."""
        held = self._held.get(session.conn.id)
        if held is not None and await self._states.keep(_state_of(session, held[1])) is False:
            self._taken(*_loser(session.who.tenant, session.conn.id, held[1]))

    async def renew(self) -> None:
        """Once in a while: keep the states of all connections here. Ends those that were taken over."""
        found = [
            (conn_id, tenant, hold, session)
            for conn_id, (tenant, hold) in list(self._held.items())
            if (session := self._sessions.find(tenant, conn_id)) is not None
        ]
        kept = await self._states.keep_all([_state_of(session, hold) for _, _, hold, session in found])
        for (conn_id, tenant, hold, _), one in zip(found, kept, strict=True):
            if one is False:
                self._taken(*_loser(tenant, conn_id, hold))

    # -- out -----------------------------------------------------------------------------------------
    def let_go(self, conn_id: str, *, for_good: bool) -> None:
        """The connection is gone. `for_good`: it was not a drop, so nobody comes back to it."""
        held = self._held.pop(conn_id, None)
        if held is not None and for_good:
            task = asyncio.get_running_loop().create_task(self.forget(held[1]))
            self._forgetting.add(task)
            task.add_done_callback(self._forgetting.discard)

    async def forget(self, hold: Hold) -> None:
        """Nobody comes back by this pid."""
        await self._states.forget(_state(hold, "", "", ()))

    async def close(self) -> None:
        if self._forgetting:
            await asyncio.wait(self._forgetting)

    def _ordered(self, what: Mapping[str, Any]) -> None:
        self._taken(what["tenant"], what["sid"], what["turn"])

    def _taken(self, tenant: str, sid: str, turn: int) -> None:
        """End the connection of that id that is older than `turn`, if it is here.

        For good: a client whose connection was taken over by another must not take it back, and so on.
        """
        held = self._held.get(sid)
        if held is None or held[0] != tenant or held[1].turn >= turn:
            return
        del self._held[sid]
        session = self._sessions.find(tenant, sid)
        if session is not None:
            self._sessions.end(
                session, "taken_over", "its client has come back on another connection", reconnect=False
            )


def _owner(who: Principal, namespace: str) -> str:
    """Who may come back. No part can hold a line break; a session that the hub made up is nobody's proof."""
    return "\n".join((who.tenant, who.user, "" if who.sessionless else who.session, namespace))


def _state(hold: Hold, sid: str, session: str, rooms: Iterable[str]) -> State:
    content = dumps({"sid": sid, "session": session, "rooms": list(rooms)})
    return State(hold.pid, hold.owner, hold.turn, content)


def _state_of(session: Session, hold: Hold) -> State:
    automatic = {room.key for room in automatic_rooms(session.who)}
    joined = [key.partition("/")[2] for key in session.conn.rooms if key not in automatic]
    return _state(hold, session.conn.id, session.who.session, joined)


def _loser(tenant: str, conn_id: str, hold: Hold) -> tuple[str, str, int]:
    """As `_taken` wants it, when all that is known is that somebody was later."""
    return tenant, conn_id, hold.turn + 1


def _allowed(who: Principal, names: Iterable[str]) -> Iterable[Room]:
    for name in names:
        try:
            room = Room.parse(who.tenant, name)
        except RoomInvalid:
            continue
        if may_join(who, room):
            yield room
