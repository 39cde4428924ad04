"""`hub send` posts what was said and shows the answer, whatever it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hub.commands.send import local_url
from hub.settings import DEVELOPMENT_KEY, Settings
from tests.commands import Command

ACCEPTED = {"id": "01J", "cursor": "e:1", "recipients": 1, "deliveries": []}


class Backend(ThreadingHTTPServer):
    """Records requests and gives one prepared answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 202
        self.answer: bytes = json.dumps(ACCEPTED).encode()
        self.path = ""
        self.key = ""
        self.body: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Backend

    def do_POST(self) -> None:
        self.server.path, self.server.key = self.path, self.headers["Authorization"]
        self.server.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_notification_is_posted_and_the_answer_printed(hub: Command, backend: Backend) -> None:
    words = ["--to", "role:ADMIN", "--data", '{"guestName": "Ána"}', "--title", "T", "--message", "M"]
    words += ["--link", "/b/1", "--channel", "inApp", "--channel", "email", "--tenant", "acme"]
    code, out, err = hub("send", "booking.created", *words, "--url", backend.url + "/", "--key", "hub_k")
    assert (code, err) == (0, "")
    assert json.loads(out) == ACCEPTED
    assert backend.path == "/notifications"
    assert backend.key == "Bearer hub_k"
    assert backend.body == {
        "type": "booking.created",
        "to": "role:ADMIN",
        "data": {"guestName": "Ána"},
        "title": "T",
        "message": "M",
        "link": "/b/1",
        "channels": ["inApp", "email"],
        "tenantId": "acme",
    }


def test_what_is_not_said_is_not_sent(hub: Command, backend: Backend) -> None:
    assert (
        hub("send", "test", "--to", "user:1", "--to", "user:2", HUB_URL=backend.url, HUB_API_KEY="hub_k").code
        == 0
    )
    assert backend.key == "Bearer hub_k"
    assert backend.body == {"type": "test", "to": ["user:1", "user:2"], "data": {}}


def test_in_development_the_known_key_is_used_for_the_default_tenant(hub: Command, backend: Backend) -> None:
    assert hub("send", "test", "--to", "user:1", "--url", backend.url).code == 0
    assert backend.key == f"Bearer {DEVELOPMENT_KEY}"
    assert backend.body["tenantId"] == "default"
    assert hub("send", "test", "--to", "user:1", "--url", backend.url, "--tenant", "acme").code == 0
    assert backend.body["tenantId"] == "acme"


def test_in_production_there_is_no_known_key(hub: Command, backend: Backend) -> None:
    code, _, err = hub("send", "test", "--to", "user:1", "--url", backend.url, HUB_ENV="production")
    assert code == 2
    assert "HUB_API_KEY" in err
    assert backend.path == ""


def test_a_refusal_is_told_with_every_fault(hub: Command, backend: Backend) -> None:
    backend.status = 422
    problem = {"title": "The request has invalid fields", "detail": "2 fields", "code": "validation_failed"}
    faults = [{"field": "to", "message": "not a room"}, {"field": "type", "message": "too long"}]
    backend.answer = json.dumps(problem | {"errors": faults}).encode()
    code, out, err = hub("send", "test", "--to", "nobody", "--url", backend.url)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "hub: The request has invalid fields: 2 fields (HTTP 422, validation_failed)",
        "  to: not a room",
        "  type: too long",
    ]


@pytest.mark.parametrize("data", ["{", "[1]", "7"])
def test_data_that_is_no_object_is_refused_before_it_is_sent(
    hub: Command, backend: Backend, data: str
) -> None:
    code, out, err = hub("send", "test", "--to", "user:1", "--data", data, "--url", backend.url)
    assert (code, out) == (2, "")
    assert err.startswith("hub: --data ")
    assert backend.path == ""


def test_a_hub_that_does_not_run_is_a_line(hub: Command, backend: Backend) -> None:
    url = backend.url
    backend.shutdown()
    backend.server_close()
    code, out, err = hub("send", "test", "--to", "user:1", "--url", url)
    assert (code, out) == (1, "")
    assert err.startswith(f"hub: no hub answers at {url}/notifications")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("status", [200, 404])
def test_what_is_not_a_hub_is_said_so(hub: Command, backend: Backend, status: int) -> None:
    backend.status, backend.answer = status, b"<html>hello</html>"
    code, _, err = hub("send", "test", "--to", "user:1", "--url", backend.url)
    assert code == 1
    assert f"is not a hub (HTTP {status})" in err


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://127.0.0.1/"])
def test_a_url_that_is_none_is_a_line(hub: Command, url: str) -> None:
    code, _, err = hub("send", "test", "--to", "user:1", "--url", url)
    assert code != 0
    assert len(err.splitlines()) == 1
    assert err.startswith("hub: ")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("hub.local", "http://hub.local:8000"),
    ],
)
def test_the_local_hub_is_where_the_settings_put_it(host: str, url: str) -> None:
    assert local_url(Settings(host=host, port=8000)) == url
