"""`hub dev`: from nothing to a running hub, and back to nothing.

Brings up what the settings do not name (a Valkey, a SQLite file), applies migrations, keeps a hub and a
worker running as children, and says where they are when they answer. Promises: nothing is started when
the port is taken or the data directory is in use; after Ctrl-C, SIGTERM or SIGHUP every child is gone
within STOP_SECONDS. Does not know what the children do.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import aiohttp
import redis.asyncio

from hub.cluster.embedded import ServerMissing, find_server, free_port, server_command
from hub.commands.database import apply_migrations
from hub.commands.send import local_url
from hub.commands.simulate import environment
from hub.commands.start import Fault
from hub.serve import require_free_port, when_asked_to_stop
from hub.settings import DEVELOPMENT_KEY, Settings
from hub.supervise import Child, Supervisor

STOP_SECONDS = 4.5
READY_SECONDS = 60.0
# Nobody waits a whole production drain for a Ctrl-C.
DRAIN_SECONDS = 1.0
# The demo is to be watched: a notification every half second, for some minutes.
DEMO_RATE, DEMO_MAX = 2, 500
DEMO_LOG_LEVEL = "warning"  # unless another was said: what one needs to begin stays on the screen
DEMO = Path(__file__).parents[1] / "examples" / "replay_bookings.py"
_COLORS = {"hub": 36, "worker": 33, "valkey": 35, "simulator": 34, "demo": 32}


class Output:
    """What `hub dev` prints: notes of its own, and the children's lines with their name in front."""

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        self._stream = stream
        self._color = color

    def line(self, name: str, text: str) -> None:
        mark = f"{name:<6} |"
        if self._color:
            mark = f"\x1b[{_COLORS.get(name, 37)}m{mark}\x1b[0m"
        self.note(f"{mark} {text}")

    def note(self, text: str) -> None:
        with suppress(OSError):  # the terminal is gone: SIGHUP will tell
            self._stream.write(f"{text}\n")
            self._stream.flush()


def run(settings: Settings, *, demo: bool, simulate: bool, greet: Callable[[str], None]) -> None:
    """Runs everything until a signal asks for the end. Calls `greet(url)` when the hub is ready.

    Raises `Fault` for what a person has to mend first.
    """
    if not settings.development:
        raise Fault("`hub dev` is for development, and HUB_ENV says production; use `hub serve`", code=2)
    if demo and not DEMO.exists():
        raise Fault("the demo's bookings come with the repository, not with the package", code=2)
    require_free_port(settings.host, settings.port)
    with only_one(Path(settings.data_dir).absolute()) as directory:
        apply_migrations(settings)
        asyncio.run(_run(settings, directory, demo=demo, simulate=simulate, greet=greet))


