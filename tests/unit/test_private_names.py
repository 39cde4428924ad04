"""The alarm for an update of a dependency: every undocumented name that `hub.realtime` relies on.

The list is in the docstring of `hub.realtime.engineio`. When this fails, read what has changed, adapt the
seam, and run the conformance tests before anything else.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import aiosqlite
import pytest
import socketio
from aiohttp import http_writer, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web_protocol import RequestHandler
from kombu.transport import memory
from multidict import CIMultiDict
from socketio import packet
from websockets.protocol import Protocol, Side

import hub.realtime
import hub.realtime.engineio
from hub.realtime.fanout import Fanout
from hub.realtime.manager import RoomManager
from hub.realtime.server import SocketServer

SERVER_METHODS = {
    "_engineio_server_class": ["self"],
    "_handle_eio_connect": ["self", "eio_sid", "environ"],
    "_handle_eio_message": ["self", "eio_sid", "data"],
    "_handle_eio_disconnect": ["self", "eio_sid", "reason"],
    "_handle_connect": ["self", "eio_sid", "namespace", "data"],
    "_handle_disconnect": ["self", "eio_sid", "namespace", "reason"],
    "_handle_event": ["self", "eio_sid", "namespace", "id", "data"],
    "_handle_ack": ["self", "eio_sid", "namespace", "id", "data"],
    "_send_packet": ["self", "eio_sid", "pkt"],
    "_trigger_event": ["self", "event", "namespace", "args"],
}
SERVER_ATTRIBUTES = (
    *("_binary_packet", "eio", "environ", "handlers", "namespace_handlers", "namespaces", "packet_class"),
    *("manager", "manager_initialized", "not_handled", "reason"),
)
MANAGER_METHODS = {
    "initialize": ["self"],
    "get_namespaces": ["self"],
    "get_participants": ["self", "namespace", "room"],
    "is_connected": ["self", "sid", "namespace"],
    "is_pre_connected": ["self", "sid", "namespace"],
    "sid_from_eio_sid": ["self", "eio_sid", "namespace"],
    "eio_sid_from_sid": ["self", "sid", "namespace"],
    "pre_disconnect": ["self", "sid", "namespace"],
    "basic_disconnect": ["self", "sid", "namespace", "kwargs"],
    "can_disconnect": ["self", "sid", "namespace"],
    "disconnect": ["self", "sid", "namespace", "kwargs"],
    "enter_room": ["self", "sid", "namespace", "room", "eio_sid"],
    "leave_room": ["self", "sid", "namespace", "room"],
    "close_room": ["self", "room", "namespace"],
    "get_rooms": ["self", "sid", "namespace"],
    "trigger_callback": ["self", "sid", "id", "data"],
    "emit": ["self", "event", "data", "namespace", "room", "skip_sid", "callback", "to", "kwargs"],
}


def parameters(owner: object, name: str) -> list[str]:
    return list(inspect.signature(getattr(owner, name)).parameters)


@pytest.mark.parametrize("name", SERVER_METHODS)
def test_a_method_of_the_server_is_as_it_was(name: str) -> None:
    assert parameters(socketio.AsyncServer, name) == SERVER_METHODS[name]


@pytest.mark.parametrize("name", SERVER_ATTRIBUTES)
def test_an_attribute_of_the_server_is_there(name: str) -> None:
    assert hasattr(SocketServer(Fanout()), name)


@pytest.mark.parametrize("name", MANAGER_METHODS)
def test_a_method_of_the_manager_is_as_it_was(name: str) -> None:
    assert parameters(socketio.AsyncRedisManager, name) == MANAGER_METHODS[name]


def test_no_new_method_of_the_manager_touches_the_rooms_behind_our_back() -> None:
    """Whatever of the stock manager reads its own tables is replaced: ours are elsewhere."""
    kinds = [kind for kind in socketio.AsyncRedisManager.__mro__ if kind.__module__.startswith("socketio.")]
    for kind in kinds:
        for name, method in inspect.getmembers(kind, inspect.isfunction):
            tables = re.search(r"self\.(rooms|eio_to_sid|pending_\w+|callbacks)\b", inspect.getsource(method))
            stays = name in {"__init__", "pre_connect", "connect", "basic_enter_room", "basic_leave_room"}
            stays = stays or name in {"basic_close_room", "is_sid_room", "_generate_ack_id"}
            assert not tables or stays or name in vars(RoomManager), f"{kind.__name__}.{name}"


def test_the_table_methods_that_stay_are_called_by_replaced_ones_only() -> None:
    source = inspect.getsource(socketio.AsyncServer)
    assert "manager.pre_connect" in source  # in _handle_connect, which is replaced
    for name in ("basic_enter_room", "basic_leave_room", "basic_close_room", "_generate_ack_id"):
        assert name not in source


def test_packets_are_as_they_were() -> None:
    made = packet.Packet(packet.EVENT, ["a"], "/x", 3)
    assert made.encode() == '2/x,3["a"]'
    assert (made.packet_type, made.data, made.namespace, made.id) == (2, ["a"], "/x", 3)
    assert made.attachment_count == 0
    assert parameters(packet.Packet, "decode") == ["self", "encoded_packet"]
    assert parameters(packet.Packet, "add_attachment") == ["self", "attachment"]
    assert parameters(packet.Packet, "data_is_binary") == ["data"]
    names = ("CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK")
    assert [getattr(packet, name) for name in names] == list(range(7))


def test_aiohttp_lets_its_connections_be_taken() -> None:
    assert "transport" in BaseProtocol.__slots__
    assert parameters(RequestHandler, "connection_lost") == ["self", "exc"]
    assert "self.transport.close()" in inspect.getsource(RequestHandler.force_close)
    assert parameters(web.StreamResponse, "prepare") == ["self", "request"]
    assert parameters(web.StreamResponse, "write_eof") == ["self", "data"]


def test_aiohttp_lets_a_request_be_made_that_has_come_already() -> None:
    """hub/web/short.py: a request with its body and its route, and the head of an answer."""
    names = ["self", "message", "payload", "protocol", "payload_writer", "task", "loop"]
    assert parameters(web.Request, "__init__")[:7] == names
    assert "if self._read_bytes is None:" in inspect.getsource(web.BaseRequest.read)
    assert web.Request._match_info is None
    assert web.Application(client_max_size=7)._client_max_size == 7
    assert http_writer._serialize_headers("HTTP/1.1 200 OK", CIMultiDict({"A": "b"})) == (
        b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"
    )


def test_websockets_tells_what_its_parser_found() -> None:
    assert Protocol(Side.SERVER, max_size=1).parser_exc is None


def test_aiosqlite_runs_a_function_in_its_thread() -> None:
    """hub/store/sqlite.py: a whole transaction in one hop."""
    assert parameters(aiosqlite.Connection, "_execute") == ["self", "fn", "args", "kwargs"]
    assert isinstance(inspect.getattr_static(aiosqlite.Connection, "_conn"), property)


def test_kombu_keeps_what_was_sent_in_memory() -> None:
    """tasks/messages.py: what a message looks like."""
    assert parameters(memory.Channel, "_get") == ["self", "queue", "timeout"]


def test_every_private_name_that_is_used_is_listed() -> None:
    """Attributes with an underscore, on anything but self, in any file of the floor."""
    listed = hub.realtime.engineio.__doc__ or ""
    folder = Path(hub.realtime.__file__).parent
    for path in folder.rglob("*.py"):
        text = path.read_text()
        used = set(re.findall(r"\b(?:self\.server|super\(\)|handler|conn|packet)\.(_[a-z]\w*)", text))
        for name in used - {"__init__"}:
            assert name in listed, f"{path.name} uses {name}"
