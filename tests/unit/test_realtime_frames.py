"""Frames: the exact bytes of every transport, each made once."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio.packet import Packet
from websockets.frames import Frame as PeerFrame
from websockets.frames import Opcode

from hub.realtime.frames import NOTIFICATIONS, Frame, Profile, chunk, text_frame
from hub.realtime.wsframes import FrameParser, Op

SOCKET = Profile("socketio")
OTHER = "/ws/notifications"
BODY = b'{"id":"1"}'


def notification(**fields: object) -> Frame:
    given = {
        "type": "booking.created",
        "wire": "booking.created",
        "inbox": True,
        "body": BODY,
        "cursor": "e:7",
    }
    return Frame(**(given | fields))  # type: ignore[arg-type]


PACKETS = [
    (SOCKET, ['42["notification:new",{"id":"1"}]', '42["booking.created",{"id":"1"}]']),
    (SOCKET._replace(events="generic"), ['42["notification:new",{"id":"1"}]']),
    (SOCKET._replace(events="typed"), ['42["booking.created",{"id":"1"}]']),
    (
        SOCKET._replace(namespace=OTHER, events="typed"),
        ['42/ws/notifications,["booking.created",{"id":"1"}]'],
    ),
    (SOCKET._replace(recovery=True, events="generic"), ['42["notification:new",{"id":"1"},"e:7"]']),
]


@pytest.mark.parametrize(("profile", "packets"), PACKETS)
def test_a_notification_speaks_as_its_profile_asks(profile: Profile, packets: list[str]) -> None:
    assert notification().packets_for(profile) == tuple(packets)
    assert notification().bytes_for(profile) == b"".join(text_frame(packet.encode()) for packet in packets)


@pytest.mark.parametrize("events", ["both", "generic", "typed"])
def test_an_event_outside_the_inbox_has_its_wire_name_whatever_is_asked(events: str) -> None:
    packets = notification(inbox=False, wire="nearby-job").packets_for(SOCKET._replace(events=events))
    assert packets == ('42["nearby-job",{"id":"1"}]',)


def test_a_volatile_event_has_no_cursor_anywhere() -> None:
    volatile = notification(cursor=None, inbox=False)
    assert volatile.packets_for(SOCKET._replace(recovery=True)) == ('42["booking.created",{"id":"1"}]',)
    assert (
        volatile.bytes_for(Profile("sse", chunked=False)) == b'event: booking.created\ndata: {"id":"1"}\n\n'
    )
    assert volatile.bytes_for(Profile("plain")) == text_frame(
        b'{"event":"booking.created","data":{"id":"1"}}'
    )


def test_a_stream_gets_one_message_with_the_wire_name() -> None:
    message = b'id: e:7\nevent: booking.created\ndata: {"id":"1"}\n\n'
    assert notification().bytes_for(Profile("sse", chunked=False)) == message
    assert notification().bytes_for(Profile("sse")) == chunk(message) == b"31\r\n" + message + b"\r\n"


def test_a_plain_websocket_gets_the_cursor_beside_the_data() -> None:
    wanted = b'{"event":"booking.created","data":{"id":"1"},"cursor":"e:7"}'
    assert notification().bytes_for(Profile("plain")) == text_frame(wanted)


def test_a_signal_has_all_its_arguments_on_socketio_and_the_last_one_elsewhere() -> None:
    signal = Frame.signal("notification:read", [b'"id1"', b'{"unreadCount":0}'])
    assert signal.packets_for(SOCKET) == ('42["notification:read","id1",{"unreadCount":0}]',)
    assert signal.bytes_for(Profile("sse", chunked=False)) == (
        b'event: notification:read\ndata: {"unreadCount":0}\n\n'
    )
    assert signal.bytes_for(Profile("plain")) == text_frame(
        b'{"event":"notification:read","data":{"unreadCount":0}}'
    )
    assert Frame.signal("bye").packets_for(SOCKET) == ('42["bye"]',)


def test_no_client_with_recovery_takes_an_argument_for_a_cursor() -> None:
    recovering = SOCKET._replace(recovery=True)
    text, object_, none = Frame.signal("x", [b'"7"']), Frame.signal("x", [b"{}"]), Frame.signal("x")
    assert text.packets_for(recovering) == ('42["x","7",null]',)
    assert text.packets_for(SOCKET) == ('42["x","7"]',)
    assert object_.packets_for(recovering) == ('42["x",{}]',)
    assert none.packets_for(recovering) == ('42["x",null]',)


def test_bytes_are_made_once_per_profile() -> None:
    shown = notification()
    equal = Profile("socketio")
    assert shown.bytes_for(SOCKET) is shown.bytes_for(equal)
    assert shown.packets_for(SOCKET) is shown.packets_for(equal)


def test_an_older_dialect_is_rendered_once_whoever_receives_it() -> None:
    asked: list[str] = []

    def render(dialect: str) -> bytes:
        asked.append(dialect)
        return b'{"older":1}'

    shown = notification(render=render)
    profile = Profile("sse", chunked=False, dialect="message")
    assert shown.bytes_for(profile) == b'id: e:7\ndata: {"older":1}\n\n'
    assert shown.bytes_for(Profile("sse", chunked=False, dialect="message")) is shown.bytes_for(profile)
    assert asked == ["message"]


def test_an_empty_rendering_tells_the_place_and_none_tells_nothing() -> None:
    profile = Profile("sse", chunked=False, dialect="message")
    assert notification(render=lambda _: b"").bytes_for(profile) == b"id: e:7\n\n"
    assert notification(render=lambda _: None).bytes_for(profile) == b""
    greeting = Frame.signal("connected", [b"{}"], cursor="e:1", render=lambda _: b"")
    assert greeting.bytes_for(profile._replace(only="booking.*")) == b"id: e:1\n\n"


def test_a_stream_that_shows_only_some_events_still_hears_signals() -> None:
    event = notification(inbox=False)
    profile = Profile("sse", chunked=False)
    assert event.bytes_for(profile._replace(only=NOTIFICATIONS)) == b""
    assert event.bytes_for(profile._replace(only="booking.*")) == event.bytes_for(profile) != b""
    assert event.bytes_for(profile._replace(only="payment.*")) == b""
    assert notification().bytes_for(profile._replace(only=NOTIFICATIONS)) != b""
    signal = Frame.signal("notification:read", [b"{}"])
    assert signal.bytes_for(profile._replace(only="payment.*")) == signal.bytes_for(profile) != b""


def test_types_select_events_but_never_hold_signals_back() -> None:
    assert notification().wanted(("payment.*", "booking.*"))
    assert not notification().wanted(("payment.*",))
    assert not notification().wanted(())
    assert Frame.signal("booking.created").wanted(())


@given(st.integers(0, 70_000))
def test_a_text_frame_announces_its_size_in_the_shortest_way(size: int) -> None:
    made = text_frame(b"x" * size)
    header = 2 if size < 126 else 4 if size < 65536 else 10
    assert len(made) == header + size
    [(op, text)] = FrameParser(1 << 20).feed(PeerFrame(Opcode.TEXT, b"x" * size).serialize(mask=True))
    assert (op, text) == (Op.TEXT, "x" * size)
    assert made == PeerFrame(Opcode.TEXT, b"x" * size).serialize(mask=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(name=st.text(min_size=1), args=st.lists(JSON), namespace=st.sampled_from(["/", OTHER]))
def test_packets_are_what_python_socketio_would_have_made(
    name: str, args: list[object], namespace: str
) -> None:
    [packet] = Frame.signal(name, [orjson.dumps(arg) for arg in args]).packets_for(
        Profile("socketio", namespace=namespace)
    )
    stock = Packet(encoded_packet=packet[1:])
    assert (stock.packet_type, stock.namespace or "/", stock.data) == (2, namespace, [name, *args])
    assert json.loads(packet[packet.index("[") :]) == [name, *args]
