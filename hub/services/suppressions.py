"""A tenant's list of addresses that get nothing any more, as admins see and change it.

What stands there are digests: an admin finds an address by adding it, and sees a hint of each. Every change
leaves a note of who made it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from hub.domain.callback import MANUAL
from hub.domain.errors import SuppressionUnknown
from hub.domain.suppression import Suppression
from hub.services.admin import By
from hub.services.reports import Rows
from hub.services.wire import iso
from hub.store.audit import Note
from hub.store.suppressions import Place, Suppressions, place_of


class SuppressionService:
    def __init__(
        self,
        suppressions: Suppressions,
        *,
        tenant: Callable[[str], Awaitable[None]],
        clock: Callable[[], datetime],
    ) -> None:
        self._suppressions = suppressions
        self._require_tenant = tenant
        self._clock = clock

    async def page(self, tenant: str, *, channel: str | None, limit: int, after: Place | None) -> Rows:
        """Entries, the newest first."""
        found = await self._suppressions.page(tenant, channel=channel, limit=limit, after=after)
        following = ".".join(map(str, place_of(found[-1]))) if len(found) == limit else None
        return Rows([_shape(entry) for entry in found], following)

    async def add(self, by: By, tenant: str, channel: str, address: str) -> tuple[dict[str, Any], bool]:
        """The entry, and whether it is new. Doing it twice is no fault; the first reason stays."""
        await self._require_tenant(tenant)
        note = self._note(by, tenant, "suppression.add", None)
        entry, is_new = await self._suppressions.add(
            tenant, channel, address, MANUAL, now=self._clock(), note=note
        )
        return _shape(entry), is_new

    async def remove(self, by: By, tenant: str, channel: str, id: str) -> None:
        """Raises `SuppressionUnknown`."""
        note = self._note(by, tenant, "suppression.remove", f"{channel}:{id}")
        if not await self._suppressions.remove(tenant, channel, id, note=note):
            raise SuppressionUnknown("no such entry")

    def _note(self, by: By, tenant: str, action: str, target: str | None) -> Note:
        return Note(
            tenant=tenant,
            actor=by.actor,
            action=action,
            at=self._clock(),
            target=target,
            request_id=by.request_id,
        )


def _shape(entry: Suppression) -> dict[str, Any]:
    return {
        "channel": entry.channel,
        "id": entry.id,
        "hint": entry.hint,
        "reason": entry.reason,
        "deliveryId": entry.delivery,
        "createdAt": iso(entry.created_at),
    }
