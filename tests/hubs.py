"""Real hub processes for tests: started, killed, started again, and never left behind.

A `HubCluster` owns a directory, a SQLite file, a Valkey on a fixed port (so that it can die and come back
empty) and any number of `hub serve` and `hub worker` processes with that Valkey and that database. Every
process leads its own group and is killed with it; the kernel kills it when the test run itself dies. Logs
stay in the directory.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import jwt

from hub.cluster.embedded import EmbeddedValkey, dies_with_parent, free_port

SECRET = "a-secret-of-the-tests-that-is-long-enough"
LOOPBACK = "127.0.0.1"
START_SECONDS = 20.0
LOOK_SECONDS = 0.02


def token_for(tenant: str, user: str, *roles: str, seconds: int = 3600) -> str:
    """A token that these hubs accept."""
    claims = {"sub": user, "tenant": tenant, "roles": list(roles), "exp": int(time.time()) + seconds}
    return jwt.encode(claims, SECRET, algorithm="HS256")


class Died(Exception):
    """A process ended that should run. `str()` has the end of its log."""


@dataclass(slots=True)
class Program:
    """One program that can be started more than once. Its output is appended to `log`."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    directory: Path
    port: int = 0
    process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        assert self.process is None, f"{self.name} runs already"
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                env=self.env,
                cwd=self.directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Signals the whole group and waits for its end. Returns the exit code."""
        assert self.process is not None, f"{self.name} does not run"
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self.process.pid, number)
        code = await self.process.wait()
        self.process = None
        return code

    async def run(self) -> None:
        """To its end. Raises `Died` when that is not a good one."""
        await self.start()
        assert self.process is not None
        code = await self.process.wait()
        self.process = None
        if code:
            raise Died(self.last_words(code))

    def require_alive(self) -> None:
        if self.process is None or self.process.returncode is not None:
            raise Died(self.last_words(self.process.returncode if self.process else None))

    def last_words(self, code: int | None) -> str:
        return f"{self.name} ended with {code}:\n{self.log.read_text(errors='replace')[-3000:]}"


@dataclass
class HubCluster:
    """`async with HubCluster(tmp_path, hubs=2) as cluster`: Valkey, a migrated database, ready hubs."""

    directory: Path
    hubs: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    nodes: list[Program] = field(default_factory=list, init=False)
    worker: Program | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.database = self.directory / "hub.db"
        self.valkey = EmbeddedValkey(self.directory / "valkey", port=free_port())
        clean = {
            name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}
        }
        self._env = clean | {
            "HUB_ENV": "test",
            "HUB_DATA_DIR": str(self.directory),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "REDIS_URL": self.valkey.url,
            "JWT_SECRET": SECRET,
            "LOG_LEVEL": "warning",
            "PYTHONUNBUFFERED": "1",
            **self.env,
        }
        self.nodes = [self._hub(f"hub{number}", "serve") for number in range(self.hubs)]

    def _hub(self, name: str, *command: str, serves: bool = True) -> Program:
        port = free_port() if serves else 0
        env = self._env | {"HUB_HOST": LOOPBACK} | ({"HUB_PORT": str(port)} if serves else {})
        return Program(name, [sys.executable, "-m", "hub", *command], env, self.directory, port)

    def _programs(self) -> list[Program]:
        return [*self.nodes, *([self.worker] if self.worker else [])]

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    async def __aenter__(self) -> HubCluster:
        try:
            self.start_valkey()
            await self._hub("migrate", "migrate", serves=False).run()
            await asyncio.gather(*(self.start(number) for number in range(len(self.nodes))))
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # -- hubs ----------------------------------------------------------------------------------------
    async def start(self, number: int) -> None:
        """Starts one hub and waits until it is ready. Raises `Died`."""
        node = self.nodes[number]
        await node.start()
        async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as http:
            while True:
                node.require_alive()
                try:
                    async with http.get(f"{node.url}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(LOOK_SECONDS)

    async def kill9(self, number: int) -> None:
        await self.nodes[number].kill()

    async def terminate(self, number: int) -> int:
        """SIGTERM, and the exit code once it is gone."""
        return await self.nodes[number].kill(signal.SIGTERM)

    # -- the rest ------------------------------------------------------------------------------------
    def program(self, name: str, *words: str) -> Program:
        """A Python program with the settings of these hubs; it is not started, and the caller ends it."""
        return Program(name, [sys.executable, *words], dict(self._env), self.directory)

    async def start_worker(self) -> Program:
        self.worker = self._hub("worker", "worker", serves=False)
        await self.worker.start()
        return self.worker

    def start_valkey(self) -> None:
        """Starts an empty Valkey on the same port as ever; it answers when this returns."""
        self.valkey.start()

    def kill_valkey(self) -> None:
        """As a crash: nothing is saved."""
        assert self.valkey.pid is not None
        os.kill(self.valkey.pid, signal.SIGKILL)
        self.valkey.wait()

    async def stop(self) -> None:
        """Ends everything at once."""
        await asyncio.gather(*(one.kill() for one in self._programs() if one.process is not None))
        self.valkey.stop()

    def logs(self) -> str:
        """What the hubs and the worker have printed."""
        return "\n".join(one.log.read_text(errors="replace") for one in self._programs() if one.log.exists())
