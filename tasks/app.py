"""The worker's application, made from the settings: `hub worker`, or `celery -A tasks.app worker`.

Like `hub.app` this is where choices are made; everything else in `tasks` is told. A worker needs the
database and the broker, and no hub process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from celery import Celery, signals

from hub import logs
from hub.app import build
from hub.interpreter import loop_factory, settle
from hub.settings import Settings
from tasks.queues import celery_app
from tasks.runtime import Runtime
from tasks.worker import equip
from tasks.worker import work as work_on


def make(settings: Settings) -> tuple[Celery, Runtime]:
    """A worker's application and its runtime. Connects to nothing yet. Raises `SettingsRefused`."""
    app = celery_app(settings.broker, prefix=settings.redis_prefix, sweep_seconds=settings.sweep_seconds)
    runtime = Runtime(lambda: build(settings), loop_factory() or asyncio.new_event_loop)
    equip(app, runtime, concurrency=settings.worker_concurrency)
    return app, runtime


def work(settings: Settings, *, queues: Sequence[str] = ()) -> int:
    """Work until told to stop, on these queues or on all; the exit code. The caller has set up logging."""
    signals.setup_logging.connect(_leave_logging_alone)
    settle()
    return work_on(*make(settings), queues=queues)


def _leave_logging_alone(**_: Any) -> None:
    """Celery sets up logging unless somebody listens here."""


def __getattr__(name: str) -> Celery:
    """`tasks.app.app`, for Celery's own command line; made when it is asked for."""
    if name != "app":
        raise AttributeError(name)
    settings = Settings()
    settings.require_safe()

    def set_up_logging(**_: Any) -> None:
        logs.configure(level=settings.log_level, as_json=settings.log_json or not settings.development)

    signals.setup_logging.connect(set_up_logging, weak=False)
    app, _ = make(settings)
    globals()["app"] = app
    return app
