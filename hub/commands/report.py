"""`hub report`: a tenant's day, printed or sent to its admins at once.

What it says and whom it reaches is `hub.services.daily`'s. Needs the database, and to send also what a worker
needs.
"""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hub.clock import utc_now
from hub.commands.start import Fault, load
from hub.domain.access import DEFAULT_TENANT, require_tenant

if TYPE_CHECKING:
    from hub.domain.drafts import Draft
    from hub.settings import Settings


def report(
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant's id.")] = DEFAULT_TENANT,
    day: Annotated[
        str | None, typer.Option("--day", help="Which day, as 2026-11-25. Default: yesterday.")
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="Send it to the tenant's admins now.")] = False,
) -> None:
    """Print the daily report of a tenant, or send it."""
    from hub.commands.database import prepare

    try:
        chosen = None if day is None else datetime.strptime(day, "%Y-%m-%d").date()
    except ValueError:
        raise Fault(f"not a day: {day}; write it as 2026-11-25", code=2) from None
    settings = load()
    prepare(settings)
    typer.echo(asyncio.run(_report(settings, require_tenant(tenant), chosen, send=send)))


async def _report(settings: Settings, tenant: str, day: date | None, *, send: bool) -> str:
    from hub.choices import daily
    from hub.commands.database import opened
    from hub.store.events import EventLog
    from hub.stores import Stores

    async with opened(settings) as database:
        log = EventLog(database)
        await log.tenant(tenant, create=False)
        report = daily(settings, Stores(database), log, release=_nothing, clock=utc_now)
        text = await report.text(tenant, day)
        chosen = day or report.yesterday()
    if send:
        await _send(settings, tenant, chosen)
    return text


async def _send(settings: Settings, tenant: str, day: date) -> None:
    from hub.app import build

    hub = await build(settings)
    try:
        await hub.open()
        await hub.daily.send(tenant, day, again=True)
    finally:
        await hub.close()


async def _nothing(_id: str, _draft: Draft) -> None:
    """What is printed is not sent."""
