"""The hub in numbers, for Prometheus: a table of what there is, and where each number is read.

The parts only add to plain numbers; they are read when somebody asks, into a registry of our own. What is
asked of the database and of Redis is little and may fail: then its numbers are missing and the others are
there. Names are `hub_<noun>_<verb>_total`, units are seconds and bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from hub import __version__
from hub.domain.errors import StoreUnavailable
from hub.domain.spread import Spread
from hub.siblings import Siblings, merged
from hub.store.queue import Waiting

if TYPE_CHECKING:
    from hub.app import Hub


class Family(NamedTuple):
    """`kind`: counter, gauge or histogram. `whole`: of the whole installation, the same in every process."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    whole: bool = False


FAMILIES = (
    Family("hub_build_info", "gauge", ("version",), "1; which version runs"),
    Family(
        "hub_worker_up",
        "gauge",
        ("worker",),
        "with `--workers`: 1 when that process answered for this page",
    ),
    Family("hub_connections_open", "gauge", ("transport",), "open connections"),
    Family("hub_connections_opened_total", "counter", ("transport",), "connections that were let in"),
    Family(
        "hub_connections_cut_total", "counter", ("reason",), "readers that were too slow, and where it showed"
    ),
    Family(
        "hub_handshakes_refused_total",
        "counter",
        ("transport", "code"),
        "connections that were not let in, by error code",
    ),
    Family("hub_rooms_open", "gauge", (), "rooms with somebody in them"),
    Family("hub_rooms_joined_total", "counter", (), "joins of a connection to a room"),
    Family(
        "hub_records_delivered_total",
        "counter",
        ("kind",),
        "what the bus brought for somebody here, own things too",
    ),
    Family(
        "hub_frames_sent_total",
        "counter",
        (),
        "events sent to connections, each as often as it has receivers",
    ),
    Family(
        "hub_bytes_sent_total", "counter", (), "bytes sent on WebSockets and streams, before gzip and TLS"
    ),
    Family(
        "hub_replays_answered_total", "counter", ("verdict",), "clients that came back: recovered, or why not"
    ),
    Family("hub_events_replayed_total", "counter", (), "events that were sent again to those clients"),
    Family("hub_bus_connected", "gauge", (), "1 while other processes are heard by Redis"),
    Family("hub_bus_connections_lost_total", "counter", (), "times the connection to Redis was lost"),
    Family("hub_bus_records_published_total", "counter", (), "records told to other processes"),
    Family("hub_bus_records_dropped_total", "counter", (), "records that Redis did not take"),
    Family("hub_bus_records_received_total", "counter", (), "records heard from other processes"),
    Family(
        "hub_bus_records_refused_total",
        "counter",
        ("reason",),
        "records that were malformed, forged, or failed to be delivered",
    ),
    Family("hub_bus_events_repaired_total", "counter", (), "events read from SQL because the bus lost them"),
    Family("hub_bus_events_lost_total", "counter", (), "events that were nowhere; more than 0 needs a look"),
    Family("hub_bus_repairs_failed_total", "counter", (), "times SQL could not be read for them"),
    Family("hub_commit_events", "histogram", (), "events that shared one commit"),
    Family(
        "hub_deliveries_moved_total",
        "counter",
        ("channel", "status"),
        "steps of deliveries, of the whole installation",
        whole=True,
    ),
    Family(
        "hub_deliveries_open",
        "gauge",
        ("channel", "status"),
        "deliveries that are not over, of the whole installation",
        whole=True,
    ),
    Family(
        "hub_deliveries_age_seconds",
        "gauge",
        (),
        "how long the oldest of them has been due, of the whole installation",
        whole=True,
    ),
    Family(
        "hub_callbacks_received_total",
        "counter",
        ("provider", "outcome"),
        "what providers said later: moved a delivery, changed nothing (idle), named none of ours (unknown); "
        "and posts that were refused",
    ),
    Family(
        "hub_provider_calls_total",
        "counter",
        ("channel", "provider", "outcome"),
        "calls of providers by outcome: receipt, temporary, permanent; of the whole installation",
        whole=True,
    ),
    Family(
        "hub_provider_breakers_moved_total",
        "counter",
        ("channel", "provider", "state"),
        "times a worker's breaker of a provider became open (it rests), half-open or closed (it is well); "
        "of the whole installation",
        whole=True,
    ),
    Family("hub_database_up", "gauge", (), "1 when the database answered for this page"),
    Family("hub_loop_lag_seconds", "histogram", (), "how late the event loop was"),
    Family("hub_http_request_seconds", "histogram", ("method", "route", "status"), "time to answer requests"),
)
# What `hub.services.relay` counts, by the first part of its names.
_TALLIED = {"call": "hub_provider_calls_total", "breaker": "hub_provider_breakers_moved_total"}
_WHOLE = frozenset(family.name for family in FAMILIES if family.whole)
Value = float | Spread
Sample = tuple[str, tuple[str, ...], Value]


