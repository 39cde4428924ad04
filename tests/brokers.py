"""Real brokers for tests, of both kinds: a Valkey, and a RabbitMQ of our own that is thrown away.

`broker` gives a test one of each, empty: a test that uses it runs twice. A broker can be killed, started
again, wiped and stopped. RabbitMQ's programs are found where Debian puts them; without them its tests are
skipped, loudly. It runs in a directory of its own with an epmd of its own, on loopback only; one server
serves the whole run, because it takes seconds to start.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from hub.cluster.embedded import dies_with_parent, free_port
from tasks.queues import celery_app
from tests.valkeys import Valkey

LOOPBACK = "127.0.0.1"
PREFIX = "hub"
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_SECONDS = 60.0


class Broker(Protocol):
    """What tests do to a broker. `url` is Celery's; it stays the same over every restart."""

    url: str

    def start(self) -> None:
        """It answers when this returns."""

    def kill(self) -> None:
        """kill -9."""

    def wipe(self) -> None:
        """As if everything that it held had been lost."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class RedisBroker(Valkey):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory, port=free_port())

    def wipe(self) -> None:
        self.kill()
        self.start()


class RabbitBroker:
    """Its queues are on the disk, so a restart keeps them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port, self._epmd_port = free_port(), free_port()
        self._distribution = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        self.url = f"amqp://guest:guest@{LOOPBACK}:{self._port}//"

    def start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {LOOPBACK}:{self._port}\n"
            "log.console = true\nlog.file = false\ndisk_free_limit.absolute = 10MB\n"
            "vm_memory_high_watermark.absolute = 512MB\n"
        )
        (self._directory / "plugins").write_text("[].\n")
        epmd = next(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))
        self._spawn([str(epmd), "-address", LOOPBACK, "-port", str(self._epmd_port)])
        self._wait_for(self._epmd_port)
        self._spawn([str(RABBITMQ)])
        self._wait_for(self._port)

    def kill(self) -> None:
        for process in reversed(self._processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()

    def wipe(self) -> None:
        app = celery_app(self.url)
        with app.connection_for_write() as connection:
            for queue in app.conf.task_queues:
                bound = queue.bind(connection.default_channel)
                bound.declare()
                bound.purge()

    def pause(self) -> None:
        os.killpg(self._processes[-1].pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self._processes[-1].pid, signal.SIGCONT)

    def _spawn(self, command: list[str]) -> None:
        with (self._directory / "log").open("ab") as output:
            self._processes.append(
                subprocess.Popen(
                    command,
                    cwd=self._directory,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    preexec_fn=dies_with_parent(signal.SIGKILL),
                )
            )

    def _environment(self) -> Mapping[str, str]:
        here = str(self._directory)
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": here,
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"hub{self._port}@localhost",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
            "RABBITMQ_CONF_ENV_FILE": f"{here}/none",
            "RABBITMQ_CONFIG_FILE": f"{here}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{here}/data",
            "RABBITMQ_LOG_BASE": here,
            "RABBITMQ_PID_FILE": f"{here}/pid",
        }

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with closing(socket.socket()) as probe:
                if probe.connect_ex((LOOPBACK, port)) == 0:
                    return
            if self._processes[-1].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._directory / "log").read_text(errors="replace")[-3000:])
            time.sleep(0.05)


@pytest.fixture(scope="session")
def _rabbit() -> Iterator[RabbitBroker]:
    if not RABBITMQ.exists():
        warnings.warn("rabbitmq-server was not found: the RabbitMQ tests are SKIPPED", stacklevel=1)
        pytest.skip("needs rabbitmq-server (Debian: apt-get install rabbitmq-server)")
    directory = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
    rabbit = RabbitBroker(directory)
    rabbit.start()
    yield rabbit
    rabbit.kill()
    shutil.rmtree(directory)


@pytest.fixture
def rabbit(_rabbit: RabbitBroker) -> RabbitBroker:
    """The run's RabbitMQ, running and empty, whatever the test before has done to it."""
    try:
        _rabbit.wipe()
    except (OperationalError, OSError):
        _rabbit.kill()
        _rabbit.start()
        _wipe_when_ready(_rabbit)
    return _rabbit


def _wipe_when_ready(rabbit: RabbitBroker) -> None:
    """A node listens before its queues have recovered; on a busy machine that takes it a while."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return rabbit.wipe()
        except (OperationalError, OSError):
            if time.monotonic() > deadline:
                raise


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """One of each kind, empty. The test may harm it."""
    if request.param == "rabbitmq":
        yield request.getfixturevalue("rabbit")
        return
    redis = RedisBroker(tmp_path / "broker")
    redis.start()
    yield redis
    redis.stop(timeout=0)


def app_for(broker: Broker, **more: Any) -> Celery:
    """The hub's application on this broker."""
    return celery_app(broker.url, prefix=PREFIX, socket_seconds=1.0, **more)
