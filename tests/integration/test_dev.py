"""`hub dev` for real: everything comes up, everything can be used, and everything goes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.cluster.embedded import EmbeddedValkey, free_port
from hub.settings import DEVELOPMENT_KEY
from hub.web.demo import HOTELS
from tests.launched import Launched, ask, children, descendants, until, wait_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

ENDS_EVERYTHING = "Ctrl-C ends everything."


class Dev(Launched):
    """`hub dev` on a port of its own."""

    def __init__(self, directory: Path, *words: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__("dev", "--port", str(self.port), *words, directory=directory, **settings)

    def ready(self) -> list[str]:
        """Waits until it has said that it is ready. What it has printed by then."""
        self.line(ENDS_EVERYTHING)
        return self.seen[: self.seen.index(ENDS_EVERYTHING) + 1]

    def token(self, user: str) -> str:
        """The token that it has printed for a user."""
        heading = next(number for number, line in enumerate(self.seen) if line.startswith(f"{user}, "))
        return self.seen[heading + 1]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One that the tests of this file share."""
    with Dev(tmp_path_factory.mktemp("a project")) as running:
        running.ready()
        yield running


def test_it_says_where_it_is_and_who_one_can_be(dev: Dev) -> None:
    assert f"The hub is ready: {dev.url}/" in dev.seen
    for hotel in HOTELS:
        for person in hotel.people:
            assert f"{person.id}, {person.role} of {hotel.id}" in dev.seen
            answer = ask(f"{dev.url}/notifications", token=dev.token(person.id))
            assert (answer.status, answer.body) == (200, [])


def test_the_printed_command_sends_a_booking_to_the_desk(dev: Dev) -> None:
    words = shlex.split(next(line for line in dev.seen if line.startswith("curl ")))
    assert words[2] == f"{dev.url}/notifications"
    assert f"Authorization: Bearer {DEVELOPMENT_KEY}" in words
    accepted = ask(words[2], token=DEVELOPMENT_KEY, body=json.loads(words[-1]))
    assert accepted.status == 202
    desk = next(person for person in HOTELS[0].people if person.role == "ADMIN")
    (notification,) = ask(f"{dev.url}/notifications", token=dev.token(desk.id)).body
    assert notification["id"] == accepted.body["id"]
    elsewhere = next(person for person in HOTELS[1].people if person.role == "ADMIN")
    assert ask(f"{dev.url}/notifications", token=dev.token(elsewhere.id)).body == []


def test_the_other_commands_find_it(dev: Dev, tmp_path: Path) -> None:
    with Launched("token", "--user", "42", directory=tmp_path) as made:
        assert made.wait() == 0
        token = made.output
    words = ["send", "test", "--to", "user:42", "--title", "Hello", "--url", dev.url]
    with Launched(*words, directory=tmp_path) as sent:
        assert sent.wait() == 0
        id = json.loads(sent.output)["id"]
    assert [item["id"] for item in ask(f"{dev.url}/notifications", token=token).body] == [id]
    with Launched("send", "test", "--to", "nobody", "--url", dev.url, directory=tmp_path) as refused:
        assert refused.wait() == 1
        assert "room" in refused.output
        assert "Traceback" not in refused.output


def test_a_due_mail_is_sent_by_its_worker(dev: Dev) -> None:
    body = {"tenantId": "default", "type": "booking.confirmed", "channels": ["email"]}
    body |= {
        "to": {"id": "7", "email": "seven@example.com"},
        "data": {"guestName": "Ana", "propertyName": "P"},
    }
    assert ask(f"{dev.url}/notifications", token=DEVELOPMENT_KEY, body=body).status == 202
    for answer in until(f"{dev.url}/dev/outbox", token=DEVELOPMENT_KEY):
        if "seven@example.com" in json.dumps(answer.body):
            break


@pytest.mark.parametrize(
    ("name", "word"), [("hub", "serve"), ("worker", "worker"), ("valkey", "valkey-server")]
)
def test_a_child_that_is_killed_comes_back_and_that_is_said(dev: Dev, name: str, word: str) -> None:
    killed = dev.child(word)
    os.kill(killed, signal.SIGKILL)
    assert dev.line("starting it again") == f"{name} was killed by SIGKILL: starting it again in 0.2 s"
    assert dev.child(word) != killed
    next(answer for answer in until(f"{dev.url}/readyz") if answer.status == 200)


