"""The queues, and the Celery application that both sides of them share.

Promises: every message names its queue and its routing key on a direct exchange, so none is lost for want
of a worker that has bound it; a message is acknowledged when its work is done; only JSON is read. On
RabbitMQ the queues are quorum queues, which outlive any one of its nodes. The queue is a hint: what it
loses is handed out again from SQL, so nobody waits for a broker to confirm, and nothing waits in it for
its time (`due_at` does that). Does not know what the tasks do.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # who only knows the queues' names need not load it
    from celery import Celery
    from kombu.entity import Queue

NOTIFICATION_QUEUES = (
    "notification.email",
    "notification.sms",
    "notification.discord",
    "notification.webpush",
)
TIMERS = "task.timers"
CLEANUP = "task.cleanup"
REPORT = "task.report"
QUEUES = (*NOTIFICATION_QUEUES, REPORT, CLEANUP, TIMERS)

CLEANUP_EVERY = timedelta(minutes=10)
REPORT_EVERY = timedelta(minutes=10)  # it looks whether the hour has come
# Longer than any task may take: what is not acknowledged by then is given to another worker.
VISIBILITY_SECONDS = 120
# A broker that does not answer for so long is taken for gone.
SOCKET_SECONDS = 5.0
# RabbitMQ closes a connection that it has not heard of for two of these.
HEARTBEAT_SECONDS = 10


def queue_of(channel: str) -> str:
    """The queue, and the task, of an outside channel."""
    return f"notification.{channel}"


def celery_app(
    broker: str,
    *,
    prefix: str = "",
    sweep_seconds: float = 5.0,
    socket_seconds: float = SOCKET_SECONDS,
    heartbeat: int | None = HEARTBEAT_SECONDS,
) -> Celery:
    """An application for `broker` (redis://, rediss://, unix://, amqp://, amqps://). Connects to nothing.

    `prefix` is put before every key in Redis. `socket_seconds` bounds each exchange with the broker.
    `heartbeat` is for RabbitMQ; None is for connections that may be silent, because nobody beats for them.
    """
    from celery import Celery

    app = Celery("hub", broker=_broker(broker), set_as_current=False)
    app.conf.update(
        task_queues=[_queue(name, quorum=broker.startswith("amqp")) for name in QUEUES],
        task_create_missing_queues=False,
        task_default_queue=TIMERS,
        task_default_exchange=TIMERS,
        task_default_routing_key=TIMERS,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_publish_retry=False,
        worker_prefetch_multiplier=2,  # what is fetched while others are being sent
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,  # nobody who reaches the broker steers the workers
        worker_hijack_root_logger=False,
        broker_transport=None if broker.startswith("amqp") else "tasks.bulk:Transport",
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=socket_seconds,
        broker_heartbeat=heartbeat or 0,
        broker_transport_options=_transport_options(broker, prefix, socket_seconds),
        beat_scheduler="celery.beat:Scheduler",  # keeps no file: every tick is as good as any other
        beat_schedule={
            TIMERS: _tick(TIMERS, timedelta(seconds=sweep_seconds)),
            CLEANUP: _tick(CLEANUP, CLEANUP_EVERY),
            REPORT: _tick(REPORT, REPORT_EVERY),
        },
    )
    return app


def _queue(name: str, *, quorum: bool) -> Queue:
    from kombu.entity import Exchange, Queue

    exchange = Exchange(name, type="direct")  # type: ignore[no-untyped-call]
    kind = {"x-queue-type": "quorum"} if quorum else None
    return Queue(name, exchange, routing_key=name, queue_arguments=kind)  # type: ignore[no-untyped-call]


def _tick(name: str, every: timedelta) -> dict[str, Any]:
    # Ticks that pile up while no worker runs are worth nothing afterwards.
    seconds = every.total_seconds()
    options = {"queue": name, "routing_key": name, "expires": 4 * seconds}
    return {"task": name, "schedule": every, "options": options}


def _broker(url: str) -> str:
    scheme, colon, rest = url.partition("://")
    return f"redis+socket{colon}{rest}" if scheme == "unix" else url


def _transport_options(broker: str, prefix: str, socket_seconds: float) -> dict[str, Any]:
    if not broker.startswith(("redis", "unix")):
        return {"read_timeout": socket_seconds, "write_timeout": socket_seconds}
    return {
        "global_keyprefix": f"{prefix}:" if prefix else "",
        "visibility_timeout": VISIBILITY_SECONDS,
        "priority_steps": [0],  # else a worker asks for four lists for each queue
        # Without these two a dead worker's messages come back 100 s after the visibility timeout.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": socket_seconds,
        "socket_connect_timeout": socket_seconds,
        "socket_keepalive": True,
        "health_check_interval": 5,
    }
