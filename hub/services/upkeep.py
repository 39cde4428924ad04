"""What time does to sessions: heartbeats, tokens and streams that end, and the end of the process.

Each look visits every session of this process once and lets others have a turn in between. Nothing here
opens a session.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable

from hub.services.session import signal
from hub.services.sessions import Sessions
from hub.services.wire import iso_seconds

DRAIN_SPREAD_MS = 2000
SLICE = 500  # connections served before others get a turn


class Upkeep:
    def __init__(
        self, sessions: Sessions, *, wall: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self._sessions = sessions
        self._wall = wall
        self._monotonic = monotonic

    def sweep(self) -> None:
        """Once a second: warn and close those whose token or lifetime ends. One look per session."""
        now = self._monotonic()
        for session in self._sessions.all():
            if now >= session.warn_at:
                session.warn_at = math.inf
                session.conn.send(signal("auth:expiring", {"expiresAt": iso_seconds(session.who.expires_at)}))
            if now >= session.expires_at:
                self._sessions.end(session, "token_expired", "the token has expired", reconnect=True)
            elif now >= session.ends_at:
                session.conn.close("lifetime", "the stream has reached its age", reconnect=True)
                self._sessions.close(session.conn.id)

    async def reap(self) -> None:
        """A safety net: forget sessions whose connection has ended without anyone saying so."""
        for session in self._sessions.all():
            if session.conn.closed:
                self._sessions.close(session.conn.id)

    async def beat(self) -> None:
        """`heartbeat` to every connection that is not a stream (those have comments)."""
        frame = signal("heartbeat", {"timestamp": iso_seconds(self._wall())})
        for place, session in enumerate(self._sessions.all(), 1):
            if session.conn.profile.transport != "sse":
                session.conn.send(frame)
            if place % SLICE == 0:
                await asyncio.sleep(0)

    async def drain(self) -> None:
        """Tell everybody to come back, each after a different while, and let go."""
        for place, session in enumerate(self._sessions.all(), 1):
            wait = random.randint(0, DRAIN_SPREAD_MS)
            session.conn.send_now(signal("server:draining", {"retryAfterMs": wait}))
            if place % SLICE == 0:
                await asyncio.sleep(0)
