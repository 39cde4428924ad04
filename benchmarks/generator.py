"""The C programs that make the load, from Python: a generator that holds connections, a poster, a getter."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from benchmarks import built
from benchmarks.fleets import Fleet
from benchmarks.machine import GENERATOR_CORE, pinned
from benchmarks.servers import Server

CONNECTIONS = 64  # of what GETs; a client keeps its own open
PATIENCE = 150.0  # seconds for an answer beyond the time that was asked for

Figures = dict[str, Any]


class Failed(RuntimeError):
    """The generator gave up; it has said why on stderr."""


class Generator:
    """Connections to one server, held while this context lives. `connected` says how opening them went."""

    def __init__(
        self,
        server: Server | Fleet,
        protocol: str,
        connections: int,
        *more: str,
        options: Sequence[str] | None = None,
    ) -> None:
        """`options`: other ones than the server's own."""
        words = [str(built.program("loadgen")), "--protocol", protocol, "--connections", str(connections)]
        words += [*(options or server.options(protocol)), "--pids", server.pids, *more]
        self._process = subprocess.Popen(
            pinned(GENERATOR_CORE, words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.connected = self._answer(PATIENCE)
        if self.connected["dead"]:
            self.__exit__()
            raise Failed(f"{self.connected['dead']} of {connections} connections to {server.name} failed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended by itself
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, *words: object) -> Figures:
        """Give a command (they stand in loadgen.c) and wait for what it says."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(" ".join(map(str, words)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"it ended with {self._process.wait()}") from None
        return self._answer(PATIENCE + sum(word for word in words if isinstance(word, int | float)))

    def flood(self, *, window: int, seconds: float, burst: int = 1, warm: float = 0.2) -> Figures:
        """`window` publishes, or bursts, under way: the next goes when the oldest has reached somebody."""
        return self.ask("flood", window, burst, warm, seconds)

    def pace(self, *, rate: float, seconds: float, warm: float = 0.3) -> Figures:
        """`rate` publishes a second."""
        return self.ask("pace", rate, warm, seconds)

    def _answer(self, patience: float) -> Figures:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], patience)[0]:
            self._process.kill()
            raise Failed(f"no answer in {patience:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"it ended with {self._process.wait()}")
        answer: Figures = json.loads(line)
        return answer


def post(
    server: Server,
    path: str,
    headers: Sequence[str],
    body: str,
    *,
    connections: int,
    seconds: float,
    items: int = 1,
    warm: float = 0.5,
) -> Figures:
    """POST in a closed loop; what placeholders `headers` and `body` may hold stands in poster.c."""
    words = [str(built.program("poster")), str(server.port), path, str(connections), str(warm), str(seconds)]
    words += [str(items), str(server.pid), "\r\n".join(headers), body]
    return _run(words, seconds)


def get(
    server: Server,
    path: str,
    tokens: Path,
    *,
    rate: float,
    seconds: float,
    warm: float = 1.0,
    known: bool = False,
) -> Figures:
    """GET `rate` times a second, by the people of these tokens in turn. `known`: with the ETag of before."""
    words = [str(built.program("getter")), str(server.port), path, str(rate), str(CONNECTIONS), str(warm)]
    return _run(
        [*words, str(seconds), str(server.pid), str(tokens)], seconds, {"IF_NONE_MATCH": "1"} if known else {}
    )


def _run(words: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None) -> Figures:
    try:
        done = subprocess.run(
            pinned(GENERATOR_CORE, words),
            stdout=subprocess.PIPE,
            check=True,
            timeout=seconds + PATIENCE,
            env={**os.environ, **(environment or {})},
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise Failed(str(error)) from None
    figures: Figures = json.loads(done.stdout)
    return figures
