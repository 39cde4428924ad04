"""What the settings mean for each part: its plain values, and which provider sends on which channel.

Below the top floor nobody reads settings; here they become what the parts are told.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from hub.domain.events import Registry
from hub.providers.receipt import Provider
from hub.providers.sandbox import Sandbox
from hub.providers.smtp import Smtp
from hub.settings import Settings
from hub.store.outbox import Outbox
from hub.web.context import WebOptions
from hub.web.sockets import SocketOptions

REGISTRY = Path(__file__).with_name("types.toml")


def registry() -> Registry:
    """The event types that are known."""
    with REGISTRY.open("rb") as file:
        return Registry.from_tables(tomllib.load(file))


def providers(settings: Settings, outbox: Outbox) -> dict[str, Provider]:
    """A provider for each outside channel that is configured."""
    if settings.email == "sandbox":
        return {"email": Sandbox(outbox.add)}
    return {"email": smtp(settings)}


def smtp(settings: Settings) -> Smtp:
    return Smtp(
        host=settings.email_host or "localhost",
        port=settings.email_port,
        user=settings.email_user,
        password=settings.email_pass.get_secret_value() if settings.email_pass else None,
        sender=settings.email_from,
        tls=settings.email_tls,
        timeout=settings.provider_timeout,
    )


def web_options(settings: Settings) -> WebOptions:
    return WebOptions(
        development=settings.development,
        max_body_bytes=settings.max_body_bytes,
        max_data_bytes=settings.max_data_bytes,
        max_json_depth=settings.max_json_depth,
        max_batch=settings.max_batch,
        max_rooms=settings.max_rooms,
        body_timeout=settings.body_timeout,
        cors_origins=tuple(settings.cors_origin),
        token_cookie=settings.token_cookie,
        token_in_query=settings.token_in_query,
        trusted_proxies=tuple(settings.trusted_proxies),
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
