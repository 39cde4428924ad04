"""What the settings mean for each part: its plain values.

Below the top floor nobody reads settings; here they become what the parts are told.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from redis.asyncio import Redis

from hub.cluster.bus import Bus
from hub.cluster.elsewhere import Elsewhere
from hub.cluster.presence import Presence
from hub.cluster.tickets import Tickets
from hub.domain.access import Principal
from hub.domain.breaker import Rules
from hub.domain.budgets import Budgets
from hub.domain.drafts import Draft
from hub.domain.events import Registry, is_protocol_name
from hub.providers.post import Reader
from hub.providers.receipt import Provider
from hub.realtime.fanout import Fanout
from hub.realtime.places import Limits
from hub.services.calling import Patience
from hub.services.daily import Daily, When
from hub.services.jwks import KeySource
from hub.services.overrides import Bounds, Overrides
from hub.services.presence import PresenceRules, PresenceService
from hub.services.publish import Publish
from hub.services.relay import Relay
from hub.services.render import Style
from hub.services.shipped import Shipped
from hub.services.timers import Keep
from hub.services.tokens import Tokens
from hub.settings import DEVELOPMENT_KEY, Settings, SettingsRefused
from hub.store.events import EventLog
from hub.store.keys import ApiKeys
from hub.store.templates import TemplateRows
from hub.stores import Stores
from hub.web.context import WebOptions
from hub.web.fields import Faults
from hub.web.rules import in_file
from hub.web.sockets import SocketOptions
from hub.web.wishes import TYPE

FILES_FOR_CONNECTIONS = 0.9  # the others are for the database, Redis and requests
REGISTRY = Path(__file__).with_name("types.toml")


def registry(file: str | None = None) -> Registry:
    """The event types that are known; those of an operator's `file` over those that come with the hub.

    Raises `SettingsRefused`, which names the file, the type and the field.
    """
    with REGISTRY.open("rb") as shipped:
        types: dict[str, Any] = tomllib.load(shipped)
    if file is None:
        return Registry.from_tables(types)
    where = f"HUB_TYPES_FILE: {file}"
    try:
        own = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise SettingsRefused(f"{where}: cannot be read: {fault}") from None
    faults = []
    for name, table in own.items():
        found = Faults()
        if not TYPE.fullmatch(name) or is_protocol_name(name):
            found.add("", "is not the name of a type: letters, digits, '.', '_', ':' and '-'")
        in_file(table, found)
        faults += [f"{where}: type {name!r}: {' '.join(one.values()).strip()}" for one in found.errors]
    if faults:
        raise SettingsRefused("\n".join(faults))
    for name, table in own.items():
        types[name] = {
            key: value
            for key, value in {**types.get(name, {}), **table}.items()
            if not (value is False and key != "mutable")
        }
    try:
        return Registry.from_tables(types, own)
    except ValueError as fault:
        raise SettingsRefused(f"{where}: {fault}") from None


def daily(
    settings: Settings,
    stores: Stores,
    log: EventLog,
    *,
    release: Callable[[str, Draft], Awaitable[None]],
    clock: Callable[[], datetime],
) -> Daily:
    """Who tells admins of their day."""
    when = When(settings.report_hour, ZoneInfo(settings.report_timezone))
    return Daily(
        stores.tenants, stores.statistics, stores.people, log, release=release, clock=clock, when=when
    )


def callback_readers(settings: Settings) -> dict[str, Reader]:
    """Who reads what providers say later, for those whose key is known. Raises `SettingsRefused`."""
    keys = (settings.twilio_auth_token, settings.sendgrid_webhook_key, settings.resend_webhook_secret)
    if not any(keys):
        return {}
    from hub.providers.callbacks import ResendCallbacks, SendGridCallbacks, TwilioCallbacks  # three SDKs

    readers: dict[str, Reader] = {}
    if settings.twilio_auth_token and settings.public_url:
        token = settings.twilio_auth_token.get_secret_value()
        readers["twilio"] = TwilioCallbacks(token, public_url=settings.public_url)
    if settings.sendgrid_webhook_key:
        try:
            readers["sendgrid"] = SendGridCallbacks(
                settings.sendgrid_webhook_key.get_secret_value(),
                age=settings.callback_age,
                most=settings.callback_events,
            )
        except ValueError:
            raise SettingsRefused(
                "HUB_SENDGRID_WEBHOOK_KEY: is no public key; copy the verification key from SendGrid's page"
            ) from None
    if settings.resend_webhook_secret:
        secret = settings.resend_webhook_secret.get_secret_value()
        readers["resend"] = ResendCallbacks(secret, age=settings.callback_age)
    return readers


def presence(
    settings: Settings, redis: Redis | None, bus: Bus, fanout: Fanout, process: str
) -> PresenceService:
    """Who is online: what is here, what is elsewhere, and the verbs on both."""
    rules = PresenceRules(frozenset(settings.presence_roles), settings.presence_grace)
    verbs = PresenceService(fanout, rules=rules, wall=time.time, monotonic=time.monotonic)
    prefix, lease = settings.redis_prefix, settings.presence_lease
    verbs.attach(
        Presence(
            redis, prefix=prefix, node=process, lease=lease, announce=bus.publish, changed=verbs.changed
        ),
        Elsewhere(
            redis,
            prefix=prefix,
            process=process,
            lease=lease,
            follow=bus.follow,
            unfollow=bus.unfollow,
            changed=verbs.changed,
        ),
    )
    return verbs


def tokens(
    settings: Settings,
    *,
    tickets: Tickets,
    keys: ApiKeys,
    log: EventLog,
    require_valid: Callable[[Principal], None],
) -> Tokens:
    """The judge of credentials."""
    return Tokens(
        KeySource(secret=settings.secret, algorithms=settings.jwt_algorithms, jwks=settings.jwt_jwks),
        secret=settings.secret,
        algorithms=settings.jwt_algorithms,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        tickets=tickets,
        api_keys=keys,
        log=log,
        require_valid=require_valid,
        create_tenants=settings.creates_tenants,
    )


def patience(settings: Settings) -> Patience:
    """How deliveries are tried."""
    return Patience(
        lease=settings.delivery_lease,
        call=settings.provider_timeout,
        attempts=settings.delivery_attempts,
        backoff=settings.delivery_backoff,
        backoff_max=settings.delivery_backoff_max,
    )


def overrides(settings: Settings, rows: TemplateRows, publish: Publish, shipped: Shipped) -> Overrides:
    """Tenants' own templates, and what they may use up."""
    bounds = Bounds(settings.template_steps, settings.template_characters)
    return Overrides(rows, publish, shipped, public_url=settings.public_url, bounds=bounds)


