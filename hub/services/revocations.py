"""Calling tokens back, in every process within two seconds.

SQL holds them; each process keeps those in force in memory and asks for newer ones every second, and at
once when another process says that there are some. So nothing is lost with the bus, and a check costs four
look-ups. While the database is away what is known stays in force. This file does not know connections; who
has some waits for `changed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from hub.domain.access import Principal
from hub.domain.errors import TokenRevoked
from hub.domain.revocation import Revocation, Revoked
from hub.services.publish import Publish
from hub.services.watching import Watch
from hub.store.audit import Note
from hub.store.revocations import RevocationRows

FORGET_SECONDS = 600.0
PAGE = 1000
ORDER = "revoked"  # what processes tell each other


class Revocations:
    """`keep`: how long a token can live at most."""

    def __init__(
        self,
        rows: RevocationRows,
        publish: Publish,
        *,
        keep: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._rows = rows
        self._keep = keep
        self._clock = clock
        self._revoked = Revoked()
        self._forget_at = 0.0  # Unix seconds
        self._seen = 0  # the newest number that was read
        self._news = asyncio.Event()
        self._looking = asyncio.Lock()
        self._watch = Watch(publish, ORDER, self.look)

    def require_valid(self, who: Principal) -> None:
        """Raises `TokenRevoked`."""
        if self._revoked.concern(who):
            raise TokenRevoked("the token was revoked")

    async def revoke(self, tenant: str, kind: str, value: str, before: datetime, note: Note) -> datetime:
        """Call back; until when it is remembered. In force here when this returns, elsewhere soon.

        `before` is for what is judged by when it was issued. Raises `StoreUnavailable`.
        """
        expires_at = self._clock() + self._keep
        stored = await self._rows.add(
            Revocation(
                tenant=tenant,
                kind=kind,
                value=value,
                before=before.timestamp(),
                expires_at=expires_at.timestamp(),
            ),
            note,
        )
        self._revoked.add([stored])
        self._news.set()
        self._watch.tell()
        return expires_at

    # -- keeping up ----------------------------------------------------------------------------------
    async def changed(self) -> None:
        """Return when there are some that nobody has waited for yet."""
        await self._news.wait()
        self._news.clear()

    async def look(self) -> None:
        """Read what was stored since the last look. Raises `StoreUnavailable`."""
        async with self._looking:
            now = self._clock().timestamp()
            if now >= self._forget_at:
                self._revoked.forget(now)
                self._forget_at = now + FORGET_SECONDS
            while True:
                found = await self._rows.since(self._seen, limit=PAGE)
                if found:
                    self._revoked.add(found)
                    self._seen = found[-1].number
                    self._news.set()
                if len(found) < PAGE:
                    return

    async def watch(self) -> None:
        """Look for ever."""
        await self._watch.run()
