"""The AsyncAPI document: valid, complete, and about this hub."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, ValidationError

from hub.choices import registry
from hub.web.events import EVENTS
from hub.web.openapi import signals
from hub.web.openapi.asyncapi import STREAMS, asyncapi
from hub.web.routes import ROUTES
from hub.web.sockets import NAMESPACES
from tests.doors import OPTIONS, doors
from tests.test_docs import sent_names
from tests.unit.test_openapi import at, references

SPECIFICATION = (
    Path(__file__).parents[2] / "clients/js/node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json"
)
TYPES = registry().types.values()


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return asyncapi(TYPES, OPTIONS, host="hub.example:8000", secure=False)


def names(channel: dict[str, Any], described: dict[str, Any], *, client: bool) -> set[str]:
    """The names of what the hub, or a client, may say on a channel."""
    return {
        at(described, message["$ref"])["name"]
        for key, message in channel["messages"].items()
        if key.startswith("client.") is client
    }


@pytest.mark.skipif(not SPECIFICATION.exists(), reason="the specification comes with npm: make js")
def test_the_document_is_asyncapi(described: dict[str, Any]) -> None:
    check = Draft7Validator(json.loads(SPECIFICATION.read_text()))
    check.validate(described)
    with pytest.raises(ValidationError):
        check.validate(described | {"operations": {"x": {"action": "shout"}}})


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    found = set(references(described))
    assert len(found) > 100
    for reference in found:
        assert at(described, reference)


def test_every_stream_and_socket_is_a_channel(described: dict[str, Any]) -> None:
    streams = {route.path for route in ROUTES if not route.head and not route.path.startswith("/ws/")}
    assert streams == set(STREAMS)
    addresses = [channel["address"] for channel in described["channels"].values()]
    assert sorted(addresses) == sorted([*streams, *NAMESPACES, "/ws/notifications"])


def test_everything_that_is_said_and_heard_is_a_message(described: dict[str, Any]) -> None:
    assert set(signals.HEARS) == set(EVENTS)
    assert set(signals.SENDS) == sent_names() - set(EVENTS) | {"notification:new"}
    types = {kind.wire for kind in TYPES}
    for name in ("socketio", "socketioNotifications", "websocket"):
        channel = described["channels"][name]
        assert names(channel, described, client=False) == types | set(signals.SENDS), name
        assert names(channel, described, client=True) - {"CONNECT"} == set(EVENTS), name
    stream = names(described["channels"]["sseNotificationsSse"], described, client=False)
    assert types < stream
    assert {"connected", "notification:read", "session:closed"} <= stream
    assert not stream & {"heartbeat", "pong", "error"}


def test_every_event_of_a_client_has_its_answers(described: dict[str, Any]) -> None:
    for name, about in signals.HEARS.items():
        operation = described["operations"][f"websocket.{name}"]
        assert operation["action"] == "receive"
        answers = {
            at(described, at(described, one["$ref"])["$ref"])["name"]
            for one in operation["reply"]["messages"]
        }
        assert answers == {about.answer, "error"}


async def test_the_document_says_where_it_came_from_and_what_the_limits_are() -> None:
    async with doors(events_most=3, events_window=2.5, max_message_bytes=2048) as web:
        answer = await web.get("/asyncapi.json")
    assert (answer.status, answer.type) == (200, "application/json")
    hosts = {server["host"] for server in answer.json["servers"].values()}
    assert hosts == {f"127.0.0.1:{web.port}"}
    assert answer.json["servers"]["websocket"]["protocol"] == "ws"
    assert "3 events in 2.5 seconds" in answer.json["info"]["description"].replace("\n", " ")
    assert "2048 bytes" in answer.json["info"]["description"].replace("\n", " ")


def test_over_tls_its_addresses_are_secure() -> None:
    found = asyncapi(TYPES, replace(OPTIONS, token_in_query=False), host="hub.example", secure=True)
    assert {server["protocol"] for server in found["servers"].values()} == {"https", "wss"}
    assert "userQuery" not in found["components"]["securitySchemes"]
