"""`hub serve` for real: one process or several on one port, drained by SIGTERM, started again when dead."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.launched import PATIENCE, Launched, Serve, ask, children, command_line, descendants, wait_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_sigterm_closes_the_hub_and_says_so(tmp_path: Path, valkey_url: str) -> None:
    with Serve(tmp_path, valkey_url) as hub:
        hub.ready()
        hub.send(signal.SIGTERM)
        assert hub.wait() == 0
        for action in ("hub.listening", "hub.draining"):
            assert f"action={action}" in hub.output
        assert "closed [hub.serve]" in hub.seen[-1]
        assert "Traceback" not in hub.output
        assert ask(f"{hub.url}/livez").status == 0


@pytest.fixture
def few_files() -> Iterator[int]:
    """For the length of a test this process and its children may open few files. Yields the hard limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Watched(Serve):
    """It says what it loads."""

    program = ("-X", "importtime", "-m", "hub")


def test_a_hub_loads_only_the_parts_that_its_settings_name(tmp_path: Path, valkey_url: str) -> None:
    with Watched(tmp_path, valkey_url) as hub:
        hub.ready()
        hub.send(signal.SIGTERM)
        hub.wait()
        loaded = {text.rpartition("|")[2].strip() for text in hub.seen if text.startswith("import time:")}
    assert {"aiohttp", "sqlalchemy", "sqlalchemy.dialects.sqlite"} <= loaded
    assert not loaded & {
        *("psycopg", "celery", "amqp", "alembic", "aiosmtplib", "phonenumbers"),
        *("twilio", "sendgrid", "resend", "pywebpush", "apprise"),
    }


def test_a_hub_runs_on_uvloop_alone_on_its_port_with_all_the_files_it_may_open(
    tmp_path: Path, valkey_url: str, few_files: int
) -> None:
    with Serve(tmp_path, valkey_url) as hub:
        assert "loop=uvloop" in hub.line("action=hub.listening")
        assert resource.prlimit(hub.pid, resource.RLIMIT_NOFILE) == (few_files, few_files)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="Address already in use"):
                other.bind(("127.0.0.1", hub.port))


def test_an_open_stream_does_not_keep_a_hub_from_ending(tmp_path: Path, valkey_url: str) -> None:
    with Serve(tmp_path, valkey_url) as hub, Launched("token", "--user", "42", directory=tmp_path) as token:
        token.wait()
        hub.ready()
        with closing(
            urlopen(f"{hub.url}/notifications/sse?token={token.output}", timeout=PATIENCE)
        ) as stream:
            assert stream.readline().startswith(b"retry:")
            hub.send(signal.SIGTERM)
            said = stream.read()  # to its end
        assert hub.wait() == 0
        assert b"retry:" in said  # when to come back
        assert token.output not in hub.output


class Hanging(Serve):
    """A hub whose event loop stands still from the moment it is asked to drain."""

    program = (
        "-c",
        "import time, hub.app, hub.cli, hub.serve\n"
        "hub.serve.LAST_SECONDS = 1\n"
        "hub.app.Hub.drain = lambda self: time.sleep(600)\n"
        "hub.cli.main()",
    )


def test_a_hub_that_hangs_is_ended_by_the_alarm(tmp_path: Path, valkey_url: str) -> None:
    with Hanging(tmp_path, valkey_url) as hub:
        hub.ready()
        hub.send(signal.SIGTERM)
        assert hub.wait() == -signal.SIGALRM


def test_several_processes_share_a_port_and_each_is_kept_alive(tmp_path: Path, valkey_url: str) -> None:
    with Serve(tmp_path, valkey_url, "--workers", "2") as hub:
        for _ in range(2):
            hub.line("action=hub.listening")
        first, second = children(hub.pid)
        os.kill(first, signal.SIGKILL)
        assert "was killed by SIGKILL" in hub.line("action=process.ended")
        hub.line("action=hub.listening")
        assert ask(f"{hub.url}/readyz").status == 200
        started = descendants(hub.pid)
        assert len(started) == 2
        assert first not in started
        assert second in started
        hub.send(signal.SIGTERM)
        assert hub.wait() == 0
        wait_gone(started)
        assert "killed" not in hub.seen[-1]


def test_processes_without_their_parent_drain_and_end(tmp_path: Path, valkey_url: str) -> None:
    with Serve(tmp_path, valkey_url, "--workers", "2") as hub:
        for _ in range(2):
            hub.line("action=hub.listening")
        started = descendants(hub.pid)
        hub.send(signal.SIGKILL)
        for _ in range(2):
            hub.line("closed [hub.serve]")
        wait_gone(started)


def test_a_port_that_is_shared_by_another_hub_is_taken(tmp_path: Path, valkey_url: str) -> None:
    with Serve(tmp_path, valkey_url, "--workers", "2") as hub:
        hub.line("action=hub.listening")
        words = ["serve", "--workers", "2", "--port", str(hub.port)]
        with Launched(*words, directory=tmp_path, REDIS_URL=valkey_url) as second:
            assert second.wait() == 1
        (line,) = second.seen
        assert line.startswith(f"hub: port {hub.port} on 127.0.0.1 cannot be used")


def test_a_scrape_shows_every_process_behind_the_port(tmp_path: Path, valkey_url: str) -> None:
    with Serve(tmp_path, valkey_url, "--workers", "2") as hub:
        for _ in range(2):
            hub.line("action=hub.listening")
        text = urlopen(f"{hub.url}/metrics", timeout=PATIENCE).read().decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        up = {sample.labels["worker"]: sample.value for sample in families["hub_worker_up"].samples}
        assert up == {"1": 1.0, "2": 1.0}
        started = families["process_start_time_seconds"].samples
        assert {sample.labels["worker"] for sample in started} == {"1", "2"}
        assert "worker" not in families["hub_deliveries_age_seconds"].samples[0].labels
        first, _ = children(hub.pid)
        place = Path(command_line(first)[-2])  # what stands behind --share
        assert place.parent.stat().st_mode & 0o077 == 0
        hub.send(signal.SIGTERM)
        assert hub.wait() == 0
        assert not place.parent.exists()
