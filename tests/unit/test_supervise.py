"""The supervisor of children, with small real programs as children."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from hub.supervise import MAX_LINE, Child, Supervisor, describe_exit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watches processes by pidfd")

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP
# Says its own pid and that of a process it starts, which holds its output open.
PARENT = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
print("pids", os.getpid(), child.pid, flush=True)
"""


def python(name: str, code: str, *, restart: bool = True, piped: bool = True) -> Child:
    return Child(name, [sys.executable, "-c", code], restart=restart, piped=piped)


async def gone(pid: int) -> None:
    """Returns when process `pid` has ended, whoever started it."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(fd, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), 20)
    finally:
        loop.remove_reader(fd)
        os.close(fd)


class Watched(Supervisor):
    """A supervisor whose lines and notes can be awaited."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.notes: asyncio.Queue[str] = asyncio.Queue()
        super().__init__(
            line=lambda name, text: self.lines.put_nowait((name, text)), note=self.notes.put_nowait
        )

    async def printed(self, start: str = "") -> str:
        """The next line that begins with `start`."""
        while True:
            _, text = await asyncio.wait_for(self.lines.get(), 20)
            if text.startswith(start):
                return text

    async def noted(self) -> str:
        return await asyncio.wait_for(self.notes.get(), 20)


@pytest.fixture
async def supervisor() -> AsyncIterator[Watched]:
    watched = Watched()
    yield watched
    await watched.close(grace=0.1)


async def test_a_childs_output_comes_line_by_line_with_its_name(supervisor: Watched) -> None:
    supervisor.start(
        python("a", "import sys; print('one\\ntwo'); print('three', file=sys.stderr)", restart=False)
    )
    lines = {await asyncio.wait_for(supervisor.lines.get(), 20) for _ in range(3)}
    assert lines == {("a", "one"), ("a", "two"), ("a", "three")}


async def test_last_words_without_a_line_end_are_not_lost(supervisor: Watched) -> None:
    supervisor.start(python("a", "print('no end', end='')", restart=False))
    assert await supervisor.printed() == "no end"
    assert await supervisor.noted() == "a ended with code 0"


async def test_a_line_that_never_ends_is_cut(supervisor: Watched) -> None:
    supervisor.start(python("a", f"print('x' * {MAX_LINE * 3})", restart=False))
    total = 0
    while total < MAX_LINE * 3:
        text = await supervisor.printed()
        assert len(text) <= MAX_LINE * 2
        total += len(text)
    assert total == MAX_LINE * 3


async def test_a_child_that_dies_is_started_again_and_said_so(supervisor: Watched) -> None:
    supervisor.start(python("hub", SLEEP))
    assert await supervisor.printed() == "up"
    first = supervisor.pid("hub")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert await supervisor.noted() == "hub was killed by SIGKILL: starting it again in 0.2 s"
    assert await supervisor.printed() == "up"
    assert supervisor.pid("hub") not in {None, first}


async def test_the_pause_grows_while_a_child_cannot_live(supervisor: Watched) -> None:
    supervisor.start(python("worker", "raise SystemExit(3)"))
    assert [await supervisor.noted() for _ in range(3)] == [
        f"worker ended with code 3: starting it again in {pause} s" for pause in ("0.2", "0.4", "0.8")
    ]


async def test_a_program_that_does_not_exist_is_said_so(supervisor: Watched) -> None:
    supervisor.start(Child("valkey", ["/nowhere/valkey-server"]))
    note = await supervisor.noted()
    assert note.startswith("valkey cannot be started (")
    assert "/nowhere/valkey-server" in note


async def test_the_death_of_a_child_is_seen_though_its_own_child_holds_its_output(
    supervisor: Watched,
) -> None:
    supervisor.start(python("a", PARENT, restart=False))
    _, _, grandchild = (await supervisor.printed("pids")).split()
    assert await supervisor.noted() == "a ended with code 0"
    await gone(int(grandchild))


async def test_stop_ends_a_child_and_what_it_has_started(supervisor: Watched) -> None:
    supervisor.start(python("a", PARENT + "time.sleep(600)"))
    _, child, grandchild = (await supervisor.printed("pids")).split()
    await supervisor.stop("a", grace=10)
    await gone(int(child))
    await gone(int(grandchild))
    assert supervisor.pid("a") is None
    assert supervisor.notes.empty()  # it was asked to end


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(supervisor: Watched) -> None:
    supervisor.start(python("a", STUBBORN))
    assert await supervisor.printed() == "up"
    pid = supervisor.pid("a")
    await supervisor.stop("a", grace=0.1)
    assert await supervisor.noted() == "a did not end within 0.1 s: killed"
    assert pid is not None
    await gone(pid)


async def test_a_child_that_waits_for_its_next_life_stops_at_once(supervisor: Watched) -> None:
    supervisor.start(python("a", "raise SystemExit(3)"))
    for _ in range(4):
        await supervisor.noted()
    await asyncio.wait_for(supervisor.stop("a", grace=60), 20)  # it was in a pause of 1.6 s
    assert supervisor.pid("a") is None


async def test_a_child_asked_to_stop_while_it_is_being_started_does_not_live(supervisor: Watched) -> None:
    supervisor.start(python("a", SLEEP))
    await asyncio.sleep(0)  # its task has begun, its process has not
    await supervisor.stop("a", grace=20)
    assert supervisor.notes.empty()


async def test_a_name_is_used_once_at_a_time(supervisor: Watched) -> None:
    supervisor.start(python("a", SLEEP))
    with pytest.raises(ValueError, match="a child named a is running"):
        supervisor.start(python("a", SLEEP))
    await supervisor.stop("a", grace=20)
    supervisor.start(python("a", SLEEP))
    assert await supervisor.printed() == "up"


async def test_children_end_when_the_supervisor_is_killed() -> None:
    code = f"""
import asyncio, sys
from hub.supervise import Child, Supervisor
async def main():
    supervisor = Supervisor(line=lambda name, text: print(text, supervisor.pid(name), flush=True), note=print)
    supervisor.start(Child("a", [sys.executable, "-c", {STUBBORN!r}]))
    await asyncio.Event().wait()
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent:
        up, pid = (await asyncio.to_thread(parent.stdout.readline)).split()
        assert up == "up"
        os.kill(int(pid), 0)  # it lives
        parent.kill()
        await gone(int(pid))


def test_exit_codes_are_told_in_words() -> None:
    assert describe_exit(3) == "ended with code 3"
    assert describe_exit(-15) == "was killed by SIGTERM"
    assert describe_exit(-64) == "was killed by SIGRTMAX"
    assert describe_exit(-99) == "was killed by signal 99"
