"""`hub worker` for real: it takes from the queues it was given, and ends when it is asked to."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from hub.cluster.embedded import free_port
from hub.settings import DEVELOPMENT_KEY
from hub.store.migrate import migrate
from tests.launched import Launched, ask, descendants, until, wait_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MAIL = {"type": "booking.confirmed", "channels": ["email"], "data": {"guestName": "Ana", "propertyName": "P"}}


def body(user: str) -> dict[str, object]:
    return {**MAIL, "tenantId": "acme", "to": {"id": user, "email": f"{user}@example.com"}}


def test_a_worker_takes_only_from_its_queues(tmp_path: Path, valkey_url: str) -> None:
    port = free_port()
    settings = {"REDIS_URL": valkey_url, "HUB_REDIS_PREFIX": f"worker-{port}"}
    url = f"http://127.0.0.1:{port}"
    migrate(f"sqlite:///{tmp_path}/.hub/hub.db")
    with Launched("serve", "--port", str(port), directory=tmp_path, **settings):
        next(answer for answer in until(f"{url}/readyz") if answer.status == 200)
        timers = ["--queues", "task.timers,task.cleanup", "--concurrency", "2"]
        with Launched("worker", *timers, directory=tmp_path, **settings) as idle:
            idle.line("ready.")
            assert ask(f"{url}/notifications", token=DEVELOPMENT_KEY, body=body("ana")).status == 202
            started = descendants(idle.pid)
            idle.send(signal.SIGTERM)
            assert idle.wait() == 0
            wait_gone(started)
        assert "ana" not in json.dumps(ask(f"{url}/dev/outbox", token=DEVELOPMENT_KEY).body)
        mails = ["--queues", "notification.email"]
        with Launched("worker", *mails, directory=tmp_path, **settings):
            for answer in until(f"{url}/dev/outbox", token=DEVELOPMENT_KEY):
                if "ana@example.com" in json.dumps(answer.body):
                    break


def test_a_worker_without_its_database_does_not_start(tmp_path: Path, valkey_url: str) -> None:
    settings = {"REDIS_URL": valkey_url, "DATABASE_URL": "postgresql://u:canary@127.0.0.1:1/hub"}
    with Launched("worker", directory=tmp_path, HUB_DATABASE_TIMEOUT="1", **settings) as worker:
        assert worker.wait() == 1
        assert worker.seen[-1].startswith("hub: ")
        assert "canary" not in worker.output
