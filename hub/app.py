"""Where a hub is put together: the only place that chooses parts, by the settings.

`build` makes a hub that touches nothing but the database yet; `open` starts it; `drain` sends its
connections away; `close` ends it, the newest part first. A worker's hub is the same hub without doors.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from redis.asyncio import Redis
from ulid import ULID

from hub.choices import providers, registry, socket_options, web_options
from hub.cluster.bus import Bus
from hub.cluster.limiter import Limiter
from hub.cluster.tickets import Tickets
from hub.domain.access import SCOPES
from hub.domain.delivery import Status
from hub.domain.errors import Refusal
from hub.domain.events import Event
from hub.realtime.fanout import Fanout
from hub.realtime.manager import RoomManager
from hub.realtime.outflow import Tick
from hub.realtime.plain import PlainSockets
from hub.realtime.replay import Ring
from hub.realtime.stream import Streams
from hub.services.deliver import Deliver, Patience
from hub.services.expand import Expand
from hub.services.inbox import InboxService
from hub.services.ingest import Ingest, Rules
from hub.services.jwks import KeySource
from hub.services.pending import Pending
from hub.services.people import PeopleService
from hub.services.publish import Past, Publish
from hub.services.render import Render
from hub.services.replay import Replays
from hub.services.sessions import DRAIN_SPREAD_MS, SessionRules, Sessions
from hub.services.timers import Keep, Timers
from hub.services.tokens import Tokens
from hub.settings import DEVELOPMENT_KEY, Settings
from hub.store.backlog import Backlog
from hub.store.deliveries import Deliveries
from hub.store.engine import Database
from hub.store.events import Append, EventLog
from hub.store.expansions import Expansions
from hub.store.inbox import Inbox
from hub.store.keys import ApiKeys
from hub.store.outbox import Outbox
from hub.store.people import People
from hub.store.retention import Retention
from hub.store.scheduled import Scheduled
from hub.web.events import Pace
from hub.web.plain import Plain
from hub.web.sockets import Sockets
from hub.web.sse import Sse, StreamOptions
from tasks.hints import Hints
from tasks.queues import celery_app

FLUSH_SECONDS = 0.1  # what a drained connection gets before it is ended

log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return str(ULID())


class Hub:
    """All parts of one process, and their life."""

    def __init__(self, settings: Settings, db: Database) -> None:
        self.settings = settings
        self.options = web_options(settings)
        self.db = db
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = False

        # What is stored.
        self.log = EventLog(db, clock=utc_now, on_commit=self._committed)
        self.keys = ApiKeys(db)
        self.outbox = Outbox(db)
        people, deliveries, scheduled = People(db), Deliveries(db), Scheduled(db)

        # What processes share, and what connections share.
        url = settings.redis
        self.redis = Redis.from_url(url) if url else None
        self.fanout = Fanout(Tick(max_bytes=settings.outbox_bytes))
        ring: Ring[Past] = Ring(settings.ring_events)
        self.publish = Publish(self.fanout, ring, self.log)
        key = settings.bus_key.get_secret_value().encode() if settings.bus_key else None
        self.bus = Bus(
            url,
            prefix=settings.redis_prefix,
            node=new_id(),
            key=key,
            deliver=self.publish.deliver,
            fill=self.publish.fill,
            positions=self.log.positions,
            hole_seconds=settings.hole_ms / 1000,
            poll_seconds=settings.poll_seconds,
        )
        self.publish.attach(self.bus)
        self.hints = Hints(celery_app(settings.broker, prefix=settings.redis_prefix))

        # The verbs.
        self.tokens = Tokens(
            KeySource(secret=settings.secret, algorithms=settings.jwt_algorithms, jwks=settings.jwt_jwks),
            secret=settings.secret,
            algorithms=settings.jwt_algorithms,
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            tickets=Tickets(self.redis, prefix=settings.redis_prefix),
            api_keys=self.keys,
            log=self.log,
            create_tenants=settings.creates_tenants,
        )
        render = Render(public_url=settings.public_url)
        self._providers = providers(settings, self.outbox)
        channels = frozenset(self._providers)
        self.ingest = Ingest(
            registry=registry(),
            log=self.log,
            people=people,
            scheduled=scheduled,
            publish=self.publish,
            words=render.words,
            quota=Limiter(self.redis, prefix=settings.redis_prefix),
            rules=Rules(
                settings.custom_types, settings.max_rooms, channels, settings.tenant_events_per_minute
            ),
            tenant=self.tokens.require_tenant,
            clock=utc_now,
            new_id=new_id,
        )
        self.inbox = InboxService(Inbox(db), self.log, deliveries, self.publish, clock=utc_now)
        self.people = PeopleService(people, tenant=self.tokens.require_tenant, clock=utc_now)
        self.deliveries = Pending(self.log, scheduled, deliveries, self.publish)
        self.sessions = Sessions(
            fanout=self.fanout,
            bus=self.bus,
            replays=Replays(ring, self.log, limit=settings.replay_limit, clock=utc_now),
            inbox=self.inbox,
            tokens=self.tokens,
            rules=SessionRules(settings.connections_per_user, settings.heartbeat_ms),
            wall=time.time,
            monotonic=time.monotonic,
        )
        self.deliver = Deliver(
            deliveries,
            self._providers,
            render,
            self.publish.announce,
            clock=utc_now,
            chance=random.random,
            patience=Patience(
                lease=settings.delivery_lease,
                attempts=settings.delivery_attempts,
                backoff=settings.delivery_backoff,
                backoff_max=settings.delivery_backoff_max,
            ),
        )
        self.timers = Timers(
            backlog=Backlog(db),
            scheduled=scheduled,
            expand=Expand(Expansions(db), people, configured=channels, clock=utc_now, new_id=new_id),
            retention=Retention(db),
            outbox=self.outbox,
            channels=channels,
            hand_out=self.hints.send,
            waiting=self.hints.waiting,
            release=self.ingest.release,
            announce=self.publish.announce,
            clock=utc_now,
            keep=Keep(
                events=timedelta(days=settings.retention_days),
                keys=timedelta(hours=settings.idempotency_hours),
            ),
        )

        # The doors.
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

    # -- life ----------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Start. Raises `StoreUnavailable` when the database does not answer."""
        await self.db.ping()
        await self.log.open()
        await self.bus.open()
        if self.settings.development:
            await self.keys.ensure(DEVELOPMENT_KEY, None, SCOPES, "the development key", now=utc_now())
        self._every(1.0, self._sweep)
        self._every(self.settings.heartbeat_ms / 1000, self.sessions.beat)
        self._every(self.settings.sse_cleanup_interval / 1000, self.sessions.reap)
        self._every(self.settings.sse_heartbeat_interval / 1000, self._keep_alive)

    async def drain(self) -> None:
        """Not ready any more; tell every connection when to come back, and end them all."""
        self._draining = True
        await self.sessions.drain()
        self.sse.spread(DRAIN_SPREAD_MS)
        await asyncio.sleep(FLUSH_SECONDS)
        async with asyncio.timeout(self.settings.drain_seconds):
            await asyncio.gather(self.sockets.server.shutdown(), self.sse.shutdown(), self.plain.shutdown())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.log.close()
        await self.manager.close()
        await self.bus.close()
        self.hints.close()
        for provider in self._providers.values():
            await provider.close()
        if self.redis is not None:
            await self.redis.aclose()
        await self.db.close()

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
    def _committed(self, committed: Sequence[tuple[Event, Append]]) -> None:
        """Right after a commit, in its order: show the events, tell the queue what is due."""
        self.publish.events([event for event, _ in committed])
        due = [
            (item.id, item.channel)
            for _, append in committed
            for item in append.deliveries
            if item.status is Status.PLANNED
        ]
        if due:
            self.hints.send(due)

    async def _sweep(self) -> None:
        self.sessions.sweep()

    async def _keep_alive(self) -> None:
        self.sse.keep_alive()

    def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            while True:
                await asyncio.sleep(seconds)
                try:
                    await work()
                except Exception:
                    log.exception("a timer failed", action="timer.fail", work=work.__name__)

        self._tasks.append(asyncio.create_task(run(), name=f"hub-{work.__name__}"))


async def build(settings: Settings) -> Hub:
    """A hub by these settings, not open yet. Raises `SettingsRefused`."""
    settings.require_safe()
    db = await Database.open(
        settings.database, pool=settings.database_pool, timeout=settings.database_timeout
    )
    return Hub(settings, db)