def style(settings: Settings) -> Style:
    """What is the same in every message: mails name their sender at the top."""
    return Style(brand=parseaddr(settings.email_from)[0], segments=settings.sms_segments)


def relay(
    settings: Settings, senders: Mapping[str, Sequence[Provider]], count: Callable[[str], None]
) -> Relay:
    """Which provider is called when. One that is slow may hold half of a worker's calls."""
    rest = settings.breaker_seconds
    rules = Rules(
        failures=settings.breaker_failures, rest=rest, longest=10 * rest, probe=2 * settings.provider_timeout
    )
    return Relay(senders, rules=rules, share=max(1, settings.worker_concurrency // 2), count=count)


def budgets(settings: Settings) -> Budgets:
    """How much may be sent in a day."""
    s = settings
    tenant = {
        "email": s.budget_email_per_tenant,
        "sms": s.budget_sms_per_tenant,
        "discord": s.budget_discord_per_tenant,
        "webpush": s.budget_webpush_per_tenant,
    }
    address = {
        "email": s.budget_email_per_address,
        "sms": s.budget_sms_per_address,
        "discord": s.budget_discord_per_address,
        "webpush": s.budget_webpush_per_address,
    }
    return Budgets(
        per_tenant={channel: most for channel, most in tenant.items() if most is not None},
        per_address={channel: most for channel, most in address.items() if most is not None},
    )


def keep(settings: Settings) -> Keep:
    """How long what is stored stays."""
    return Keep(
        events=timedelta(days=settings.retention_days),
        keys=timedelta(hours=settings.idempotency_hours),
        audit=timedelta(days=settings.audit_days),
    )


def limits(settings: Settings) -> Limits:
    """How many connections there may be."""
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = settings.connections
    if files != resource.RLIM_INFINITY:
        most = min(most, max(1, int(files * FILES_FOR_CONNECTIONS)))
    return Limits(
        total=most,
        per_address=settings.connections_per_address,
        handshakes=settings.handshakes,
        handshakes_per_address=settings.handshakes_per_address,
    )


def web_options(settings: Settings) -> WebOptions:
    return WebOptions(
        development=settings.development,
        max_body_bytes=settings.max_body_bytes,
        max_data_bytes=settings.max_data_bytes,
        max_json_depth=settings.max_json_depth,
        max_batch=settings.max_batch,
        max_rooms=settings.max_rooms,
        near_radius=settings.near_radius,
        max_message_bytes=settings.max_message_bytes,
        events_most=settings.rate_limit_max_requests,
        events_window=settings.rate_limit_window_ms / 1000,
        body_timeout=settings.body_timeout,
        event_timeout=settings.event_timeout,
        cors_origins=tuple(settings.cors_origin),
        token_cookie=settings.token_cookie,
        token_in_query=settings.token_in_query,
        trusted_proxies=tuple(settings.trusted_proxies),
        metrics_open=settings.shows_metrics,
        development_key=DEVELOPMENT_KEY if settings.development else "",
    )


def socket_options(settings: Settings) -> SocketOptions:
    return SocketOptions(
        connect_timeout=settings.connect_timeout,
        ping_interval=settings.ping_interval,
        ping_timeout=settings.ping_timeout,
        max_message_bytes=settings.max_message_bytes,
        outbox_frames=settings.outbox_frames,
        body_timeout=settings.body_timeout,
    )
