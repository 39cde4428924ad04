"""The tasks nobody asks for: the sweep every few seconds, cleaning up, and reports.

Beat sends them, from as many workers as there are; what one does, the others do not do again.
"""

from __future__ import annotations

import structlog
from celery import Celery

from hub.domain.errors import Unavailable
from tasks.queues import CLEANUP, REPORT, TIMERS
from tasks.runtime import Runtime

log = structlog.get_logger(__name__)


def register(app: Celery, runtime: Runtime) -> None:
    def timers() -> None:
        try:
            runtime.run(lambda hub: hub.timers.sweep())
        except Unavailable as away:  # the next one comes in seconds
            log.warning("a sweep was skipped", action="timers.skipped", reason=away.code)

    def cleanup() -> None:
        try:
            runtime.run(lambda hub: hub.timers.clean())
        except Unavailable as away:
            log.warning("cleaning up was skipped", action="cleanup.skipped", reason=away.code)

    def report() -> None:
        try:
            runtime.run(lambda hub: hub.daily.run())
        except Unavailable as away:
            log.warning("a report was put off", action="report.put_off", reason=away.code)

    app.task(name=REPORT)(report)
    app.task(name=TIMERS)(timers)
    app.task(name=CLEANUP)(cleanup)
