"""Where a user says to be: told by the user, forgotten when the user says so or after a while.

The roles are those of the token the location came with. Nobody is ever told where somebody is; all that can
be done with a location is to notify who is near a place (see `ingest`). This file does not know distances.
"""

from __future__ import annotations

import structlog

from hub.cluster.locations import Locations
from hub.domain.access import Principal
from hub.domain.errors import Unavailable
from hub.services.wire import iso_seconds

log = structlog.get_logger(__name__)


class Whereabouts:
    def __init__(self, locations: Locations) -> None:
        self._locations = locations

    async def tell(self, who: Principal, lat: float, lon: float) -> dict[str, str]:
        """The user is here now, and until `expiresAt`. Raises `Unavailable`."""
        ends = await self._locations.put(who.tenant, who.user, who.roles, lat, lon)
        return {"expiresAt": iso_seconds(ends)}

    async def forget(self, who: Principal) -> None:
        """Raises `Unavailable`; then the location is still there until it expires."""
        await self._locations.remove(who.tenant, who.user)

    async def forget_person(self, tenant: str, user: str) -> None:
        """The same for a person who is deleted. Never raises: what Redis cannot forget now ends by itself."""
        try:
            await self._locations.remove(tenant, user)
        except Unavailable:
            log.warning("a location is left to expire", action="location.left", tenant=tenant)
