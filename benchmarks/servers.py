"""The hub and its peers as processes: started on the server's core, found ready, ended by pid.

A `Server` is a context manager. `options` are what the load generator needs to talk to it. Nothing is left
behind: each leads its own process group, which is killed, and dies with this process.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

from benchmarks import built
from benchmarks.machine import SERVER_CORE, pin, pinned
from benchmarks.tokens import ROOM, SECRET
from hub.cluster.embedded import EmbeddedValkey, dies_with_parent, free_port

ROOT = Path(__file__).parents[1]
START_SECONDS = 30.0
STOP_SECONDS = 5.0


class Server:
    """One program that listens on `port`, and on `line_port` for what is to be published."""

    name = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.line_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def options(self, protocol: str) -> list[str]:
        """For the load generator, to open connections of this protocol and to publish to all of them."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def pids(self) -> str:
        return str(self.pid)

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        log = self.directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                pinned(SERVER_CORE, self.command()),
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise built.Missing(f"{self.name} did not start: {log.read_text(errors='replace')[-800:]}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _listens(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def start_pinned(valkey: EmbeddedValkey) -> None:
    """Starts it on the servers' core."""
    valkey.start()
    assert valkey.pid is not None
    pin(valkey.pid, SERVER_CORE)


class HubServer(Server):
    """The hub on its own Valkey and SQLite file, on the same core."""

    name = "hub"

    def __init__(
        self,
        directory: Path,
        tokens: Path,
        settings: Mapping[str, str],
        *,
        valkey: EmbeddedValkey | None = None,
    ) -> None:
        """`valkey`: one that runs already; the server shares it."""
        super().__init__(directory)
        self._shares = valkey is not None
        self._valkey = valkey or EmbeddedValkey(directory / "valkey")
        self._tokens = tokens
        self._settings = settings

    def __enter__(self) -> Self:
        if not self._shares:
            start_pinned(self._valkey)
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if not self._shares:
            self._valkey.stop()

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "benchmarks.hub_server", str(self.line_port)]

    def environment(self) -> Mapping[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "HUB_ENV": "test",
            "HUB_PORT": str(self.port),
            "HUB_DATA_DIR": str(self.directory),
            "HUB_LOG_JSON": "true",
            "REDIS_URL": self._valkey.url,
            "JWT_SECRET": SECRET,
            # The whole crowd comes from one address.
            "HUB_CONNECTIONS_PER_ADDRESS": "100000",
            "HUB_HANDSHAKES_PER_ADDRESS": "10000",
            **self._settings,
        }

    def options(self, protocol: str, auth: str = '{"token":"%T"}') -> list[str]:
        who = ["--tokens", str(self._tokens), "--greeting", '"sessionId"']
        door = ["--port", str(self.port), "--line-port", str(self.line_port), "--room", ROOM]
        if protocol == "sse":
            return [*who, *door, "--path", "/notifications/sse", "--header", "Authorization: Bearer %T"]
        return [*who, *door, "--auth", auth]


class NodeServer(Server):
    """Socket.IO on Node."""

    name = "Node"

    def __init__(self, directory: Path, tokens: Path, *, redis: Path | None = None) -> None:
        """`redis`: the socket of one that this server and its like are joined by."""
        super().__init__(directory)
        self._tokens = tokens
        self._redis = [str(redis)] if redis else []

    def command(self) -> Sequence[str]:
        words = ["node", str(built.node_peer()), str(self.port), str(self.line_port), SECRET]
        return [*words, str(self.directory / "posted"), *self._redis]

    def options(self, protocol: str) -> list[str]:
        door = ["--port", str(self.port), "--line-port", str(self.line_port), "--room", ROOM]
        return [*door, "--tokens", str(self._tokens), "--greeting", '"connected"', "--auth", '{"token":"%T"}']


class NchanServer(Server):
    """nginx with nchan; published to by HTTP, as it is meant to be."""

    name = "nchan"

    def command(self) -> Sequence[str]:
        nginx = built.nginx()
        text = (built.HERE / "peers" / "nchan.conf").read_text()
        values = {"MODULE": nginx.module, "DIRECTORY": self.directory, "PORT": self.port}
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        configuration = self.directory / "nginx.conf"
        configuration.write_text(text)
        return [str(nginx.binary), "-e", "stderr", "-p", str(self.directory), "-c", str(configuration)]

    def options(self, protocol: str) -> list[str]:
        door = ["--port", str(self.port), "--post-port", str(self.port), "--post-path", "/publish"]
        return [*door, "--post-connections", "48", "--path", "/subscribe"]


class PlainServer(Server):
    """aiohttp, pydantic and SQLAlchemy, which store what is posted and do nothing else."""

    name = "plain"

    def command(self) -> Sequence[str]:
        database = str(self.directory / "plain.db")
        return [sys.executable, "-m", "benchmarks.peers.plain_ingest", str(self.port), database]


class LimitServer(Server):
    """The C program that does nothing but write."""

    name = "C"

    def __init__(self, directory: Path, *, sse: bool = False) -> None:
        super().__init__(directory)
        self._sse = sse

    def command(self) -> Sequence[str]:
        words = [str(built.program("limit")), str(self.port), str(self.line_port)]
        return [*words, "sse"] if self._sse else words

    def options(self, protocol: str) -> list[str]:
        return ["--port", str(self.port), "--line-port", str(self.line_port)]
