"""Real databases for tests: SQLite files, and a PostgreSQL of our own that is thrown away.

`url` and `database` give each test an empty, migrated database of either kind; a test that uses them runs
twice. `sqlite_url` and `postgres_url` name one kind. PostgreSQL's programs (initdb, postgres) are found on
PATH or where Debian puts them; without them its tests are skipped, loudly.
"""

from __future__ import annotations

import glob
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.migrate import migrate
from tests.appends import NOW

_TEMPLATE = "template_hub"
_START_SECONDS = 30.0


class Postgres:
    """A server on a Unix socket, without durability. Its processes can be stopped and continued."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self.directory = directory
        self._programs = programs
        self._data = directory / "data"
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://hub@/{database}?host={self.directory}"

    def start(self) -> None:
        """Make the server if it was not made yet, and start it; it answers when this returns."""
        if not self._data.exists():
            options = ["--auth=trust", "--username=hub", "--encoding=UTF8", "--no-sync", "--locale=C.UTF-8"]
            self._run("initdb", "-D", str(self._data), *options)
        options = ["listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=100"]
        where = ["-D", str(self._data), "-k", str(self.directory)]
        log = self.directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *_as_other(),
                    str(self._programs / "postgres"),
                    *where,
                    *(f"--{option}" for option in options),
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
        assert self._process is not None
        pid = self._process.pid
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


def _programs() -> Path | None:
    on_path = shutil.which("initdb")
    if on_path and shutil.which("postgres"):
        return Path(on_path).parent
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    return Path(found[-1]).parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that all tests share."""
    programs = _programs()
    if programs is None:
        reason = "PostgreSQL is not tested: initdb is neither on PATH nor in /usr/lib/postgresql/*/bin"
        warnings.warn(pytest.PytestWarning(reason), stacklevel=1)
        pytest.skip(reason)
    # Not pytest's own directory: a socket's path must be short, and another user must get in.
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        directory = Path(name)
        if not os.geteuid():
            owner = pwd.getpwnam("postgres")
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        server = Postgres(programs, directory)
        server.start()
        try:
            server.execute(f"CREATE DATABASE {_TEMPLATE}")
            migrate(server.url(_TEMPLATE))
            yield server
        finally:
            server.stop()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty, migrated database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY file_copy")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """An empty, migrated database of the test's own."""
    shutil.copy(_sqlite_template, tmp_path / "hub.db")
    return f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> Any:
    """An empty, migrated database of the test's own, once of each kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest_asyncio.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """The same, opened."""
    db = await Database.open(url)
    yield db
    await db.close()


@pytest_asyncio.fixture
async def log(database: Database) -> AsyncIterator[EventLog]:
    """The log of that database, open, at a time that stands still."""
    log = EventLog(database, clock=lambda: NOW)
    await log.open()
    yield log
    await log.close()
