"""Who may come: tokens for people, API keys for backends, tenants.

`make_token` signs what the hub's own tokens service accepts. Keys and tenants are rows in the database that
the settings name. A secret is printed once, on standard output, and nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hub.commands.start import Fault, load
from hub.domain.access import DEFAULT_TENANT, Principal, require_tenant

if TYPE_CHECKING:  # `hub --help` and `hub token` start faster without them
    from hub.settings import Settings
    from hub.store.engine import Database
    from hub.store.keys import ApiKeys, KeyEntry

T = TypeVar("T")
KeyTenant = Annotated[
    str | None, typer.Option("--tenant", help="Whose key. Without: a key of the whole platform.")
]


def token(
    user: Annotated[str, typer.Option("--user", help="The user's id (`sub`).")],
    role: Annotated[list[str] | None, typer.Option("--role", help="A role; may be repeated.")] = None,
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant's id.")] = DEFAULT_TENANT,
    expires: Annotated[
        str | None, typer.Option("--expires", help="Life: seconds, 15m, 12h or 7d. Default: JWT_EXPIRES_IN.")
    ] = None,
    session: Annotated[str | None, typer.Option("--session", help="The session's id (`sid`).")] = None,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="Pattern of topics it may join; may be repeated.")
    ] = None,
) -> None:
    """Print a token for a user, signed with JWT_SECRET."""
    from hub.settings import seconds

    settings = load()
    life = settings.jwt_expires_in if expires is None else seconds(expires)
    if not life:
        raise Fault(f"--expires {expires}: not a time; say seconds, 15m, 12h or 7d", code=2)
    who = Principal(
        tenant=tenant, user=user, roles=tuple(role or ()), session=session or "", topics=tuple(topic or ())
    )
    typer.echo(make_token(settings, who, life=life, now=time.time()))


def make_token(settings: Settings, who: Principal, *, life: int, now: float) -> str:
    """A token for `who` that lives `life` seconds from `now` (Unix time), HS256 with the configured secret.

    Raises `Fault` when the hub would not accept it: no secret in production, or HS256 switched off.
    """
    from hub.services.claims import sign

    if "HS256" not in settings.jwt_algorithms or (settings.jwt_secret is None and not settings.development):
        raise Fault(
            "tokens come from your identity provider: no JWT_SECRET is set, or HUB_JWT_ALGORITHMS lacks HS256"
        )
    return sign(
        who,
        settings.secret,
        life=life,
        now=now,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
    )


def create_key(
    scope: Annotated[list[str], typer.Option("--scope", help="notify, admin or read; may be repeated.")],
    tenant: KeyTenant = None,
    name: Annotated[str | None, typer.Option("--name", help="What it is for.")] = None,
) -> None:
    """Make an API key and print it. It is shown this once; only its hash is stored."""
    from hub.domain.access import SCOPES
    from hub.store.events import EventLog

    wrong = [one for one in scope if one not in SCOPES]
    if wrong:
        raise Fault(f"--scope {wrong[0]}: a scope is one of {', '.join(SCOPES)}", code=2)

    async def create(settings: Settings, db: Database, keys: ApiKeys) -> str:
        if tenant is not None:
            await EventLog(db).tenant(require_tenant(tenant), create=settings.creates_tenants)
        _, secret = await keys.create(tenant, scope, name, now=datetime.now(UTC))
        return secret

    typer.echo(_with_keys(create))


def list_keys(tenant: KeyTenant = None) -> None:
    """List API keys, without their secrets."""

    async def entries(_settings: Settings, _db: Database, keys: ApiKeys) -> list[KeyEntry]:
        return await keys.list(tenant)

    for entry in _with_keys(entries):
        ended = f"revoked {entry.revoked_at:%Y-%m-%d}" if entry.revoked_at else "active"
        scopes = " ".join(sorted(entry.key.scopes))
        made = f"{entry.created_at:%Y-%m-%d}"
        typer.echo("\t".join((entry.key.id, f"{entry.shown}...", scopes, made, ended, entry.name or "")))


def revoke_key(
    id: Annotated[str, typer.Argument(help="The key's id, as `hub key list` shows it.")],
    tenant: KeyTenant = None,
) -> None:
    """Revoke an API key, for good."""

    async def revoke(_settings: Settings, _db: Database, keys: ApiKeys) -> bool:
        return await keys.revoke(tenant, id, now=datetime.now(UTC))

    if not _with_keys(revoke):
        whose = f"tenant {tenant}" if tenant else "the platform (for a tenant's key give --tenant)"
        raise Fault(f"no active key {id} of {whose}")
    typer.echo(f"revoked {id}")


def vapid() -> None:
    """Print a new pair of keys for web push: the private one is HUB_VAPID_PRIVATE_KEY."""
    from hub.providers.vapid import generate, public_key

    private = generate()
    typer.echo(f"HUB_VAPID_PRIVATE_KEY={private}")
    typer.echo(f"public key, for browsers: {public_key(private)}")


def create_tenant(
    name: Annotated[str, typer.Argument(help="The tenant's id, for example acme.")],
    retention_days: Annotated[
        int | None,
        typer.Option(
            "--retention-days", help="Days its log is kept. Without: as it is, or HUB_RETENTION_DAYS."
        ),
    ] = None,
) -> None:
    """Create a tenant. Doing it twice is no fault."""
    from hub.store.events import EventLog
    from hub.store.tenants import MAX_DAYS, Tenants

    if retention_days is not None and not 1 <= retention_days <= MAX_DAYS:
        raise Fault(f"--retention-days {retention_days}: from 1 to {MAX_DAYS}", code=2)

    async def create(_settings: Settings, db: Database, _keys: ApiKeys) -> None:
        await EventLog(db).tenant(require_tenant(name), create=True)
        if retention_days is not None:
            await Tenants(db).keep_for(name, retention_days)

    _with_keys(create)
    typer.echo(name)


def _with_keys(do: Callable[[Settings, Database, ApiKeys], Awaitable[T]]) -> T:
    """What `do` returns, given the settings, the open database and the keys in it."""
    from hub.commands.database import opened, prepare
    from hub.store.keys import ApiKeys

    settings = load()
    prepare(settings)

    async def run() -> T:
        async with opened(settings) as database:
            return await do(settings, database, ApiKeys(database))

    return asyncio.run(run())
