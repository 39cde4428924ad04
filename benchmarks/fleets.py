"""Several processes that are one server, joined by one Valkey: connections go to them by turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from benchmarks.servers import HubServer, NodeServer, Server, start_pinned
from hub.cluster.embedded import SOCKET, EmbeddedValkey


class Fleet:
    """`count` processes of the hub or of Node; what is published goes to the first."""

    def __init__(self, name: str, directory: Path, tokens: Path, count: int) -> None:
        self.name = name
        self._directory = directory
        self._tokens = tokens
        self._count = count
        self._servers: Sequence[Server] = ()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            valkey = EmbeddedValkey(self._directory / "valkey")
            start_pinned(valkey)
            stack.callback(valkey.stop)
            self._servers = [stack.enter_context(self._server(valkey)) for _ in range(self._count)]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def pids(self) -> str:
        return ",".join(server.pids for server in self._servers)

    def options(self, protocol: str) -> list[str]:
        """For the load generator; the first process is published to."""
        options = self._servers[0].options(protocol)
        options[options.index("--port") + 1] = ",".join(str(server.port) for server in self._servers)
        return options

    def _server(self, valkey: EmbeddedValkey) -> Server:
        if self.name == "hub":
            return HubServer(self._directory, self._tokens, {}, valkey=valkey)
        return NodeServer(self._directory, self._tokens, redis=self._directory / "valkey" / SOCKET)
