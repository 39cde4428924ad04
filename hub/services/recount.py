"""Telling people how many are unread when something has left their inboxes without their doing.

Promises: whoever is connected here gets their own count, read after the change and told after it; each
connection costs one count however much has changed meanwhile, and a crowd is worked off a few at a time.
While the database is away nothing is told: the next change, or the next connection, tells it. Does not know
what has left, nor why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

import structlog

from hub.domain.access import Principal
from hub.domain.errors import StoreUnavailable
from hub.realtime.connection import Connection
from hub.realtime.fanout import Fanout
from hub.services.session import Session, signal

AT_ONCE = 64  # counts that are read together

log = structlog.get_logger(__name__)


class Sessions(Protocol):
    def on(self, conn: Connection) -> Session | None: ...


class Inbox(Protocol):
    async def unread_count(self, who: Principal) -> int: ...


class Recount:
    def __init__(self, fanout: Fanout, sessions: Sessions, inbox: Inbox) -> None:
        self._fanout = fanout
        self._sessions = sessions
        self._inbox = inbox
        self._waiting: dict[Connection, None] = {}
        self._some = asyncio.Event()

    def hear(self, rooms: Sequence[str]) -> None:
        """Something has left the inboxes of these rooms (keys)."""
        for key in rooms:
            self._waiting |= dict.fromkeys(self._fanout.members(key))
        self._some.set()

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                some = list(islice(self._waiting, AT_ONCE))
                for conn in some:
                    del self._waiting[conn]
                await asyncio.gather(*(self._tell(conn) for conn in some))

    async def _tell(self, conn: Connection) -> None:
        session = self._sessions.on(conn)
        if session is None:
            return
        try:
            count = await self._inbox.unread_count(session.who)
        except StoreUnavailable:
            return  # the store has said so itself
        except Exception:
            log.exception("a count cannot be told", action="recount.failed")
            return
        if session.alive:
            conn.send(signal("notification:unread_count", {"count": count}))
