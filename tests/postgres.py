"""A PostgreSQL of our own on a Unix socket, made anew and thrown away.

Its programs (initdb, postgres) are found on PATH or where Debian puts them.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

_START_SECONDS = 30.0
_NOT_DURABLE = ("fsync=off", "full_page_writes=off")
NOT_FOUND = "initdb is neither on PATH nor in /usr/lib/postgresql/*/bin"


class Postgres:
    """A server. Its processes can be stopped and continued. `durable`: a commit is on the disk."""

    def __init__(self, programs: Path, directory: Path, *, durable: bool = False) -> None:
        self.directory = directory
        self._programs = programs
        self._options = ("listen_addresses=", "max_connections=100", *(() if durable else _NOT_DURABLE))
        self._data = directory / "data"
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://hub@/{database}?host={self.directory}"

    def start(self) -> None:
        """Make the server if it was not made yet, and start it; it answers when this returns."""
        if not self._data.exists():
            options = ["--auth=trust", "--username=hub", "--encoding=UTF8", "--no-sync", "--locale=C.UTF-8"]
            self._run("initdb", "-D", str(self._data), *options)
        where = ["-D", str(self._data), "-k", str(self.directory)]
        log = self.directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *_as_other(),
                    str(self._programs / "postgres"),
                    *where,
                    *(f"--{option}" for option in self._options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text()) from None
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: roll back, disconnect everybody and end (PostgreSQL's fast shutdown)."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(30)
        self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def freeze(self) -> None:
        """SIGSTOP for the server and all its children: connections stay open, nobody answers."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def dsn(self, database: str) -> str:
        return f"host={self.directory} user=hub dbname={database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as conn:
            conn.execute(statement.encode())

    def _pids(self) -> list[int]:
        pid = self.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_other(), str(self._programs / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.directory)


def _as_other() -> Sequence[str]:
    """PostgreSQL refuses to run as root; then it runs as the user its package has made."""
    if os.geteuid():
        return ()
    return ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=INT", "--")


def programs() -> Path | None:
    on_path = shutil.which("initdb")
    if on_path and shutil.which("postgres"):
        return Path(on_path).parent
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    return Path(found[-1]).parent if found else None


@contextmanager
def running(found: Path, *, durable: bool = False) -> Iterator[Postgres]:
    """A new server, made by the programs that were `found`."""
    # Not pytest's own directory: a socket's path must be short, and another user must get in.
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        directory = Path(name)
        if not os.geteuid():
            owner = pwd.getpwnam("postgres")
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        server = Postgres(found, directory, durable=durable)
        server.start()
        try:
            yield server
        finally:
            server.stop()
