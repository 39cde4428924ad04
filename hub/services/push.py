"""Browsers of the caller that get web push: signed on, listed and signed off.

An endpoint is an address that the hub will call, chosen by whoever subscribes: it must be one on the
internet (its name is judged again at every call). A subscription's keys and endpoint are shown to nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from hub.domain.access import Principal
from hub.domain.errors import NotConfigured, SubscriptionUnknown, ValidationFailed
from hub.providers.targets import TargetRefused, Targets
from hub.services.wire import dumps, iso
from hub.store.push import Browser, PushSubscriptions

MAX_USER_AGENT = 300


class PushService:
    """`key`: the public VAPID key, None where no web push is sent. `most`: browsers of one user."""

    def __init__(
        self,
        subscriptions: PushSubscriptions,
        targets: Targets,
        *,
        key: str | None,
        most: int,
        tenant: Callable[[str], Awaitable[None]],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._subscriptions = subscriptions
        self._targets = targets
        self._key = key
        self._most = most
        self._require_tenant = tenant
        self._clock = clock
        self._new_id = new_id

    def key(self) -> str:
        """What browsers subscribe with (`applicationServerKey`). Raises `NotConfigured`."""
        if self._key is None:
            raise NotConfigured("web push needs HUB_VAPID_PRIVATE_KEY: the output of hub key vapid")
        return self._key

    async def subscribe(
        self, who: Principal, endpoint: str, *, p256dh: str, auth: str, user_agent: str | None
    ) -> str:
        """Keep a subscription; its id. Raises `NotConfigured` or `ValidationFailed`."""
        self.key()
        try:
            self._targets.require(endpoint)
        except TargetRefused as refused:
            errors = [{"field": "endpoint", "message": str(refused)}]
            raise ValidationFailed(f"endpoint: {refused}", errors=errors) from None
        await self._require_tenant(who.tenant)
        keys = {"p256dh": p256dh, "auth": auth}
        return await self._subscriptions.put(
            who.tenant,
            who.user,
            dumps({"endpoint": endpoint, "keys": keys}).decode(),
            id=self._new_id(),
            user_agent=user_agent[:MAX_USER_AGENT] if user_agent else None,
            now=self._clock(),
            most=self._most,
        )

    async def list(self, who: Principal) -> list[dict[str, Any]]:
        """The caller's browsers, the newest first, without what makes them usable."""
        return [_shape(browser) for browser in await self._subscriptions.list(who.tenant, who.user)]

    async def unsubscribe(self, who: Principal, id: str) -> None:
        """Raises `SubscriptionUnknown`."""
        if not await self._subscriptions.remove(who.tenant, who.user, id):
            raise SubscriptionUnknown("no such push subscription")


def _shape(browser: Browser) -> dict[str, Any]:
    return {
        "id": browser.id,
        "host": browser.host,
        "userAgent": browser.user_agent,
        "createdAt": iso(browser.created_at),
        "usedAt": iso(browser.used_at),
    }