def test_a_second_one_in_another_directory_does_not_mind_the_first(dev: Dev, tmp_path: Path) -> None:
    with Dev(tmp_path) as second:
        second.ready()
        assert ask(f"{second.url}/readyz").status == ask(f"{dev.url}/readyz").status == 200
        desk = next(person for person in HOTELS[0].people if person.role == "ADMIN")
        assert ask(f"{second.url}/notifications", token=second.token(desk.id)).body == []
        started = descendants(second.pid)
        second.send(signal.SIGTERM)
        assert second.wait() == 0
        wait_gone(started)
    assert ask(f"{dev.url}/readyz").status == 200


def test_a_second_one_in_the_same_directory_is_refused(tmp_path: Path, dev: Dev) -> None:
    directory = Path(os.readlink(f"/proc/{dev.pid}/cwd"))
    with Dev(directory) as second:
        assert second.wait() == 1
        (line,) = second.seen
    assert line.startswith("hub: another `hub dev` uses ")
    assert "HUB_DATA_DIR" in line


def test_ctrl_c_ends_everything_without_force(tmp_path: Path) -> None:
    with Dev(tmp_path, "--demo") as dev:
        dev.ready()
        desk = next(person for person in HOTELS[0].people if person.role == "ADMIN")
        next(answer for answer in until(f"{dev.url}/notifications", token=dev.token(desk.id)) if answer.body)
        assert "http.answered" not in dev.output  # what it said when it was ready stays on the screen
        started = descendants(dev.pid)
        assert len(started) >= 4
        dev.send(signal.SIGINT)
        assert dev.wait() == 0
        wait_gone(started)
        assert "stopping ..." in dev.seen
        assert "killed" not in dev.output
        assert "Traceback" not in dev.output
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", dev.port))


def test_what_it_was_told_is_still_there_the_next_time(tmp_path: Path) -> None:
    body = {"tenantId": "default", "type": "test", "to": "user:42", "title": "Hello"}
    with Dev(tmp_path) as dev:
        dev.ready()
        id = ask(f"{dev.url}/notifications", token=DEVELOPMENT_KEY, body=body).body["id"]
        started = descendants(dev.pid)
        dev.send(signal.SIGKILL)  # it cannot say goodbye to its children
        dev.wait()
        wait_gone(started)
    with Dev(tmp_path) as dev:
        dev.ready()
        with Launched("token", "--user", "42", directory=tmp_path) as made:
            made.wait()
        (found,) = ask(f"{dev.url}/notifications", token=made.output).body
        assert found["id"] == id


def test_a_redis_that_is_named_is_used_and_none_is_started(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "mine") as server, Dev(tmp_path, REDIS_URL=server.url) as dev:
        dev.ready()
        assert len(children(dev.pid)) == 2
        assert not (tmp_path / ".hub" / "valkey").exists()


class EmbeddedServer(EmbeddedValkey):
    """A Valkey on TCP for the length of a block."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, port=free_port())

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@pytest.mark.parametrize("shared", [False, True])
def test_a_busy_port_is_one_line_and_nothing_is_started(tmp_path: Path, shared: bool) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        with Launched("dev", directory=tmp_path, HUB_PORT=str(port)) as dev:
            assert dev.wait() == 1
    (line,) = dev.seen
    assert re.fullmatch(rf"hub: port {port} on 127\.0\.0\.1 cannot be used \(.+\); .*HUB_PORT", line)
    assert list(tmp_path.iterdir()) == []


def test_simulated_providers_take_what_is_sent_and_say_that_it_arrived(tmp_path: Path) -> None:
    with Dev(tmp_path / "simulated", "--simulate") as dev:
        where = dev.line("every provider is simulated").rpartition(" ")[2]
        dev.ready()
        desk = next(person for person in HOTELS[0].people if person.role == "ADMIN")
        body = {"tenantId": HOTELS[0].id, "type": "booking.confirmed", "channels": ["email", "sms"]}
        body |= {
            "to": {"id": "7", "email": "seven@example.com", "phone": "+84900000000"},
            "data": {"guestName": "Ana", "propertyName": "P"},
        }
        sent = ask(f"{dev.url}/notifications", token=DEVELOPMENT_KEY, body=body)
        assert sent.status == 202
        wanted = {delivery["id"] for delivery in sent.body["deliveries"]}
        for ledger in until(where):
            said = [(item["event"], item["answer"]) for item in ledger.body["callbacks"]]
            if set(ledger.body["accepts"]) == wanted and said.count(("delivered", 204)) == 2:
                break
        assert {entry["provider"] for entry in ledger.body["requests"]} == {"sendgrid", "twilio"}
        shown = f"{dev.url}/admin/deliveries?status=delivered"
        assert wanted == {item["id"] for item in ask(shown, token=dev.token(desk.id)).body}
