"""Ending one connection, in whatever process it is.

Every process is told; the one that has it says so. Nobody says so within a moment: there is no such
connection, or the processes cannot hear each other now, which is answered differently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from hub.domain.errors import ConnectionUnknown, Unavailable
from hub.services.publish import Publish
from hub.services.sessions import Sessions

ASK, ANSWER = "disconnect", "disconnected"  # what processes tell each other
PATIENCE = 1.0  # seconds that the others have to answer


class Disconnect:
    """`alone`: there are no other processes. `connected`: whether those are heard at the moment."""

    def __init__(
        self,
        sessions: Sessions,
        publish: Publish,
        *,
        alone: bool,
        connected: Callable[[], bool],
        new_id: Callable[[], str],
    ) -> None:
        self._sessions = sessions
        self._publish = publish
        self._alone = alone
        self._connected = connected
        self._new_id = new_id
        self._asked: dict[str, asyncio.Future[None]] = {}
        publish.on_order(ASK, self._ask)
        publish.on_order(ANSWER, self._answer)

    async def end(self, tenant: str, conn_id: str) -> None:
        """End a connection of the tenant. Raises `ConnectionUnknown` or `Unavailable`."""
        if self._end_here(tenant, conn_id):
            return
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        request = self._new_id()
        self._asked[request] = heard
        try:
            if not self._alone:
                self._publish.order(ASK, {"request": request, "tenant": tenant, "sid": conn_id})
                async with asyncio.timeout(PATIENCE):
                    await heard
                return
        except TimeoutError:
            if not self._connected():
                raise Unavailable("the other processes cannot be reached now") from None
        finally:
            del self._asked[request]
        raise ConnectionUnknown("no such connection")

    def _ask(self, what: Mapping[str, Any]) -> None:
        if self._end_here(what["tenant"], what["sid"]):
            self._publish.order(ANSWER, {"request": what["request"]})

    def _answer(self, what: Mapping[str, Any]) -> None:
        heard = self._asked.get(what["request"])
        if heard is not None and not heard.done():
            heard.set_result(None)

    def _end_here(self, tenant: str, conn_id: str) -> bool:
        session = self._sessions.find(tenant, conn_id)
        if session is None:
            return False
        self._sessions.end(session, "disconnected", "an admin ended the connection", reconnect=False)
        return True
