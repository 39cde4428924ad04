"""A session: one principal on one connection, whatever carries it, and what is said to it alone.

Plain data; `sessions` opens and closes it, `upkeep` looks after it as time goes by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hub.domain.access import Principal
from hub.realtime.connection import Connection
from hub.realtime.frames import Frame
from hub.services.wire import dumps


@dataclass(frozen=True, slots=True)
class SessionRules:
    per_user: int = 20  # connections of one user in this process
    heartbeat_ms: int = 30000
    per_tenant: int | None = None  # connections of one tenant in this process
    stream_heartbeat_ms: int = 30000  # the same for streams, which show life by comments


class Session:
    """One principal on one connection."""

    __slots__ = ("alive", "conn", "ends_at", "expires_at", "follows", "warn_at", "who")

    def __init__(self, who: Principal, conn: Connection) -> None:
        self.who = who
        self.conn = conn
        self.alive = True
        self.follows = False  # the bus counts it
        self.warn_at = self.expires_at = self.ends_at = math.inf  # monotonic seconds


def signal(name: str, payload: Any) -> Frame:
    """A frame for one connection: an event with one argument, not in the log."""
    return Frame.signal(name, [dumps(payload)])
