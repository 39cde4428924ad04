"""A `hub` command as a real process: what it prints, what it has started, and that all of it is gone.

The process leads its own group and dies with the test run. Its environment holds no setting but those the
test gives.
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from hub.cluster.embedded import dies_with_parent, free_port
from hub.settings import Settings, names
from hub.store.migrate import migrate

PATIENCE = 60.0  # seconds until a test gives up waiting; never a measure of anything


class Answer(NamedTuple):
    status: int
    body: Any


class Launched:
    """`python -m hub WORDS...` in `directory`. Use it as a context: at the end the whole group is killed."""

    program: Sequence[str] = ("-m", "hub")

    def __init__(self, *words: str, directory: Path, **settings: str) -> None:
        self.seen: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        directory.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, *self.program, *words],
            cwd=directory,
            env=clean_environment() | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=dies_with_parent(signal.SIGKILL),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Launched:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            started = descendants(self.pid)
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            wait_gone(started)
        self._reader.join(PATIENCE)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self, *parts: str) -> str:
        """The next line that holds all `parts`. AssertionError when it ends or falls silent before."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                text = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line with {parts} in:\n{self.output}") from None
            assert text is not None, f"it ended without a line with {parts}:\n{self.output}"
            if all(part in text for part in parts):
                return text

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code, when it has ended."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    @property
    def output(self) -> str:
        return "\n".join(self.seen)

    def child(self, word: str) -> int:
        """The process id of the direct child with `word` as an argument, or as its program's name."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for pid in children(self.pid):
                program, *arguments = command_line(pid) or [""]
                if word in (*arguments, Path(program).name.split(" ")[0]):
                    return pid
            time.sleep(0.02)  # it is between two lives, or not yet what it will be
        raise AssertionError(f"no child {word} of {self.pid}:\n{self.output}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            self.seen.append(text.rstrip("\n"))
            self._lines.put(text.rstrip("\n"))
        self._lines.put(None)


class Serve(Launched):
    """`hub serve` on a port of its own, with the test run's Valkey and a database in its directory."""

    def __init__(self, directory: Path, redis: str, *words: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings |= {"REDIS_URL": redis, "HUB_REDIS_PREFIX": f"serve-{self.port}"}
        migrate(f"sqlite:///{directory}/.hub/hub.db")
        super().__init__("serve", "--port", str(self.port), *words, directory=directory, **settings)

    def ready(self) -> None:
        next(answer for answer in until(f"{self.url}/readyz") if answer.status == 200)


def clean_environment() -> dict[str, str]:
    """Ours without any setting of the hub."""
    known = {name for field in Settings.model_fields for name in names(field)} | {"HUB_API_KEY", "HUB_URL"}
    return {name: value for name, value in os.environ.items() if name not in known}


def children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except FileNotFoundError:  # it has ended meanwhile
        return []


def descendants(pid: int) -> set[int]:
    """Every process below `pid`."""
    found: set[int] = set()
    todo = children(pid)
    while todo:
        found.add(todo[-1])
        todo += children(todo.pop())
    return found


def command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def wait_gone(pids: Collection[int]) -> None:
    """Returns when none of these processes lives. TimeoutError when one stays."""
    for pid in pids:
        try:
            ended = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([ended], [], [], PATIENCE)[0]:
                raise TimeoutError(f"process {pid} lives on: {command_line(pid)}")
        finally:
            os.close(ended)


def ask(url: str, *, token: str | None = None, body: Any = None) -> Answer:
    """GET, or POST of a JSON `body`. Status 0: nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {**headers, "Content-Type": "application/json"})
    try:
        with closing(urllib.request.urlopen(request, timeout=PATIENCE)) as answer:
            return Answer(answer.status, json.loads(answer.read() or b"null"))
    except urllib.error.HTTPError as refusal:
        with closing(refusal):
            return Answer(refusal.code, json.loads(refusal.read() or b"null"))
    except OSError:
        return Answer(0, None)


def until(url: str, *, token: str | None = None) -> Iterator[Answer]:
    """One answer after the other, until the test has what it wants; AssertionError when it never has."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        yield ask(url, token=token)
        time.sleep(0.05)
    raise AssertionError(f"{url} did not become what was awaited")
