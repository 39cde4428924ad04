"""One hub process, from its settings to its end; and several that share a port.

`serve` runs until SIGTERM or SIGINT, then stops listening, lets the hub say goodbye to its connections and
is gone within LAST_SECONDS, whatever hangs. `serve_many` keeps that many processes on one port
(SO_REUSEPORT: the kernel spreads new connections), starts a dead one again and passes the signal on. Does
not know what the hub does.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import structlog

from hub.interpreter import loop_factory, settle
from hub.settings import Settings
from hub.supervise import Child, Supervisor
from hub.tls import Certificate

# A drained process that still lives after this many seconds ends by SIGALRM.
LAST_SECONDS = 14
# How often a renewed certificate is looked for.
RENEW_SECONDS = 30.0

log = structlog.get_logger(__name__)


class PortBusy(OSError):
    """Somebody else listens there."""


def require_free_port(host: str, port: int) -> None:
    """Raises `PortBusy` when nobody could listen on `host:port` now, also not by sharing it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise PortBusy(f"cannot listen on {host}: {error.strerror} (HUB_HOST)") from None
    for family, kind, protocol, _, address in found:
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise PortBusy(
                    f"port {port} on {host} cannot be used ({error.strerror}); choose another with HUB_PORT"
                ) from None


def run(settings: Settings, *, share: Path | None = None, certificate: Certificate | None = None) -> None:
    """Runs one hub process to its end, on uvloop where it is installed; with a certificate it speaks TLS."""
    allow_many_files()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(settings, share=share, certificate=certificate))


async def serve(settings: Settings, *, share: Path | None, certificate: Certificate | None) -> None:
    """Opens the hub, listens, and closes it after SIGTERM or SIGINT.

    `share`: other processes listen on the same port, and this is where they ask for its numbers.
    """
    from hub.app import build
    from hub.web.listening import Listening, ListenOptions
    from hub.web.routes import make_app

    stop = asyncio.Event()

    def asked() -> None:
        stop.set()
        signal.alarm(LAST_SECONDS)  # ends the process, also when the event loop hangs by then

    when_asked_to_stop(asked)
    hub = await build(settings)
    await hub.open()
    siblings = hub.meet_siblings(share) if share is not None else None
    listening = Listening(
        make_app(hub),
        hub.sockets,
        ListenOptions(
            head_timeout=settings.head_timeout,
            keepalive_timeout=settings.keepalive_timeout,
            most_silent=settings.handshakes,
        ),
    )
    try:
        if siblings is not None:
            await siblings.open()
        await listening.open(
            settings.host,
            settings.port,
            share=share is not None,
            tls=certificate.context if certificate else None,
        )
        if certificate is not None:
            _keep_renewed(certificate)
        settle()
        loop = type(asyncio.get_running_loop()).__module__
        log.info("listening", action="hub.listening", host=settings.host, port=settings.port, loop=loop)
        await stop.wait()
        log.info("draining", action="hub.draining")
        listening.stop()
        await hub.drain()
    finally:
        await listening.close()
        if siblings is not None:
            await siblings.close()
        await hub.close()
    log.info("closed", action="hub.closed")


async def serve_many(settings: Settings, count: int) -> None:
    """Runs `count` hub processes on one port until SIGTERM or SIGINT."""
    command = [sys.executable, "-m", "hub", "serve", "--workers", "1"]
    command += ["--host", settings.host, "--port", str(settings.port)]
    stop = asyncio.Event()
    when_asked_to_stop(stop.set)
    supervisor = Supervisor(
        line=lambda name, text: log.info(text, action="process.said", process=name),
        note=lambda text: log.warning(text, action="process.ended"),
    )
    place = Path(tempfile.mkdtemp(prefix="hub-"))  # for nobody else (0700)
    try:
        for number in range(1, count + 1):
            own = [*command, "--share", str(place / str(number))]
            # An orphan drains: it still holds connections, and the next hub will want its port.
            supervisor.start(Child(f"hub {number}", own, piped=False, orphan_signal=signal.SIGTERM))
        await stop.wait()
        await supervisor.close(grace=LAST_SECONDS + 0.5)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _keep_renewed(certificate: Certificate) -> None:
    """Looks for a renewed certificate from time to time, as long as the loop runs."""

    def look() -> None:
        certificate.renew()
        loop.call_later(RENEW_SECONDS, look)

    loop = asyncio.get_running_loop()
    loop.call_later(RENEW_SECONDS, look)


def when_asked_to_stop(do: Callable[[], object], *more: signal.Signals) -> None:
    """Calls `do` in the running loop at every SIGTERM and SIGINT, and the signals of `more`."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, *more):
        loop.add_signal_handler(number, do)


def allow_many_files() -> None:
    """Raises the soft limit of open files to the hard one: every connection is a file."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
