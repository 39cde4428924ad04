"""`hub doctor`: is everything there that these settings name? One line each, and what to do about a fault.

Every check ends within seconds and changes nothing. Does not start a hub.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from hub.commands.start import Fault, load

if TYPE_CHECKING:
    from hub.settings import Settings

    # It returns what it found, or raises Fault (or what its driver raises) with what is wrong.
    Check = Callable[[Settings], Awaitable[str]]

CHECK_SECONDS = 5.0


def doctor() -> None:
    """Check settings, database, Redis, broker and mail server."""
    settings = load()
    faults = asyncio.run(_examine(settings))
    if faults:
        raise Fault(f"{faults} of {len(CHECKS)} checks found a fault")


async def _examine(settings: Settings) -> int:
    """Runs every check, prints a line for each, and returns how many found a fault."""
    faults = 0
    for name, check, mend in CHECKS:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                typer.echo(f"ok     {name:<11} {await check(settings)}")
        except Exception as error:  # drivers have many ways to fail: each is a line, none a traceback
            faults += 1
            said = str(error) or f"no answer within {CHECK_SECONDS:g} s"
            typer.echo(f"FAULT  {name:<11} {said.splitlines()[0]}")
            for line in (*said.splitlines()[1:], f"-> {mend}"):
                typer.echo(f"{'':<18} {line}")
    return faults


async def check_settings(settings: Settings) -> str:
    from hub.settings import SettingsRefused

    try:
        settings.require_safe()
    except SettingsRefused as refused:
        raise Fault(str(refused)) from None
    return settings.env


async def check_database(settings: Settings) -> str:
    from hub.commands.database import opened, pending_migrations

    missing = await asyncio.to_thread(pending_migrations, settings)
    async with opened(settings) as database:
        await database.ping()
        found = database.dialect
    if missing:
        raise Fault(f"{found} answers, and lacks {len(missing)} migrations: {', '.join(missing)}")
    return f"{found}, {place(settings.database)}, no migration pending"


async def check_redis(settings: Settings) -> str:
    from hub.cluster.embedded import find_server

    if settings.redis is None:
        return f"none named; `hub dev` starts {find_server()}"
    import redis.asyncio

    async with redis.asyncio.from_url(settings.redis, socket_connect_timeout=CHECK_SECONDS) as client:
        found = await client.info("server")
    version = found.get("valkey_version") or found.get("redis_version")
    return f"{found.get('server_name', 'redis')} {version}, {place(settings.redis)}"


async def check_broker(settings: Settings) -> str:
    if settings.broker_url is None:
        return "the same Redis"
    from tasks.queues import celery_app

    def connect() -> None:
        with celery_app(settings.broker).connection_for_read(connect_timeout=CHECK_SECONDS) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=CHECK_SECONDS)

    await asyncio.to_thread(connect)
    return place(settings.broker)


async def check_mail(settings: Settings) -> str:
    if "smtp" not in settings.email:
        return "kept in the sandbox: see /dev/outbox" if "sandbox" in settings.email else "no SMTP"
    host = settings.email_host or "localhost"
    import aiosmtplib

    tls = settings.email_tls == "tls" or (settings.email_tls == "auto" and settings.email_port == 465)
    client = aiosmtplib.SMTP(hostname=host, port=settings.email_port, timeout=CHECK_SECONDS, use_tls=tls)
    async with client:
        await client.ehlo()
    return f"{host}:{settings.email_port} answers"


async def check_providers(settings: Settings) -> str:
    """Made, not called: a call would send something."""
    from hub.domain.message import Message
    from hub.senders import providers

    async def keep(_message: Message) -> None:
        pass

    senders = providers(settings, keep)
    for chosen in senders.values():
        for provider in chosen:
            await provider.close()
    return "; ".join(
        f"{channel}: {', '.join(provider.name for provider in chosen)}" for channel, chosen in senders.items()
    )


CHECKS: tuple[tuple[str, Check, str], ...] = (
    ("settings", check_settings, "change what is named; `hub settings` lists all"),
    ("database", check_database, "look at DATABASE_URL; `hub migrate` makes and updates the tables"),
    ("redis", check_redis, "look at REDIS_URL, and whether the server runs"),
    ("broker", check_broker, "look at HUB_BROKER_URL, and whether the broker runs"),
    ("providers", check_providers, "change what is named; `hub settings` lists all"),
    ("mail", check_mail, "look at EMAIL_HOST and EMAIL_PORT"),
)


def place(url: str) -> str:
    """Where a URL leads, without its user and password."""
    parts = urlsplit(url)
    if parts.scheme.startswith("sqlite"):
        return parts.path[1:]  # four slashes: an absolute path
    if not parts.hostname:
        return parts.path  # a unix socket
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
