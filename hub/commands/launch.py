"""The commands that run something: `hub dev`, `hub serve`, `hub worker`, `hub migrate`.

Each reads the settings, sets up logging and hands over. What runs is imported only here and only then, so
that the small commands start fast.
"""

from __future__ import annotations

import asyncio
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.commands.start import Fault, load, load_safe

if TYPE_CHECKING:
    from hub.settings import Settings

Port = Annotated[int | None, typer.Option("--port", help="Port to listen on. Default: HUB_PORT.")]
Host = Annotated[str | None, typer.Option("--host", help="Address to listen on. Default: HUB_HOST.")]


def dev(
    demo: Annotated[bool, typer.Option("--demo", help="Replay real hotel bookings into it.")] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Send by simulated providers, with their callbacks.")
    ] = False,
    port: Port = None,
) -> None:
    """Run everything on this machine: hub, worker, Valkey and SQLite. Ctrl-C ends all of it."""
    from hub.commands.greeting import greet
    from hub.dev import run
    from hub.serve import PortBusy

    settings = load(port=port)
    try:
        run(settings, demo=demo, simulate=simulate, greet=lambda url: greet(settings, url))
    except PortBusy as busy:
        raise Fault(str(busy)) from None


def serve(
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, help="Processes. Default: HUB_WORKERS.")
    ] = None,
    host: Host = None,
    port: Port = None,
    share: Annotated[Path | None, typer.Option("--share", hidden=True)] = None,
) -> None:
    """Run the hub: one process, or several that share the port. SIGTERM drains it."""
    settings = load_safe(workers=workers, host=host, port=port)
    _log(settings)
    from hub.serve import PortBusy, require_free_port, run, serve_many
    from hub.tls import CertificateRefused, certificate_of

    try:
        certificate = certificate_of(settings.tls_cert, settings.tls_key)
        if share is None:  # the port of a shared one was tried by the parent
            require_free_port(settings.host, settings.port)
    except (PortBusy, CertificateRefused) as fault:
        raise Fault(str(fault)) from None
    if settings.workers > 1:
        asyncio.run(serve_many(settings, settings.workers))
    else:
        run(settings, share=share, certificate=certificate)


def worker(
    queues: Annotated[
        str | None, typer.Option("--queues", help="Only these, separated by commas. Default: all.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", min=1, help="Sends at once. Default: HUB_WORKER_CONCURRENCY."),
    ] = None,
) -> None:
    """Run a worker: it sends what is due, and keeps the timers."""
    settings = load_safe(worker_concurrency=concurrency)
    _log(settings)
    # Celery's warning about root is about pickles; the hub's queues carry JSON only.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    from tasks.app import work
    from tasks.queues import QUEUES

    chosen = tuple(name.strip() for name in queues.split(",")) if queues is not None else ()
    for name in chosen:
        if name not in QUEUES:
            raise Fault(f"--queues {name}: a queue is one of {', '.join(QUEUES)}", code=2)
    sys.exit(work(settings, queues=chosen))


def migrate() -> None:
    """Bring the database to this version's tables."""
    from hub.commands.database import apply_migrations

    for name in apply_migrations(load_safe()):
        typer.echo(f"applied {name}")
    typer.echo("the database has this version's tables")


def _log(settings: Settings) -> None:
    from hub import logs

    as_json = settings.log_json or not settings.development
    color = not as_json and (sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR")))
    logs.configure(level=settings.log_level, as_json=as_json, color=color)
