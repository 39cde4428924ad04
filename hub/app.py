"""Where a hub is put together: the only place that chooses parts, by the settings.

`build` makes a hub that touches nothing but the database yet; `open` starts it; `drain` sends its
connections away; `close` ends it, the newest part first. A worker's hub is the same hub without doors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
from redis.asyncio import Redis

from hub.choices import (
    budgets,
    callback_readers,
    daily,
    keep,
    limits,
    presence,
    registry,
    socket_options,
    tokens,
    web_options,
)
from hub.clock import utc_now
from hub.cluster.bus import Bus
from hub.cluster.limiter import Limiter
from hub.cluster.locations import Locations
from hub.cluster.states import States
from hub.cluster.tally import Tally
from hub.cluster.tickets import Tickets
from hub.domain.access import SCOPES
from hub.domain.delivery import DeliveryUpdate, Status
from hub.domain.errors import Refusal
from hub.domain.events import Event, Registry
from hub.domain.rules import Types
from hub.metrics import Metrics
from hub.outside import Outside
from hub.realtime.fanout import Fanout
from hub.realtime.lag import LoopLag
from hub.realtime.manager import RoomManager
from hub.realtime.outflow import Tick
from hub.realtime.places import Places
from hub.realtime.plain import PlainSockets
from hub.realtime.replay import Ring
from hub.realtime.stream import Streams
from hub.senders import admins_webhook
from hub.services.admin import AdminService, AdminStores
from hub.services.delivered import Delivered
from hub.services.disconnect import Disconnect
from hub.services.expand import Expand
from hub.services.explain import Explain, ExplainStores
from hub.services.ids import new_id
from hub.services.inbox import InboxService
from hub.services.ingest import Ingest
from hub.services.mutes import Mutes
from hub.services.outlines import Outlines, Rules
from hub.services.pending import Pending
from hub.services.people import PeopleService
from hub.services.preferences import PreferencesService
from hub.services.publish import Past, Publish
from hub.services.recount import Recount
from hub.services.recovery import Recovery
from hub.services.replay import Replays
from hub.services.reports import ReportsService
from hub.services.revocations import Revocations
from hub.services.session import SessionRules
from hub.services.sessions import Sessions
from hub.services.timers import Timers
from hub.services.types import TypesService
from hub.services.upkeep import DRAIN_SPREAD_MS, Upkeep
from hub.services.whereabouts import Whereabouts
from hub.settings import DEVELOPMENT_KEY, Settings
from hub.siblings import Siblings
from hub.store.collapse import Replaced
from hub.store.engine import Database
from hub.store.events import Append, EventLog
from hub.stores import Stores
from hub.web.background import Background
from hub.web.events import Pace
from hub.web.plain import Plain
from hub.web.sockets import Sockets
from hub.web.sse import Sse, StreamOptions
from hub.web.traffic import Traffic
from tasks.hints import Hints
from tasks.queues import celery_app

NEWS_SECONDS = 0.25  # between looks for users whose grace is over
ACKNOWLEDGE_SECONDS = 1.0  # between two writes of what clients have acknowledged
FLUSH_SECONDS = 0.1  # what a drained connection gets before it is ended

log = structlog.get_logger(__name__)


class Hub:
    """All parts of one process, and their life."""

    def __init__(self, settings: Settings, db: Database, registry: Registry) -> None:
        self.settings = settings
        self.options = web_options(settings)
        self.registry = registry
        types = Types(registry)
        self.db = db
        self._background = Background()
        self._draining = False

        # What is stored.
        self.log = EventLog(db, clock=utc_now, on_commit=self._committed)
        stores = Stores(db)
        self.keys = stores.keys
        self.outbox = stores.outbox
        self.queue = stores.queue

        # What processes share, and what connections share.
        url = settings.redis
        self.redis = Redis.from_url(url) if url else None
        self.fanout = Fanout(Tick(max_bytes=settings.outbox_bytes))
        ring: Ring[Past] = Ring(settings.ring_events)
        self.publish = Publish(self.fanout, ring, self.log)
        key = settings.bus_key.get_secret_value().encode() if settings.bus_key else None
        node = new_id()
        self.bus = Bus(
            url,
            prefix=settings.redis_prefix,
            node=node,
            key=key,
            deliver=self.publish.deliver,
            hears=self.publish.hears,
            fill=self.publish.fill,
            positions=self.log.positions,
            hole_seconds=settings.hole_ms / 1000,
            poll_seconds=settings.poll_seconds,
        )
        self.tally = Tally(self.redis, prefix=settings.redis_prefix)
        self.presence = presence(settings, self.redis, self.bus, self.fanout, node)
        self.publish.attach(self.bus, self.presence.hear)
        self.hints = Hints(partial(celery_app, settings.broker, prefix=settings.redis_prefix, heartbeat=None))

        # The verbs.
        self.revocations = Revocations(
            stores.revocations,
            self.publish,
            keep=max(timedelta(days=settings.revocation_days), timedelta(seconds=settings.jwt_expires_in)),
            clock=utc_now,
        )
        self.tokens = tokens(
            settings,
            tickets=Tickets(self.redis, prefix=settings.redis_prefix),
            keys=self.keys,
            log=self.log,
            require_valid=self.revocations.require_valid,
        )
        self.preferences = PreferencesService(
            stores.preferences,
            types,
            self.fanout,
            self.publish,
            tenant=self.tokens.require_tenant,
            clock=utc_now,
        )
        self._outside = outside = Outside(
            settings,
            stores,
            types,
            self.preferences,
            self.publish,
            tenant=self.tokens.require_tenant,
            announce=self._announce,
            count=self.tally.add,
            clock=utc_now,
        )
        self.links, self.templates = outside.links, outside.templates
        self.deliver, self.callbacks = outside.deliver, outside.callbacks
        self.suppressions, self.unsubscribe = outside.suppressions, outside.unsubscribe
        self.push = outside.push
        self.types = TypesService(
            types,
            stores.type_rules,
            self.publish,
            most=settings.types_per_tenant,
            custom_types=settings.custom_types,
            tenant=self.tokens.require_tenant,
            clock=utc_now,
        )
        locations = Locations(self.redis, prefix=settings.redis_prefix, seconds=settings.location_seconds)
        self.whereabouts = Whereabouts(locations)
        outlines = Outlines(
            types=types,
            people=stores.people,
            locations=locations,
            words=outside.render.words,
            rules=Rules(settings.custom_types, settings.max_rooms, outside.reach),
            new_id=new_id,
        )
        self.ingest = Ingest(
            outlines=outlines,
            log=self.log,
            people=stores.people,
            scheduled=stores.scheduled,
            publish=self.publish,
            quota=Limiter(self.redis, prefix=settings.redis_prefix),
            per_minute=settings.tenant_events_per_minute,
            tenant=self.tokens.require_tenant,
            clock=utc_now,
        )
        self.inbox = InboxService(
            stores.inbox,
            self.log,
            stores.deliveries,
            stores.trail,
            self.publish,
            announce=self._announce,
            clock=utc_now,
        )
        self.delivered = Delivered(stores.delivered, clock=utc_now)
        self.people = PeopleService(
            stores.people,
            tenant=self.tokens.require_tenant,
            forget=self.whereabouts.forget_person,
            clock=utc_now,
        )
        self.explain = Explain(
            self.ingest,
            ExplainStores(stores.people, stores.preferences, stores.suppressions, stores.spending),
            reach=outside.reach,
            budgets=budgets(settings),
            webhook=admins_webhook(settings),
            clock=utc_now,
        )
        self.deliveries = Pending(self.log, stores.scheduled, stores.deliveries, self.publish)
        self.replays = Replays(ring, self.log, limit=settings.replay_limit, clock=utc_now)
        self.mutes = Mutes(self.preferences)
        self.sessions = Sessions(
            fanout=self.fanout,
            bus=self.bus,
            replays=self.replays,
            inbox=self.inbox,
            mutes=self.mutes,
            tokens=self.tokens,
            presence=self.presence,
            rules=SessionRules(
                per_user=settings.connections_per_user,
                heartbeat_ms=settings.heartbeat_ms,
                per_tenant=settings.connections_per_tenant,
                stream_heartbeat_ms=settings.sse_heartbeat_interval,
            ),
            wall=time.time,
            monotonic=time.monotonic,
        )
        self.recount = Recount(self.fanout, self.sessions, self.inbox)
        self.publish.on_recount(self.recount.hear)
        # States are written again every quarter of their life, and must outlive the last time by a whole one.
        life = settings.recovery_seconds * 1.25
        self.recovery = Recovery(
            States(self.redis, prefix=settings.redis_prefix, life=life),
            self.sessions,
            self.publish,
            require_valid=self.revocations.require_valid,
        )
        self._upkeep = Upkeep(self.sessions, wall=time.time, monotonic=time.monotonic)
        self.admin = AdminService(
            AdminStores(audit=stores.audit, dead=stores.dead, keys=stores.keys, tenants=stores.tenants),
            revocations=self.revocations,
            disconnect=Disconnect(
                self.sessions,
                self.publish,
                alone=url is None,
                connected=lambda: self.bus.connected,
                new_id=new_id,
            ),
            ingest=self.ingest,
            announce=self.publish.announce,
            hand_out=self.hints.send,
            tenant=self.tokens.require_tenant,
            clock=utc_now,
        )
        self.reports = ReportsService(
            stores.reports, stores.statistics, stores.audit, stores.trail, clock=utc_now
        )
        self.daily = daily(settings, stores, self.log, release=self.ingest.release, clock=utc_now)
        self.timers = Timers(
            backlog=stores.backlog,
            scheduled=stores.scheduled,
            expand=Expand(
                stores.expansions,
                stores.people,
                stores.preferences,
                types=types,
                reach=outside.reach,
                clock=utc_now,
                new_id=new_id,
                webhook=admins_webhook(settings),
            ),
            retention=stores.retention,
            revocations=stores.revocations,
            audit=stores.audit,
            spending=stores.spending,
            outbox=stores.outbox,
            channels=outside.reach.channels,
            hand_out=self.hints.send,
            waiting=self.hints.waiting,
            release=self.ingest.release,
            announce=self.publish.announce,
            clock=utc_now,
            keep=keep(settings),
        )

        # The doors.
        self.traffic = Traffic()
        self.places = Places(limits(settings))
        pace = Pace(settings.rate_limit_max_requests, settings.rate_limit_window_ms / 1000)
        self.manager = RoomManager(self.fanout, url, stock_emitters=key is None)
        self.sockets = Sockets(self, self.fanout, self.manager, socket_options(settings), pace)
        self.sse = Sse(
            self,
            Streams(self.fanout.tick),
            StreamOptions(retry_ms=settings.sse_retry_ms, lifetime=settings.sse_lifetime),
        )
        self.plain = Plain(
            self,
            PlainSockets(
                self.fanout.tick,
                max_message=settings.max_message_bytes,
                ping_interval=settings.ping_interval,
                ping_timeout=settings.ping_timeout,
            ),
            pace,
            monotonic=time.monotonic,
        )

        # The numbers.
        self.now = utc_now
        self.lag = LoopLag()
        self._metrics = Metrics(self)

    # -- life ----------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Start. Raises `StoreUnavailable` when the database does not answer."""
        await self.db.ping()
        await self.log.open()
        await self.bus.open()
        await self.revocations.look()
        self._background.spawn(self.revocations.watch())
        for news in (self._outside.overrides.news, self.types.news):
            await news.look()
            self._background.spawn(news.watch())
        self._background.spawn(self._end_revoked())
        self._background.spawn(self.recount.run())
        await self.presence.open()
        if self.settings.development:
            await self.keys.ensure(DEVELOPMENT_KEY, None, SCOPES, "the development key", now=utc_now())
        self.lag.open()
        every = self._background.every
        every(1.0, self._upkeep.sweep)
        every(1.0, self.mutes.ask_again)
        every(1.0, self.tally.flush)
        every(ACKNOWLEDGE_SECONDS, self.delivered.flush)
        every(NEWS_SECONDS, self.presence.sweep)
        every(self.settings.heartbeat_ms / 1000, self._upkeep.beat)
        every(self.settings.sse_cleanup_interval / 1000, self._upkeep.reap)
        every(self.settings.recovery_seconds / 4, self.recovery.renew)
        every(self.settings.sse_heartbeat_interval / 1000, self.sse.keep_alive)

    async def drain(self) -> None:
        """Not ready any more; tell every connection when to come back, and end them all."""
        self._draining = True
        await self._upkeep.drain()
        await self.presence.leave()
        self.sse.spread(DRAIN_SPREAD_MS)
        await asyncio.sleep(FLUSH_SECONDS)
        try:
            async with asyncio.timeout(self.settings.drain_seconds):
                await asyncio.gather(
                    self.sockets.server.shutdown(), self.sse.shutdown(), self.plain.shutdown()
                )
        except TimeoutError:
            log.warning("some connections were cut", action="hub.drain_late")

    async def close(self) -> None:
        await self._background.close()
        self.lag.close()
        await self.tally.flush()
        await self.presence.close()
        await self.recovery.close()
        await self.delivered.flush()
        await self.log.close()
        await self.manager.close()
        await self.bus.close()
        self.hints.close()
        await self._outside.close()
        if self.redis is not None:
            await self.redis.aclose()
        await self.db.close()

    def meet_siblings(self, place: Path) -> Siblings:
        """The other processes on this port, which `/metrics` shows too; this one is to listen at `place`."""
        siblings = Siblings(place, self._metrics.alone)
        self._metrics.meet(siblings)
        return siblings

    async def metrics(self) -> tuple[bytes, str]:
        """This process in numbers, for Prometheus, and the media type they are in."""
        return await self._metrics.page()

    async def faults(self) -> Mapping[str, str]:
        """Why this process should get no traffic now, by part; empty when it is ready.

        Redis is not asked: without it the hub is slower, not wrong.
        """
        if self._draining:
            return {"hub": "shutting down"}
        try:
            await self.db.ping()
        except Refusal as refusal:
            return {"database": refusal.detail}
        return {}

    # -- what goes on by itself ----------------------------------------------------------------------
    def _committed(self, committed: Sequence[tuple[Event, Append]], replaced: Sequence[Replaced]) -> None:
        """Right after a commit, in its order: show the events, take back what they have replaced, tell the
        queue what is due."""
        self.publish.events([event for event, _ in committed])
        self.publish.replaced(replaced)
        due = [
            (item.id, item.channel)
            for _, append in committed
            for item in append.deliveries
            if item.status is Status.PLANNED and item.due_at <= append.event.created_at
        ]
        if due:
            self.hints.send(due)

    def _announce(self, updates: Sequence[DeliveryUpdate]) -> None:
        """After a delivery was worked on: count the step, tell whom it concerns."""
        for update in updates:
            self.tally.add(f"{update.channel}:{update.status}")
        self.publish.announce(updates)

    async def _end_revoked(self) -> None:
        while True:
            await self.revocations.changed()
            try:
                await self.sessions.end_revoked()
            except Exception:
                log.exception("revoked connections were not ended", action="revocations.end_failed")


async def build(settings: Settings) -> Hub:
    """A hub by these settings, not open yet. Raises `SettingsRefused`."""
    settings.require_safe()
    callback_readers(settings)  # a key that is none is refused before anything is open
    types = registry(settings.types_file)  # as is a file of types that cannot be followed
    db = await Database.open(
        settings.database, pool=settings.database_pool, timeout=settings.database_timeout
    )
    return Hub(settings, db, types)
