"""What people want: shown, changed, and told to their other screens at once.

Types are known here by all their names and kept under their own; what cannot be muted is refused. A change
of what is muted in the app reaches every connection of that person, in whatever process it is; one that is
not reached (Redis is away) hears of it when it comes back. This file does not know HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hub.domain.access import Principal, room_key
from hub.domain.preferences import (
    Mute,
    Said,
    canonical,
    merged,
    mute_of,
    mutes,
    require_bounded,
    shown,
)
from hub.domain.rules import Types
from hub.realtime.fanout import Fanout
from hub.services.publish import Publish
from hub.store.audit import Note
from hub.store.preferences import Preferences

if TYPE_CHECKING:
    from hub.services.admin import By

ORDER = "muted"  # what processes tell each other


class PreferencesService:
    def __init__(
        self,
        preferences: Preferences,
        types: Types,
        fanout: Fanout,
        publish: Publish,
        *,
        tenant: Callable[[str], Awaitable[None]],
        clock: Callable[[], datetime],
    ) -> None:
        self._preferences = preferences
        self._types = types
        self._fanout = fanout
        self._publish = publish
        self._require_tenant = tenant
        self._clock = clock
        publish.on_order(ORDER, self._ordered)

    async def show(self, who: Principal) -> dict[str, Any]:
        """Everything that holds for the caller, whoever has said it."""
        found = await self._preferences.get(who.tenant, who.user)
        return shown(found.own, found.default)

    async def change(self, who: Principal, change: Said) -> dict[str, Any]:
        """Take in a partial change; everything that holds now. Raises `ValidationFailed`."""
        await self._require_tenant(who.tenant)
        change = self._canonical(who.tenant, change)

        def judged(before: Said) -> Said:
            after = merged(before, change)
            require_bounded(after)
            return after

        found, muted = await self._preferences.change(who.tenant, who.user, judged, now=self._clock())
        holds = shown(found.own, found.default)
        if muted:
            rows = sorted(mutes(found.own))
            self._publish.order(ORDER, {"tenant": who.tenant, "user": who.user, "types": rows})
        self._publish.signal(who.tenant, [f"user:{who.user}"], "preferences:updated", holds)
        return holds

    async def muted(self, who: Principal) -> Mute | None:
        """What is to be kept from the person's connections; None: they have never muted anything."""
        return mute_of(await self._preferences.muted(who.tenant, who.user), self._types.fixed(who.tenant))

    # -- a tenant's defaults -------------------------------------------------------------------------
    async def defaults(self, tenant: str) -> Said:
        await self._require_tenant(tenant)
        return await self._preferences.defaults(tenant)

    async def set_defaults(self, by: By, tenant: str, said: Said) -> Said:
        """Put all of a tenant's defaults in the place of those before. Raises `ValidationFailed`."""
        await self._require_tenant(tenant)
        said = merged({}, self._canonical(tenant, said))
        require_bounded(said)
        note = Note(
            tenant=tenant,
            actor=by.actor,
            action="preferences.set",
            at=self._clock(),
            target=None,
            details={"fields": sorted(said)},
            request_id=by.request_id,
        )
        await self._preferences.set_defaults(tenant, said, note=note)
        return said

    # -- parts ---------------------------------------------------------------------------------------
    def _canonical(self, tenant: str, change: Said) -> Said:
        return canonical(change, self._name, self._types.fixed(tenant))

    def _name(self, said: str) -> str:
        return self._types.as_shipped(said).name

    def _ordered(self, what: Mapping[str, Any]) -> None:
        mute = Mute(frozenset(what["types"]), self._types.fixed(what["tenant"]))
        for conn in tuple(self._fanout.members(room_key(what["tenant"], f"user:{what['user']}"))):
            conn.hides = mute.hides if mute.active else None
