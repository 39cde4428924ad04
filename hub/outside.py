"""What reaches people outside of their connections, put together by the settings.

Words, providers, deliveries, and what comes back. It does not know what is sent, nor who is connected.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from hub.choices import budgets, callback_readers, overrides, patience, relay, style
from hub.domain.delivery import DeliveryUpdate
from hub.domain.routing import Reach
from hub.domain.rules import Types
from hub.senders import providers, targets, vapid_public_key
from hub.services.callbacks import CallbackService
from hub.services.deliver import Deliver
from hub.services.gates import Gates
from hub.services.ids import new_id
from hub.services.preferences import PreferencesService
from hub.services.publish import Publish
from hub.services.push import PushService
from hub.services.render import Render
from hub.services.shipped import Shipped
from hub.services.suppressions import SuppressionService
from hub.services.templates import Bound, TemplatesService
from hub.services.unsubscribe import UnsubscribeLinks, UnsubscribeService
from hub.settings import Settings
from hub.stores import Stores


class Outside:
    """`announce` is told of every step of a delivery, `count` of every answer of a provider."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        types: Types,
        preferences: PreferencesService,
        publish: Publish,
        *,
        tenant: Callable[[str], Awaitable[None]],
        announce: Callable[[Sequence[DeliveryUpdate]], None],
        count: Callable[[str], None],
        clock: Callable[[], datetime],
    ) -> None:
        # Words.
        self.links = UnsubscribeLinks(settings.link_secret, types, public_url=settings.public_url)
        shipped = Shipped(public_url=settings.public_url)
        self.overrides = overrides(settings, stores.templates, publish, shipped)
        self.render = Render(
            public_url=settings.public_url,
            shipped=shipped,
            own=self.overrides,
            unsubscribe=self.links.unsubscribe_url,
            style=style(settings),
        )
        self.templates = TemplatesService(
            stores.templates,
            self.overrides,
            shipped,
            self.render,
            types.registry,
            bound=Bound(settings.template_bytes, settings.templates_per_tenant),
            custom_types=settings.custom_types,
            tenant=tenant,
            clock=clock,
        )

        # The way out.
        self._providers = providers(settings, stores.outbox.add)
        self.reach = Reach(frozenset(self._providers), settings.countries)
        self.deliver = Deliver(
            stores.deliveries,
            relay(settings, self._providers, count),
            self.render,
            announce,
            clock=clock,
            chance=random.random,
            patience=patience(settings),
            gates=Gates(types, self.reach, budgets(settings)),
        )

        # What comes back, and who wants no more.
        self.callbacks = CallbackService(callback_readers(settings), stores.callbacks, announce, clock=clock)
        self.suppressions = SuppressionService(stores.suppressions, tenant=tenant, clock=clock)
        self.unsubscribe = UnsubscribeService(self.links, preferences)
        self.push = PushService(
            stores.push,
            targets(settings),
            key=vapid_public_key(settings),
            most=settings.push_subscriptions,
            tenant=tenant,
            clock=clock,
            new_id=new_id,
        )

    async def close(self) -> None:
        """Ends the connections to providers."""
        for chosen in self._providers.values():
            for provider in chosen:
                await provider.close()
