"""What people have muted in the app, kept from their connections from the first moment on.

Promises: a connection shows nothing of the log before it is known what its person has muted. While the
database is away, that waits in the connection, in order and within its bounds, while everything else goes on;
it is asked again until it is known. A change that comes meanwhile is newer than what is asked for. Does not
know how mutes are stored.
"""

from __future__ import annotations

import asyncio
from itertools import islice

from hub.domain.access import Principal
from hub.domain.errors import StoreUnavailable
from hub.realtime.connection import Connection
from hub.realtime.frames import Frame
from hub.services.preferences import PreferencesService

AT_ONCE = 64  # people who are asked for together


class Mutes:
    def __init__(self, preferences: PreferencesService) -> None:
        self._preferences = preferences
        self._unknown: dict[Connection, Principal] = {}  # that are being opened
        self._waiting: dict[Connection, Principal] = {}  # that are open

    async def keep(self, who: Principal, conn: Connection) -> bool:
        """Keep from the connection what its person has muted. True: something may have been kept from them
        before, which only SQL knows."""
        try:
            return await self._ask(who, conn)
        except StoreUnavailable:
            self._unknown[conn] = who
            return True

    def release(self, conn: Connection) -> None:
        """It is open: let it go live, as far as is known what may be shown."""
        who = self._unknown.pop(conn, None)
        if who is None:
            conn.release()
        else:
            self._waiting[conn] = who
            conn.hold(only=in_log)

    def forget(self, conn: Connection) -> None:
        """The connection is gone."""
        self._unknown.pop(conn, None)
        self._waiting.pop(conn, None)

    async def ask_again(self) -> None:
        """Once a second: ask for those of whom nothing is known. While the database is away, for a few."""
        while some := list(islice(self._waiting.items(), AT_ONCE)):
            try:
                await asyncio.gather(*(self._ask(who, conn) for conn, who in some))
            except StoreUnavailable:
                return
            for conn, _ in some:
                self.forget(conn)
                conn.release()

    async def _ask(self, who: Principal, conn: Connection) -> bool:
        untold = conn.hides
        mute = await self._preferences.muted(who)
        if mute is not None and mute.active and conn.hides is untold:  # else it was told something newer
            conn.hides = mute.hides
        return mute is not None


def in_log(frame: Frame) -> bool:
    """Whether a frame has its place in the log, and its turn."""
    return frame.cursor is not None
