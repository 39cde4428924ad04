"""How fast one worker process sends mail: deliveries in SQL, hints in Redis, a mail server that takes 50 ms.

The worker is `hub worker` as it is: every mail is claimed, rendered, its call and its outcome committed with
synchronous=FULL. The peer is plain Celery with as many threads, which only sends.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

from sqlalchemy import select
from ulid import ULID

from benchmarks.machine import GENERATOR_CORE, SERVER_CORE, pinned
from benchmarks.rows import Goal, Row, alone, compared
from benchmarks.running import Run, shuffled
from benchmarks.servers import ROOT, start_pinned
from hub.cluster.embedded import EmbeddedValkey, dies_with_parent, free_port
from hub.domain.delivery import Planned, Status
from hub.domain.events import Event
from hub.store.engine import Database
from hub.store.events import Append, EventLog
from hub.store.migrate import migrate
from hub.store.tables import attempts, deliveries, events
from tasks.hints import Hints
from tasks.queues import celery_app

MAILS = 3000  # that wait when the clock starts
DELAY_MS = 50
CONCURRENCY = 100
RATE, RATE_SECONDS = 500, 5
STORM, STORM_SECONDS, STORM_FAULTS = 50, 10, 20  # every 20th is refused for now
GROUP = 10  # mails of one event, due at one moment
FIRST = "first"  # who gets the mail that shows that a worker has started
PATIENCE = 120.0


def mails(run: Run) -> Iterable[Row]:
    figures: dict[str, list[float]] = {"hub": [], "Celery": []}
    costs: dict[str, list[float]] = {"hub": [], "Celery": []}
    count = int(MAILS * run.extent.slice / 0.8)
    for _ in range(run.extent.long_rounds):
        for name in shuffled(figures):
            run.say(f"deliveries, {name}")
            with Bench(run.place(name)) as bench:
                rate, cost = bench.flood(count) if name == "hub" else bench.peer(count)
            figures[name].append(rate)
            costs[name].append(cost)
    middle = {name: median(each) for name, each in costs.items()}
    yield from compared(f"mails, {count} wait", "/s", figures, {}, costs=middle)
    yield alone(
        "mails, one worker process", "/s", figures["hub"], Goal(500, own=True), f"{middle['hub']:.1f}"
    )
    run.say(f"deliveries, {RATE}/s")
    with Bench(run.place("rate")) as bench:
        seen = bench.steady(RATE, RATE_SECONDS)
    _require_all(run, f"{RATE}/s", seen)
    yield alone(f"mails, {RATE}/s, p99 in the queue", "ms", [seen["queue"]], Goal(1000, most=True, own=True))
    run.say(f"deliveries, {STORM}/s and faults")
    with Bench(run.place("storm"), refuse_every=STORM_FAULTS) as bench:
        seen = bench.steady(STORM, STORM_SECONDS)
    _require_all(run, f"{STORM}/s with faults", seen)
    what = f"mails, {STORM}/s, one in {STORM_FAULTS} refused at first, p99"
    yield alone(f"{what} in the queue", "ms", [seen["queue"]], Goal(5000, most=True, own=True))
    yield alone(f"{what} until taken", "ms", [seen["taken"]], Goal(30_000, most=True, own=True))


def _require_all(run: Run, what: str, seen: Mapping[str, float]) -> None:
    if seen["lost"] or seen["doubled"]:
        run.faults.append(f"mails, {what}: {seen['lost']:g} lost, {seen['doubled']:g} doubled")


class Bench:
    """A database, a broker, and a mail server that is told to be slow."""

    def __init__(self, directory: Path, *, refuse_every: int = 0) -> None:
        self._directory = directory
        self._database = directory / "hub.db"
        self._port = free_port()
        self._valkey = EmbeddedValkey(directory / "valkey", port=free_port())
        self._sink_words = [str(self._port), str(DELAY_MS), str(refuse_every)]

    def __enter__(self) -> Bench:
        self._directory.mkdir(parents=True)
        migrate(f"sqlite:///{self._database}")
        start_pinned(self._valkey)
        self._sink = self._spawn(
            GENERATOR_CORE, ["-m", "benchmarks.mail_sink", *self._sink_words], {}, piped=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        end(self._sink)
        self._valkey.stop()

    def flood(self, count: int) -> tuple[float, float]:
        """Everything waits in SQL and in the queue when the worker starts: mails a second, us of CPU each."""
        asyncio.run(self._plan([[GROUP, 0.0]] * (count // GROUP)))
        with self._worker() as process:
            return self._measured(process, count)

    def peer(self, count: int) -> tuple[float, float]:
        """The same number by plain Celery."""
        from benchmarks.peers.mail_task import app, mail

        app.conf.broker_url = self._valkey.url
        with app.producer_pool.acquire(block=True) as producer:
            for number in range(count):
                mail.apply_async((f"u{number}@example.org",), producer=producer)
        words = ["-m", "celery", "-A", "benchmarks.peers.mail_task", "worker", "--pool", "threads"]
        words += ["--concurrency", str(CONCURRENCY), "--without-gossip", "--without-mingle", "-l", "WARNING"]
        peer = {"PEER_BROKER": self._valkey.url, "PEER_PORT": str(self._port)}
        process = self._spawn(SERVER_CORE, words, peer)
        try:
            return self._measured(process, count)
        finally:
            end(process)

    def steady(self, rate: int, seconds: int) -> dict[str, float]:
        """`rate` mails a second for so long: p99 (ms) in the queue and until taken, lost, doubled.

        The clock starts when the worker has sent its first mail: its start is not the queue's.
        """
        with self._worker() as process:
            asyncio.run(self._plan([[1, 0.0]], name=FIRST))
            self._taken(process, 1)
            count = rate * seconds
            asyncio.run(self._plan([[GROUP, GROUP / rate]] * (count // GROUP)))
            taken = self._taken(process, count)
        return asyncio.run(self._waits(taken, count))

    # -- parts ---------------------------------------------------------------------------------------
    def _measured(self, process: subprocess.Popen[bytes], count: int) -> tuple[float, float]:
        """From the first mail that was taken to the last; CPU from the start of the sending."""
        first = self._taken(process, count // 10)
        used = cpu_seconds(process.pid)
        rest = self._taken(process, count - len(first))
        used = cpu_seconds(process.pid) - used
        began = max(at for at, _ in first.values())
        ended = max(at for at, _ in rest.values())
        return len(rest) / (ended - began), 1e6 * used / len(rest)

    def _taken(self, process: subprocess.Popen[bytes], count: int) -> dict[str, tuple[float, int]]:
        """What the mail server took, once it is `count` mails."""
        taken: dict[str, tuple[float, int]] = {}
        deadline = time.monotonic() + PATIENCE
        while len(taken) < count:
            if process.poll() is not None or time.monotonic() > deadline:
                log = (self._directory / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{len(taken)} of {count} mails came:\n{log}")
            time.sleep(0.02)
            assert self._sink.stdin is not None
            assert self._sink.stdout is not None
            self._sink.stdin.write(b"\n")
            self._sink.stdin.flush()
            for recipient, (at, times) in json.loads(self._sink.stdout.readline()).items():
                seen = taken.get(recipient, (at, 0))
                taken[recipient] = (seen[0], seen[1] + int(times))
        return taken

    async def _plan(self, groups: Sequence[Sequence[float]], *, name: str = "u") -> None:
        """Events with deliveries that are due at once, as a hub commits them, and then tells the queue."""
        hints = Hints(partial(celery_app, self._valkey.url, prefix="hub", heartbeat=None))
        database = await Database.open(f"sqlite+aiosqlite:///{self._database}")
        log = EventLog(database)
        await log.open()
        number, due = 0, time.monotonic()
        for size, pause in groups:
            now = datetime.now(UTC)
            planned = [
                Planned(
                    id=str(ULID()),
                    user=f"{name}{number + place}",
                    channel="email",
                    address=f"{name}{number + place}@example.org",
                    status=Status.PLANNED,
                    due_at=now,
                )
                for place in range(int(size))
            ]
            number += len(planned)
            event = Event(
                tenant="bench",
                id=str(ULID()),
                type="booking.confirmed",
                wire="booking.confirmed",
                title="Booking confirmed",
                message="Your booking is confirmed",
                data={"propertyName": f"Sea Inn {number}", "guestName": "Ana"},
                rooms=("role:GUEST",),
                created_at=now,
            )
            await log.append(
                Append(event=event, answer=lambda _: b"{}", deliveries=planned, create_tenant=True)
            )
            hints.send([(item.id, item.channel) for item in planned])
            due += pause
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        hints.close(timeout=30.0)
        await log.close()
        await database.close()

    async def _waits(self, taken: Mapping[str, tuple[float, int]], count: int) -> dict[str, float]:
        database = await Database.open(f"sqlite+aiosqlite:///{self._database}")
        d = deliveries.c
        rows = (
            select(events.c.created_at, d.address, attempts.c.started_at)
            .join_from(deliveries, events, (events.c.tenant == d.tenant) & (events.c.offset == d.offset))
            .join(attempts, (attempts.c.delivery_id == d.id) & (attempts.c.number == 1))
            .where(d.address.not_like(f"{FIRST}%"))
        )
        async with database.read() as connection:
            found = (await connection.execute(rows)).all()
        await database.close()
        queue = sorted((started - due).total_seconds() for due, _, started in found)
        until = sorted(taken[address][0] - due.timestamp() for due, address, _ in found if address in taken)
        return {
            "queue": 1000 * queue[int(len(queue) * 0.99)],
            "taken": 1000 * until[int(len(until) * 0.99)],
            "lost": count - len(taken),
            "doubled": sum(times > 1 for _, times in taken.values()),
        }

    @contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[bytes]]:
        settings = {
            "HUB_ENV": "test",
            "HUB_DATA_DIR": str(self._directory),
            "DATABASE_URL": f"sqlite:///{self._database}",
            "REDIS_URL": self._valkey.url,
            "JWT_SECRET": "the benchmark has no secrets, and this is one",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(self._port),
            "HUB_WORKER_CONCURRENCY": str(CONCURRENCY),
            "HUB_DELIVERY_BACKOFF": "1",
            "HUB_SWEEP_SECONDS": "1",
            "HUB_LOG_JSON": "true",
        }
        process = self._spawn(SERVER_CORE, ["-m", "hub", "worker"], settings)
        try:
            yield process
        finally:
            end(process)

    def _spawn(
        self, core: int, words: Sequence[str], settings: Mapping[str, str], *, piped: bool = False
    ) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                pinned(core, [sys.executable, *words]),
                cwd=ROOT,
                env={**kept, **settings},
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )


def end(process: subprocess.Popen[bytes]) -> None:
    """It and all it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, kernel included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
