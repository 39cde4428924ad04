"""What users' clients have acknowledged: a watermark per user, on its way into the store.

Acknowledging costs a look-up in memory; the newest of each user is written once in a while, for all users
together. What is not written yet is lost with the process, and made good by the client's next one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from hub.domain.access import Principal
from hub.domain.errors import StoreUnavailable
from hub.domain.events import Cursor
from hub.store.delivered import DeliveredMarks

MAX_WAITING = 100_000  # users whose marks may wait while the database is away

log = structlog.get_logger(__name__)


class Delivered:
    def __init__(self, marks: DeliveredMarks, *, clock: Callable[[], datetime]) -> None:
        self._marks = marks
        self._clock = clock
        self._waiting: dict[tuple[str, str], Cursor] = {}

    def acknowledge(self, who: Principal, cursor: Cursor) -> None:
        """The user has everything up to `cursor`. An older one than before changes nothing."""
        self._note((who.tenant, who.user), cursor)

    def _note(self, key: tuple[str, str], cursor: Cursor) -> None:
        before = self._waiting.get(key)
        if before is None:
            if len(self._waiting) < MAX_WAITING:
                self._waiting[key] = cursor
        elif before.epoch != cursor.epoch or before.offset < cursor.offset:
            self._waiting[key] = cursor

    async def flush(self) -> None:
        """Write what waits. Does nothing when nothing does."""
        if not self._waiting:
            return
        marks, self._waiting = self._waiting, {}
        try:
            await self._marks.move(marks, now=self._clock())
        except StoreUnavailable:
            newer, self._waiting = self._waiting, marks
            for key, cursor in newer.items():
                self._note(key, cursor)
            log.info("acknowledgements wait for the database", action="delivered.wait", users=len(marks))
