"""Children of one command: started, watched, started again, and ended together.

Each child leads its own process group, so a Ctrl-C in the terminal reaches only the supervisor, which
then ends the children in order, and whatever a child has started goes with it. Promises: a child that
dies is started again after a growing pause and said so in one line; `stop` and `close` leave no process
of these groups behind; when the supervisor itself is killed the kernel ends the children (on Linux). Does
not know what the children do, nor when they are ready.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hub.cluster.embedded import dies_with_parent

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
# A child that ran this long is healthy: its next pause is the first one again.
SETTLED_SECONDS = 10.0
MAX_LINE = 64 << 10
# How long the rest of a dead child's output may take to arrive.
_LAST_WORDS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Child:
    """A program to keep running.

    `env` is its whole environment (None: ours). With `piped` its output comes to the supervisor line by
    line, else it goes where ours goes. Without `restart` it may end. `orphan_signal` is what the kernel
    sends to it when the supervisor dies.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None
    piped: bool = True
    restart: bool = True
    orphan_signal: signal.Signals = signal.SIGKILL


@dataclass(slots=True)
class _Life:
    child: Child
    process: asyncio.subprocess.Process | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Keeps children running.

    `line(name, text)` gets what piped children print, `note(text)` what happens to them. Both are called
    in the event loop and must not block.
    """

    def __init__(self, *, line: Callable[[str, str], None], note: Callable[[str], None]) -> None:
        self._line = line
        self._note = note
        self._lives: dict[str, tuple[_Life, asyncio.Task[None]]] = {}

    def start(self, child: Child) -> None:
        """Starts `child` and keeps it running until it is stopped. A name can be used once at a time."""
        if child.name in self._lives:
            raise ValueError(f"a child named {child.name} is running")
        life = _Life(child)
        task = asyncio.create_task(self._keep(life), name=f"keep {child.name}")
        self._lives[child.name] = (life, task)

    def pid(self, name: str) -> int | None:
        """The process id of a child; None while it is down."""
        life, _ = self._lives.get(name, (None, None))
        return life.process.pid if life and life.process else None

    async def stop(self, *names: str, grace: float) -> None:
        """SIGTERM to these children; SIGKILL to their groups after `grace` seconds. They are gone then."""
        chosen = [self._lives.pop(name) for name in names if name in self._lives]
        for life, _ in chosen:
            life.stop.set()
            _signal_group(life.process, signal.SIGTERM)
        tasks = [task for _, task in chosen]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for life, task in chosen:
            if not task.done():
                self._note(f"{life.child.name} did not end within {grace:g} s: killed")
                _signal_group(life.process, signal.SIGKILL)
        await asyncio.gather(*tasks)

    async def close(self, *, grace: float) -> None:
        """Ends all children, as `stop` does."""
        await self.stop(*self._lives, grace=grace)

    async def _keep(self, life: _Life) -> None:
        child, pause = life.child, FIRST_PAUSE
        while True:
            started = time.monotonic()
            how = await self._live(life)
            if life.stop.is_set():
                return
            if not child.restart:
                self._note(f"{child.name} {how}")
                return
            if time.monotonic() - started >= SETTLED_SECONDS:
                pause = FIRST_PAUSE
            self._note(f"{child.name} {how}: starting it again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(life.stop.wait(), pause)
                return
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _live(self, life: _Life) -> str:
        """One life of a child, from its start to the end of its whole group. Returns how it ended."""
        child = life.child
        output = _Lines(lambda text: self._line(child.name, text))
        try:
            process = await _spawn(child, output)
        except OSError as error:
            return f"cannot be started ({error})"
        life.process = process
        if life.stop.is_set():  # asked to stop while it was being started
            _signal_group(process, signal.SIGTERM)
        code = await process.wait()
        life.process = None
        _signal_group(process, signal.SIGKILL)  # what it has left behind
        with suppress(TimeoutError):
            await asyncio.wait_for(output.closed.wait(), _LAST_WORDS_SECONDS)
        return describe_exit(code)


class _Lines(asyncio.Protocol):
    """Turns the bytes of a pipe into lines; a line without an end is cut at MAX_LINE."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self.closed = asyncio.Event()
        self._line = line
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(line)
        if len(self._rest) > MAX_LINE:
            self._say(self._rest)
            self._rest = b""

    def connection_lost(self, _error: Exception | None) -> None:
        if self._rest:
            self._say(self._rest)
        self.closed.set()

    def _say(self, line: bytes) -> None:
        self._line(line.decode(errors="replace").rstrip("\r"))


async def _spawn(child: Child, output: _Lines) -> asyncio.subprocess.Process:
    # The pipe is ours, not asyncio's: else `wait` might also wait for the grandchildren that hold it.
    reader, writer = os.pipe() if child.piped else (None, None)
    try:
        process = await asyncio.create_subprocess_exec(
            *child.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            env=child.env,
            start_new_session=True,
            preexec_fn=dies_with_parent(child.orphan_signal),
        )
    except OSError:
        if reader is not None:
            os.close(reader)
        raise
    finally:
        if writer is not None:
            os.close(writer)
    if reader is None:
        output.closed.set()
    else:
        await asyncio.get_running_loop().connect_read_pipe(lambda: output, os.fdopen(reader, "rb", 0))
    return process


def _signal_group(process: asyncio.subprocess.Process | None, number: signal.Signals) -> None:
    if process is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def describe_exit(code: int) -> str:
    """An exit code in words: `ended with code 3`, `was killed by SIGKILL`."""
    if code >= 0:
        return f"ended with code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
