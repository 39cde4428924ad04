"""The log of events, the streams that carry it, how long things are kept, and who is shown as present."""

from __future__ import annotations

from typing import Annotated

from pydantic_settings import NoDecode

from hub.settings.names import COMMAS, Theme, setting


class Streams(Theme):
    heartbeat_ms: int = setting(30000, "interval of the `heartbeat` event", ge=100)
    sse_heartbeat_interval: int = setting(30000, "milliseconds between keep-alive comments", ge=100)
    sse_cleanup_interval: int = setting(
        300000, "milliseconds between looks for sessions whose connection has ended unnoticed", ge=100
    )
    sse_lifetime: float = setting(4 * 3600.0, "seconds one stream lives, give or take a tenth", gt=0)
    sse_retry_ms: int = setting(2000, "`retry:` that browsers are told", ge=0)
    replay_limit: int = setting(10000, "most events replayed to one connection", ge=0)
    recovery_seconds: float = setting(
        120.0, "seconds a dropped connection with `auth.recovery` may come back as what it was", ge=1
    )
    ring_events: int = setting(2000, "recent events kept in memory per tenant", ge=0)
    poll_seconds: float = setting(2.0, "seconds between looks for events the bus has lost", gt=0)
    hole_ms: int = setting(50, "milliseconds to wait for a straggler before reading SQL", ge=0)
    retention_days: float = setting(
        30.0, "days an event stays in the log and the inbox, where its tenant has no days of its own", gt=0
    )
    revocation_days: float = setting(
        30.0, "days a revocation is remembered, at least JWT_EXPIRES_IN; tokens must not live longer", gt=0
    )
    audit_days: float = setting(365.0, "days that what admins did is kept", gt=0)
    idempotency_hours: float = setting(24.0, "hours an Idempotency-Key is remembered", gt=0)

    # -- presence ------------------------------------------------------------------------------------
    presence_lease: float = setting(
        10.0, "seconds after which a process that says nothing counts as gone, with its connections", ge=1
    )
    presence_grace: float = setting(
        5.0, "seconds a user may be away before `presence:leave`, so that a reconnect shows nothing", ge=0
    )
    presence_roles: Annotated[list[str], NoDecode, COMMAS] = setting(
        ["ADMIN"], "roles that may see who is online, not only how many; `*`: everyone may"
    )
