"""Where a realtime connection takes its place, whatever its transport, before anything else is done for it.

Promises that a cap is held at once, that the place is given back when the connection does not come about,
and that an operator whose proxy hides its clients is told once which setting says so.
"""

from __future__ import annotations

import structlog
from aiohttp import web

from hub.domain.errors import TooManyConnections
from hub.realtime.places import Place
from hub.web.context import HUB
from hub.web.proxies import hides_clients, peer_of

log = structlog.get_logger(__name__)
WARNED: web.AppKey[list[bool]] = web.AppKey("warned_of_hidden_clients")


def enter(request: web.Request) -> Place:
    """A place for the connection that `request` asks for. Raises `ProcessFull` and `TooManyConnections`."""
    try:
        return request.app[HUB].places.take(peer_of(request).address)
    except TooManyConnections:
        warned = request.app[WARNED]
        if not warned and hides_clients(request):
            warned.append(True)
            log.warning(
                "a cap per address refuses clients behind a proxy that is not trusted: they all count as one"
                " address; list the proxy in HUB_TRUSTED_PROXIES",
                action="connection.proxy_untrusted",
            )
        raise
