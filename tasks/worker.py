"""A worker process: its tasks, its hub, and the clock that ticks for its timers.

Promises: no second program is needed for the timers, and a broker that is away keeps no worker from
ending. Does not know settings or how a hub is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery, bootsteps, signals
from celery.beat import EmbeddedService

from tasks import notification, system
from tasks.runtime import Runtime


class Clock(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Beat in a thread of the worker. Several workers tick together; the sweeps do not mind."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **_: Any) -> None:
        self._beat: Any = None

    def start(self, worker: Any) -> None:
        self._beat = EmbeddedService(worker.app, thread=True, scheduler_cls=worker.app.conf.beat_scheduler)
        self._beat.start()

    def stop(self, worker: Any) -> None:
        # Not its own stop(), which waits for a thread that may be waiting for the broker.
        if self._beat is not None:
            self._beat.service.stop(wait=False)


class Posted(bootsteps.StartStopStep):  # type: ignore[misc]
    """Lets deliveries end before the connection does that acknowledges them."""

    requires = ("celery.worker.components:Pool",)

    def stop(self, worker: Any) -> None:
        worker.app.posting.end()


def equip(app: Celery, runtime: Runtime, *, concurrency: int) -> None:
    """Make `app` one that can work: `concurrency` deliveries at once on the runtime's loop, and threads for
    the other tasks, which are few."""
    app.conf.update(
        worker_pool="threads",
        worker_concurrency=concurrency,
        worker_redirect_stdouts=False,
    )
    app.posting = notification.register(app, runtime, most=concurrency)
    system.register(app, runtime)
    app.steps["worker"] |= {Clock, Posted}

    def stop(**_: Any) -> None:
        runtime.stop()

    signals.worker_shutdown.connect(stop, weak=False)
    signals.worker_process_shutdown.connect(stop, weak=False)


def work(app: Celery, runtime: Runtime, *, queues: Sequence[str] = ()) -> int:
    """Work until SIGTERM or SIGINT; running tasks are finished first. The exit code.

    `queues` are those it takes work from (none named: all); its clock ticks for all of them. Raises what
    opening the hub raises: a worker that cannot work does not start.
    """
    runtime.start()
    worker = app.Worker(
        queues=list(queues) or None,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)