@contextmanager
def only_one(directory: Path) -> Iterator[Path]:
    """Holds the data directory, made when it is missing. Raises `Fault` when another process holds it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("a")
    except OSError as error:
        raise Fault(f"the data directory cannot be used ({error}); name another with HUB_DATA_DIR") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Fault(
                f"another `hub dev` uses {directory}; give this one its own with HUB_DATA_DIR"
            ) from None
        yield directory


async def _run(
    settings: Settings, directory: Path, *, demo: bool, simulate: bool, greet: Callable[[str], None]
) -> None:
    color = sys.stdout.isatty()
    output = Output(sys.stdout, color=color)
    supervisor = Supervisor(line=output.line, note=output.note)
    env = child_environment(settings, directory, color=color, demo=demo)
    output.note(f"starting, with the data in {directory} ...")
    if demo and env["HUB_LOG_LEVEL"] == DEMO_LOG_LEVEL:
        output.note("only warnings are logged; LOG_LEVEL=info shows every request and delivery")
    stop = asyncio.Event()
    when_asked_to_stop(stop.set, signal.SIGHUP)
    if simulate:
        env |= _start_simulator(settings, supervisor, env)
        output.note(f"every provider is simulated; what they got: {env['HUB_TWILIO_URL']}/")
    starting = asyncio.create_task(_bring_up(settings, supervisor, directory, env, demo=demo, greet=greet))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()  # raises what went wrong
            await stopping
        output.note("stopping ...")
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        # Valkey goes last: the others say goodbye through it.
        await supervisor.stop("demo", "hub", "worker", "simulator", grace=STOP_SECONDS - 1)
        await supervisor.close(grace=0.5)


async def _bring_up(
    settings: Settings,
    supervisor: Supervisor,
    directory: Path,
    env: dict[str, str],
    *,
    demo: bool,
    greet: Callable[[str], None],
) -> None:
    """Starts the children in order and returns when the hub is ready. Raises `Fault`."""
    if settings.redis is None:
        env["HUB_REDIS_URL"] = await _start_valkey(supervisor, directory)
    hub = [sys.executable, "-m", "hub"]
    supervisor.start(Child("hub", [*hub, "serve"], env))
    supervisor.start(Child("worker", [*hub, "worker"], env))
    url = local_url(settings)
    await _answers("the hub", lambda: _require_ready(url))
    greet(url)
    if demo:
        # A name of its own per start: the same bookings are news again.
        replay = ["--url", url, "--key", DEVELOPMENT_KEY, "--run", f"demo-{int(time.time())}", "--shared"]
        replay += ["--rate", str(DEMO_RATE), "--max", str(DEMO_MAX)]
        supervisor.start(Child("demo", [sys.executable, str(DEMO), *replay], env, restart=False))


def _start_simulator(settings: Settings, supervisor: Supervisor, env: dict[str, str]) -> dict[str, str]:
    """Starts the simulator; returns the settings by which the hub and the worker use it, and it the hub."""
    port, hub = free_port(), settings.public_url or local_url(settings)
    command = [sys.executable, "-m", "hub", "simulate", "--port", str(port), "--hub", hub]
    supervisor.start(Child("simulator", command, env))
    return {**environment(f"http://127.0.0.1:{port}"), "HUB_PUBLIC_URL": hub}


async def _start_valkey(supervisor: Supervisor, directory: Path) -> str:
    """Starts a Valkey of our own; returns its URL when it answers. Raises `Fault`."""
    try:
        binary = find_server()
    except ServerMissing as error:
        raise Fault(str(error)) from None
    port, folder = free_port(), directory / "valkey"
    folder.mkdir(exist_ok=True)
    supervisor.start(Child("valkey", server_command(binary, port=port, directory=folder)))
    url = f"redis://127.0.0.1:{port}/0"
    async with redis.asyncio.from_url(url, socket_timeout=1.0, retry=None) as client:
        await _answers("Valkey", client.ping)
    return url


async def _answers(name: str, ask: Callable[[], Awaitable[object]]) -> None:
    """Returns when `ask` no longer fails; raises `Fault` with its last failure after READY_SECONDS."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            await ask()
            return
        except (OSError, redis.RedisError, aiohttp.ClientError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise Fault(f"{name} was not ready within {READY_SECONDS:g} s: {error}") from None
        await asyncio.sleep(0.05)


async def _require_ready(url: str) -> None:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0), raise_for_status=True) as session,
        session.get(f"{url}/readyz"),
    ):
        pass


def child_environment(settings: Settings, directory: Path, *, color: bool, demo: bool) -> dict[str, str]:
    """What the children get: our environment, and what was decided for them here."""
    quiet = demo and "log_level" not in settings.model_fields_set
    decided = {
        "HUB_ENV": settings.env,
        "HUB_HOST": settings.host,
        "HUB_PORT": str(settings.port),
        "HUB_DATA_DIR": str(directory),
        "HUB_WORKERS": "1",
        "HUB_DRAIN_SECONDS": str(min(settings.drain_seconds, DRAIN_SECONDS)),
        "HUB_LOG_LEVEL": DEMO_LOG_LEVEL if quiet else settings.log_level,
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **decided, **({"FORCE_COLOR": "1"} if color else {})}
