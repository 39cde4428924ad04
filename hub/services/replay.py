"""What a returning client has missed: from the ring of recent events, or from SQL.

The answer is a verdict: recovered with these frames, or not, with the reason. Whoever asks has already
joined its rooms and is holding live events back, so `upto` (what this process has dispatched) divides
the past from the live without a gap and without an overlap.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hub.domain.errors import CursorInvalid
from hub.domain.events import Cursor, Position
from hub.realtime.frames import Frame
from hub.realtime.replay import Ring
from hub.services.publish import Past, frame_of, record_of
from hub.services.recall import Recall
from hub.store.events import EventLog

CONCURRENT = 8  # replays that may read SQL at once, in one process
CROWD = 4  # replays of one tenant under way; whoever comes on top reads the log for all of them


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is empty when the client has asked for nothing or gets everything."""

    recovered: bool
    reason: str = ""
    frames: Sequence[Frame] = field(default_factory=tuple)


class Replays:
    def __init__(self, ring: Ring[Past], log: EventLog, *, limit: int, clock: Callable[[], datetime]) -> None:
        self._ring = ring
        self._log = log
        self._limit = limit
        self._clock = clock
        self._recall = Recall(ring, log)
        self._reading = asyncio.Semaphore(CONCURRENT)
        self._stored_for: Counter[str] = Counter()  # replays that read SQL or wait to, by tenant
        self.answered: Counter[str] = Counter()  # by the reason why not, or "recovered"
        self.replayed = 0  # events

    async def since(
        self,
        text: str,
        position: Position,
        *,
        tenant: str,
        user: str,
        rooms: Collection[str],
        types: tuple[str, ...] | None,
        only: str = "",
        muted: bool = False,
    ) -> Verdict:
        """Everything in `rooms` after the cursor `text`, up to `position`, oldest first.

        `muted`: something may have been kept from the user, which only SQL knows.
        """
        verdict = await self._judge(text, position, tenant, user, rooms, types, only, muted)
        self.answered[verdict.reason or "recovered"] += 1
        self.replayed += len(verdict.frames)
        return verdict

    async def _judge(
        self,
        text: str,
        position: Position,
        tenant: str,
        user: str,
        rooms: Collection[str],
        types: tuple[str, ...] | None,
        only: str,
        muted: bool,
    ) -> Verdict:
        try:
            cursor = Cursor.parse(text)
        except CursorInvalid:
            return Verdict(False, "invalid")
        if cursor.epoch != position.epoch:
            return Verdict(False, "epoch")
        if cursor.offset > position.offset:
            return Verdict(False, "invalid")
        if cursor.offset < position.trimmed:
            return Verdict(False, "trimmed")
        if cursor.offset == position.offset:
            return Verdict(True)
        frames = None if muted else self._recent(tenant, cursor, position.offset, rooms)
        if frames is None and not muted and self._stored_for[tenant] >= CROWD:
            await self._recall.reach(tenant, cursor.offset, position.offset)
            frames = self._recent(tenant, cursor, position.offset, rooms)
        if frames is None:
            frames = await self._stored(tenant, user, cursor.offset, position.offset, rooms)
        if len(frames) > self._limit:
            return Verdict(False, "limit")
        if types is not None:
            frames = [frame for frame in frames if frame.wanted(types)]
        if only:
            frames = [frame for frame in frames if frame.passes(only)]
        return Verdict(True, frames=frames)

    def _recent(self, tenant: str, cursor: Cursor, upto: int, rooms: Collection[str]) -> list[Frame] | None:
        """From memory; None when it does not hold all of it: too far back, or the tenant was not followed."""
        past = self._ring.since(tenant, cursor.offset)
        if (
            not past
            or past[-1][0] < upto
            or not (past[0][1].frame.cursor or "").startswith(f"{cursor.epoch}:")
        ):
            return None
        rooms = frozenset(rooms)
        now = self._clock().timestamp()
        return [item.frame for offset, item in past if offset <= upto and item.is_for(rooms, now)]

    async def _stored(
        self, tenant: str, user: str, after: int, upto: int, rooms: Collection[str]
    ) -> list[Frame]:
        self._stored_for[tenant] += 1
        try:
            async with self._reading:
                events = await self._log.missed(
                    tenant, sorted(rooms), user, after, upto, limit=self._limit + 1, now=self._clock()
                )
        finally:
            self._stored_for[tenant] -= 1
            if not self._stored_for[tenant]:
                del self._stored_for[tenant]
        return [frame_of(record_of(event)) for event in events]