class Metrics:
    """The numbers of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._siblings: Siblings | None = None
        self._queue: list[Waiting] | None = None
        self._moved: Mapping[str, int] | None = None
        self._registry = CollectorRegistry()
        self._registry.register(_Table(self._samples))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def meet(self, siblings: Siblings) -> None:
        """From now on the page is of all processes that share the port."""
        self._siblings = siblings

    async def page(self) -> tuple[bytes, str]:
        """The text exposition format, and its media type."""
        if self._siblings is None:
            return await self.alone(), CONTENT_TYPE_PLAIN_0_0_4
        pages = await self._siblings.pages()
        page = await asyncio.to_thread(merged, pages.items(), shared=_WHOLE)
        return page, CONTENT_TYPE_PLAIN_0_0_4

    async def alone(self) -> bytes:
        """The page of this process."""
        try:
            self._queue = await self._hub.queue.look()
        except StoreUnavailable:
            self._queue = None
        self._moved = await self._hub.tally.read()
        return generate_latest(self._registry)

    # -- where each number is ------------------------------------------------------------------------
    def _samples(self) -> Iterator[Sample]:
        yield "hub_build_info", (__version__,), 1
        yield from self._connections()
        yield from self._sent()
        yield from self._bus()
        yield from self._deliveries()
        yield "hub_commit_events", (), self._hub.log.commits
        yield "hub_loop_lag_seconds", (), self._hub.lag.seconds
        for (method, route, status), spread in list(self._hub.traffic.requests.items()):
            yield "hub_http_request_seconds", (method, route, str(status)), spread

    def _connections(self) -> Iterator[Sample]:
        hub = self._hub
        polling = websocket = 0
        for session in hub.sockets.server.eio.sessions.values():
            if session.carrier is not None and session.carrier.name == "websocket":
                websocket += 1
            else:
                polling += 1
        yield "hub_connections_open", ("websocket",), websocket
        yield "hub_connections_open", ("polling",), polling
        yield "hub_connections_open", ("sse",), hub.sse.open
        yield "hub_connections_open", ("plain",), hub.plain.open
        for transport in ("socketio", "sse", "plain"):
            yield "hub_connections_opened_total", (transport,), hub.sessions.opened[transport]
        for reason, count in hub.fanout.tick.cut.items():
            yield "hub_connections_cut_total", (reason,), count
        for who, count in hub.traffic.refused.items():
            yield "hub_handshakes_refused_total", who, count
        yield "hub_rooms_open", (), len(hub.fanout.rooms())
        yield "hub_rooms_joined_total", (), hub.fanout.joined

    def _sent(self) -> Iterator[Sample]:
        hub = self._hub
        for kind, count in hub.publish.delivered.items():
            yield "hub_records_delivered_total", (kind,), count
        yield "hub_frames_sent_total", (), hub.fanout.tick.frames
        yield "hub_bytes_sent_total", (), hub.fanout.tick.bytes
        for verdict, count in hub.replays.answered.items():
            yield "hub_replays_answered_total", (verdict,), count
        yield "hub_events_replayed_total", (), hub.replays.replayed

    def _bus(self) -> Iterator[Sample]:
        bus = self._hub.bus
        yield "hub_bus_connected", (), bus.connected
        yield "hub_bus_connections_lost_total", (), bus.listener.reconnects if bus.listener else 0
        yield "hub_bus_records_published_total", (), bus.publisher.published if bus.publisher else 0
        yield "hub_bus_records_dropped_total", (), bus.publisher.dropped if bus.publisher else 0
        yield "hub_bus_records_received_total", (), bus.counts.received
        for reason in ("malformed", "forged", "failed"):
            yield "hub_bus_records_refused_total", (reason,), getattr(bus.counts, reason)
        yield "hub_bus_events_repaired_total", (), bus.repairs.filled
        yield "hub_bus_events_lost_total", (), bus.repairs.given_up
        yield "hub_bus_repairs_failed_total", (), bus.repairs.failures

    def _deliveries(self) -> Iterator[Sample]:
        for name, count in (self._moved or {}).items():
            kind, *labels = name.split("/")
            if not labels:
                channel, _, status = name.partition(":")
                yield "hub_deliveries_moved_total", (channel, status), count
            elif kind in _TALLIED:
                yield _TALLIED[kind], tuple(labels), count
        for (provider, outcome), count in self._hub.callbacks.counts.items():
            yield "hub_callbacks_received_total", (provider, outcome), count
        yield "hub_database_up", (), self._queue is not None
        if self._queue is None:
            return
        for item in self._queue:
            yield "hub_deliveries_open", (item.channel, item.status), item.count
        due = [item.oldest_due for item in self._queue if item.oldest_due is not None]
        age = (self._hub.now() - min(due)).total_seconds() if due else 0.0
        yield "hub_deliveries_age_seconds", (), max(0.0, age)


class _Table(Collector):
    """`FAMILIES`, filled. Raises KeyError for a sample that is in no family."""

    def __init__(self, samples: Callable[[], Iterator[Sample]]) -> None:
        self._samples = samples

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        found: dict[str, list[tuple[tuple[str, ...], Value]]] = {family.name: [] for family in FAMILIES}
        for name, labels, value in self._samples():
            found[name].append((labels, value))
        for family in FAMILIES:
            yield _filled(family, found[family.name])


def _filled(family: Family, samples: Sequence[tuple[tuple[str, ...], Value]]) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, value in samples:
            assert isinstance(value, Spread)
            bounds = [*map(str, map(float, value.bounds)), "+Inf"]
            buckets = list(zip(bounds, accumulate(value.counts), strict=True))
            histogram.add_metric(labels, buckets, value.total)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    plain = kind(family.name, family.help, labels=family.labels)
    for labels, value in samples:
        assert not isinstance(value, Spread)
        plain.add_metric(labels, float(value))
    return plain
