"""How much is taken of whom, and how long anything may take, before it is refused or cut."""

from __future__ import annotations

from hub.settings.names import Theme, setting


class Limits(Theme):
    max_body_bytes: int = setting(1 << 20, "largest request body", ge=1024)
    max_data_bytes: int = setting(64 << 10, "largest `data` of an event, encoded", ge=256)
    max_json_depth: int = setting(32, "deepest JSON accepted", ge=4, le=200)
    max_batch: int = setting(1000, "most notifications in one batch", ge=1)
    max_rooms: int = setting(1000, "most rooms in `to`, and most people that `near` finds", ge=1)
    near_radius: float = setting(
        50_000, "largest `radiusMeters` of `near`; of a location, the roughest `accuracy`", ge=1, le=500_000
    )
    location_seconds: float = setting(
        900.0, "seconds for which a user is where the last update said", ge=1, le=86400
    )
    body_timeout: float = setting(15.0, "seconds a request body may take to arrive", gt=0)
    tenant_events_per_minute: int | None = setting(
        None, "events one tenant may send in a minute, over all processes; unset: no limit", ge=1
    )
    rate_limit_window_ms: int = setting(5000, "window of the events a connection may send", ge=100)
    rate_limit_max_requests: int = setting(10, "events a connection may send in the window", ge=1)
    connections: int = setting(
        100_000, "open connections of one process; never more than nine tenths of the files it may open", ge=1
    )
    connections_per_address: int = setting(
        10_000, "open connections from one address (IPv6: one /64), per process", ge=1
    )
    connections_per_tenant: int | None = setting(
        None, "open connections of one tenant, per process; unset: no limit", ge=1
    )
    connections_per_user: int = setting(20, "open connections of one user, per process", ge=1)
    handshakes: int = setting(10_000, "connections of one process that are not yet let in", ge=1)
    handshakes_per_address: int = setting(1000, "the same from one address", ge=1)
    head_timeout: float = setting(10.0, "seconds a new connection may take to send its request's head", gt=0)
    keepalive_timeout: float = setting(
        75.0, "seconds an HTTP connection may be idle between requests; more than your proxy's", gt=0
    )
    connect_timeout: float = setting(5.0, "seconds a transport may stay without CONNECT", gt=0)
    event_timeout: float = setting(10.0, "seconds one event of a client may take to be carried out", gt=0)
    ping_interval: float = setting(20.0, "seconds between pings", gt=0)
    ping_timeout: float = setting(15.0, "seconds to answer a ping", gt=0)
    outbox_bytes: int = setting(512 << 10, "unsent bytes a connection may have before it is cut", ge=16384)
    outbox_frames: int = setting(1000, "unsent packets a polling connection may have", ge=10)
    max_message_bytes: int = setting(64 << 10, "largest message from a client", ge=1024)
