"""The bus: how the processes of a hub tell each other what happened.

SQL is the truth and Redis only the fast way, so the bus promises: for every tenant that is followed here,
`deliver` is called with each durable event exactly once and in the order of the log, whatever Redis loses,
repeats or mixes up. A hole is read from SQL; a slow poll finds what nobody mentioned. Signals and volatile
events pass straight through and may be lost. A process's own records reach its own followers without
Redis. The bus does not know rooms, connections or what a body says.

Channels: `{prefix}:t:{tenant}` for a tenant's records, `{prefix}:control` for orders to every process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import structlog

from hub.cluster.followed import Followed, Positions
from hub.cluster.following import Fill, Following, Repairs, Source
from hub.cluster.link import PACE, Pace
from hub.cluster.listener import Listener
from hub.cluster.parcel import Hears, Packer, ParcelForged, ParcelRefused, everything, part_of
from hub.cluster.publisher import Publisher
from hub.cluster.record import Record
from hub.domain.events import Position

# So many tenants may read SQL at once; the other connections of the pool are for requests.
FILLS_AT_ONCE = 4

_tenant = attrgetter("tenant")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Counts:
    """Since the start: records from other nodes, parcels refused for their form or signature, records that
    `deliver` failed over."""

    received: int = 0
    malformed: int = 0
    forged: int = 0
    failed: int = 0


class Bus:
    """`url` None: no Redis; the process works alone, and the poll finds what others commit.

    `node` names this process and must be unique in the cluster. `deliver` is called synchronously. What
    others tell and is in no log is dropped at once when `hears` says that nobody here cares for it.
    `fill(tenant, after, upto)` and `positions(tenants)` read SQL; the records of `fill` carry their epoch.
    `hole_seconds` is the time a straggler has, `poll_seconds` the time between looks at SQL.
    Raises ValueError for a URL that cannot be read.
    """

    def __init__(
        self,
        url: str | None,
        *,
        prefix: str,
        node: str,
        key: bytes | None,
        deliver: Callable[[Record], None],
        fill: Fill,
        positions: Positions,
        hole_seconds: float,
        poll_seconds: float,
        hears: Hears = everything,
        pace: Pace = PACE,
    ) -> None:
        self.counts = Counts()
        self.repairs = Repairs()
        self._tenants = f"{prefix}:t:"
        self._packer = Packer(node, key)
        self._deliver = deliver
        self._hears = hears
        self._control = f"{prefix}:control".encode()
        self._ready: deque[Record] = deque()
        self._delivering = False
        self.publisher = Publisher(url, pace=pace, pack=self._packer.pack) if url else None
        self.listener = (
            Listener(url, pace=pace, receive=self._received, restored=self._restored) if url else None
        )
        source = Source(fill, asyncio.Semaphore(FILLS_AT_ONCE), hole_seconds, pace.patience, self.repairs)
        self._followed = Followed(
            begin=lambda tenant: Following(tenant, source, self._dispatch),
            channel=self._tenant_channel,
            positions=positions,
            listener=self.listener,
            poll_seconds=poll_seconds,
            linger=pace.linger,
        )

    @property
    def connected(self) -> bool:
        """Whether records of other processes arrive by Redis at the moment."""
        return self.listener is not None and self.listener.connected

    async def open(self) -> None:
        """Starts. Waits for the first attempt to reach Redis, and goes on without when it fails."""
        self._followed.open()
        if self.publisher is not None and self.listener is not None:
            self.publisher.open()
            self.listener.want(self._control)
            await self.listener.open()

    async def close(self) -> None:
        """Sends what still waits to be published (for a moment), and stops."""
        await self._followed.close()
        if self.publisher is not None and self.listener is not None:
            await self.publisher.close()
            await self.listener.close()

    # -- following -----------------------------------------------------------------------------------
    async def follow(self, tenant: str) -> Position:
        """Follows the tenant's log until `unfollow`; calls are counted.

        Returns what was dispatched here so far; everything after it will be delivered. Waits for Redis a
        moment only. Raises `TenantUnknown`, or what `positions` raises; then this call is not counted.
        """
        return await self._followed.follow(tenant)

    def unfollow(self, tenant: str) -> None:
        """Takes back one `follow`. The last one ends the subscription after a while."""
        self._followed.unfollow(tenant)

    def position(self, tenant: str) -> Position | None:
        """What was dispatched here; None when the tenant is not followed (yet). Its epoch may change."""
        following = self._followed.get(tenant)
        return following.position if following else None

    async def catch_up(self, tenant: str) -> Position:
        """Reads SQL now and dispatches what was missed. Raises what SQL raises; LookupError: not followed."""
        return await self._followed.catch_up(tenant)

    # -- publishing ----------------------------------------------------------------------------------
    def publish(self, records: Sequence[Record]) -> None:
        """Tells this process at once and the others within the tick. Never blocks, never raises."""
        for tenant, some in groupby(records, _tenant):
            told = list(some)
            if self.publisher is not None:
                self._tell(self.publisher, tenant, told)
            self._accept(tenant, told)

    def _tell(self, publisher: Publisher, tenant: str, records: Sequence[Record]) -> None:
        channel = self._tenant_channel(tenant) if tenant else self._control
        for record in records:
            try:
                part = part_of(record)
            except TypeError as error:
                # A durable event is still found by the poll of the others.
                self.counts.malformed += 1
                log.error("a record cannot be encoded", action="bus.encode_failed", error=str(error))
            else:
                publisher.put(channel, part)

    def _tenant_channel(self, tenant: str) -> bytes:
        return f"{self._tenants}{tenant}".encode()

    # -- receiving -----------------------------------------------------------------------------------
    def _received(self, channel: bytes, data: bytes) -> None:
        """A message from Redis: anybody's bytes. Never raises."""
        if self._packer.is_own(data):
            return
        tenant = "" if channel == self._control else channel.decode().removeprefix(self._tenants)
        try:
            count, records = self._packer.unpack(channel, tenant, data, self._hears)
        except ParcelForged:
            self.counts.forged += 1
        except ParcelRefused:
            self.counts.malformed += 1
        else:
            self.counts.received += count
            self._accept(tenant, records)

    def _accept(self, tenant: str, records: Sequence[Record]) -> None:
        """Records of one tenant, or orders (""), in the sequence in which they were told."""
        if not tenant:
            self._dispatch(records)
        elif following := self._followed.get(tenant):
            for record in records:
                if not record.ordered:
                    self._ready.append(record)
                elif not following.arrived(record):
                    self._followed.ask(tenant)
            self._drain()

    def _dispatch(self, records: Sequence[Record]) -> None:
        """Delivers in order, also when `deliver` itself publishes."""
        self._ready.extend(records)
        self._drain()

    def _drain(self) -> None:
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._ready:
                record = self._ready.popleft()
                try:
                    self._deliver(record)
                except Exception:
                    self.counts.failed += 1
                    log.exception("a record was not delivered", action="bus.deliver_failed", kind=record.kind)
        finally:
            self._delivering = False

    def _restored(self) -> None:
        self._followed.catch_up_all()
