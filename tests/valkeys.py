"""Real Valkey servers for tests: one for the whole run, one to be ill-treated, and a proxy that hangs.

`valkey_url` is shared and never harmed: take `prefix` for names that no other test uses. `valkey` belongs
to the test, which may kill, restart, stop and continue it. `proxy` stands before it and can stop reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from hub.cluster import limiter, locations, states, tally, tickets
from hub.cluster.embedded import EmbeddedValkey, free_port

UNHURRIED = 10.0  # seconds the shared server may take to answer


class Valkey(EmbeddedValkey):
    """A server on TCP that can be harmed. It comes back on the same port, empty."""

    def kill(self) -> None:
        """kill -9, and it is gone when this returns."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nobody answers."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.pid is not None
        os.kill(self.pid, signal.SIGCONT)


class Proxy:
    """A TCP proxy on a free port. While frozen it accepts connections and reads nothing: a half-open peer.
    With `tls` it is what speaks TLS for a server that cannot."""

    def __init__(self, target: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self._tls = tls
        self.accepted = 0
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        far: asyncio.StreamWriter | None = None
        try:
            # asyncio's server complains of handlers that end by being cancelled.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._flowing.wait()
                back, far = await asyncio.open_connection("127.0.0.1", self._target)
                pumps = [asyncio.create_task(self._pump(*way)) for way in ((reader, far), (back, writer))]
                try:
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pump in pumps:
                        pump.cancel()
                    await asyncio.wait(pumps)
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                await self._flowing.wait()
                data = await reader.read(65536)
                await self._flowing.wait()
                if not data:
                    return
                writer.write(data)
                await writer.drain()


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The URL of a server that all tests share."""
    # Not pytest's own directory: a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="valkey-") as directory:
        server = EmbeddedValkey(directory)
        server.start()
        yield server.url
        server.stop()


@pytest.fixture(autouse=True)
def unhurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shared server is waited for as long as a busy machine needs: nobody ill-treats it."""
    if "valkey_url" in request.fixturenames and "valkey" not in request.fixturenames:
        for part in (limiter, locations, states, tally, tickets):
            monkeypatch.setattr(part, "TIMEOUT", UNHURRIED)


@pytest.fixture
def prefix() -> str:
    """A first part of keys and channels that no other test uses."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own, on TCP."""
    server = Valkey(tmp_path / "valkey", port=free_port())
    server.start()
    yield server
    server.stop(timeout=0)


@pytest_asyncio.fixture
async def proxy(valkey: Valkey) -> AsyncIterator[Proxy]:
    """A proxy before the test's own server."""
    proxy = Proxy(valkey.port)
    await proxy.open()
    yield proxy
    await proxy.close()
