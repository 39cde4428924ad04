"""What comes in: WebSocket frames and Socket.IO packets, sound, cut into pieces, or made up."""

from __future__ import annotations

import json
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as PeerFrame
from websockets.frames import Opcode

from hub.realtime.errors import ProtocolError, TooLarge
from hub.realtime.strict import MAX_DEPTH, RESERVED, StrictPacket, too_deep
from hub.realtime.wsframes import FrameParser, Op, Parsers


def sent(op: int, payload: bytes, *, fin: bool = True, mask: bool = True) -> bytes:
    """A frame as a client sends it."""
    return PeerFrame(Opcode(op), payload, fin).serialize(mask=mask)


# -- frames ----------------------------------------------------------------------------------------------
MESSAGES = st.lists(st.text(max_size=300) | st.binary(max_size=300), max_size=8)


@given(MESSAGES, st.lists(st.integers(1, 200), min_size=1, max_size=40), st.integers(1, 100))
def test_messages_come_out_whole_however_they_are_cut(
    messages: list[str | bytes], cuts: list[int], fragment: int
) -> None:
    wire = b""
    for message in messages:
        data = message.encode() if isinstance(message, str) else message
        parts = [data[at : at + fragment] for at in range(0, len(data), fragment)] or [b""]
        for index, part in enumerate(parts):
            op = 0 if index else (1 if isinstance(message, str) else 2)
            wire += sent(op, part, fin=index == len(parts) - 1)
            wire += sent(9, b"between")
    parser, got, at, turn = FrameParser(1 << 20), [], 0, 0
    while at < len(wire):
        size = cuts[turn % len(cuts)]
        got += list(parser.feed(wire[at : at + size]))
        at, turn = at + size, turn + 1
    assert [payload for op, payload in got if op in (Op.TEXT, Op.BINARY)] == messages
    assert all(payload == b"between" for op, payload in got if op is Op.PING)


@given(
    st.lists(st.lists(st.text(max_size=30) | st.binary(max_size=200), max_size=4), min_size=2, max_size=4),
    st.randoms(use_true_random=False),
)
def test_connections_that_share_parsers_never_see_each_other(
    clients: list[list[str | bytes]], dice: random.Random
) -> None:
    parsers = Parsers(1 << 20)
    wires = []
    for messages in clients:
        wire = b""
        for message in messages:
            data = message.encode() if isinstance(message, str) else message
            cut = dice.randrange(len(data) + 1)
            wire += sent(1 if isinstance(message, str) else 2, data[:cut], fin=False)
            wire += sent(9, b"ping") + sent(0, data[cut:])
        wires.append(wire)
    held: list[FrameParser | None] = [None] * len(clients)
    got: list[list[str | bytes]] = [[] for _ in clients]
    while any(wires):
        number = dice.choice([n for n, wire in enumerate(wires) if wire])
        size = dice.choice([1, 2, 5, 50, 1000])
        piece, wires[number] = wires[number][:size], wires[number][size:]
        parser = held[number] or parsers.take()
        got[number] += [payload for op, payload in parser.feed(piece) if op is not Op.PING]
        held[number] = None if parser.idle else parser
        if parser.idle:
            parsers.give(parser)
    assert got == clients
    assert held == [None] * len(clients)


BROKEN = {
    "unmasked": sent(1, b"x", mask=False),
    "reserved bit": b"\xc1\x80\0\0\0\0",
    "unknown opcode": b"\x83\x80\0\0\0\0",
    "fragmented ping": b"\x09\x81\0\0\0\0x",
    "long ping": b"\x89\xfe\x00\x7e" + b"\0" * 130,
    "continuation of nothing": sent(0, b"x"),
    "text inside a message": sent(1, b"a", fin=False) + sent(1, b"b"),
    "bad UTF-8": sent(1, b"\xff"),
    "cut UTF-8": sent(1, "ä".encode()[:1]),
    "close with one byte": sent(8, b"x"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_frame_is_refused(name: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        list(FrameParser(1000).feed(BROKEN[name]))
    assert not isinstance(caught.value, TooLarge)


@pytest.mark.parametrize(
    "wire",
    [
        b"\x82\xff" + (1 << 40).to_bytes(8, "big"),  # refused by its header, before a byte of it has come
        sent(1, b"x" * 600, fin=False) + sent(0, b"x" * 600),
    ],
    ids=["announced", "in fragments"],
)
def test_a_message_over_the_limit_is_too_large(wire: bytes) -> None:
    with pytest.raises(TooLarge):
        list(FrameParser(1000).feed(wire))


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_refused(wire: bytes) -> None:
    parser = FrameParser(1000)
    try:
        for op, payload in parser.feed(wire):
            assert isinstance(payload, str) == (op is Op.TEXT)
    except ProtocolError:
        pass


# -- packets ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wire", "kind", "namespace", "id", "data"),
    [
        ("0", 0, None, None, None),
        ('0/ws/notifications,{"token":"x"}', 0, "/ws/notifications", None, {"token": "x"}),
        ("1/a", 1, "/a", None, None),
        ('2["m",1.5,{"a":[]}]', 2, None, None, ["m", 1.5, {"a": []}]),
        ('2/a?q=1,12["m"]', 2, "/a", 12, ["m"]),
        ("312[]", 3, None, 12, []),
    ],
)
def test_a_sound_packet_is_read(
    wire: str, kind: int, namespace: str | None, id: int | None, data: object
) -> None:
    packet = StrictPacket(encoded_packet=wire)
    assert (packet.packet_type, packet.namespace, packet.id, packet.data) == (kind, namespace, id, data)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_event_is_refused(name: str) -> None:
    with pytest.raises(ProtocolError):
        StrictPacket(encoded_packet="2" + json.dumps([name]))


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_is_counted_per_argument(opening: str) -> None:
    closing = "]" if opening == "[" else "}"

    def nested(depth: int) -> str:
        inner = "" if opening == "[" else "1"
        return f'2["m",{opening * depth}{inner}{closing * depth}]'

    assert StrictPacket(encoded_packet=nested(MAX_DEPTH)).data[0] == "m"
    with pytest.raises(ProtocolError):
        StrictPacket(encoded_packet=nested(MAX_DEPTH + 1))
    for depth in (1000, 1025, 30_000):
        with pytest.raises(ProtocolError):
            StrictPacket(encoded_packet=nested(depth))


def test_depth_is_found_without_recursion() -> None:
    bottomless: list[object] = []
    bottomless.append(bottomless)
    assert too_deep(bottomless, 10_000)
    assert not too_deep([[1], {"a": {}}], 3)


def test_many_shallow_brackets_are_not_deep() -> None:
    packet = StrictPacket(encoded_packet="2" + json.dumps(["m", [[]] * 1000, "[" * 1000]))
    assert len(packet.data[1]) == 1000


GRAMMAR = st.text(st.sampled_from('0123456[]{}",-/:_ ametrueNaInfiyplchodr.\\u²\x00'), max_size=60)


@given(GRAMMAR | st.text() | GRAMMAR.map(lambda text: "2" + text) | st.binary())
def test_anything_is_a_packet_or_refused(wire: str | bytes) -> None:
    try:
        packet = StrictPacket(encoded_packet=wire or "?")
    except ProtocolError:
        return
    assert isinstance(wire, str)
    assert packet.packet_type in (0, 1, 2, 3)
    assert packet.attachment_count == 0
    if packet.packet_type == 2:
        assert isinstance(packet.data[0], str)
        assert packet.data[0] not in RESERVED
    packet.encode()  # whatever came in can go out


def test_attachments_are_taken_where_they_are_allowed() -> None:
    class Binary(StrictPacket):
        max_attachments = 1

    packet = Binary(encoded_packet='51-["m",{"_placeholder":true,"num":0}]')
    blob = os.urandom(8)
    assert packet.add_attachment(blob)
    assert packet.data == ["m", blob]
    with pytest.raises(ProtocolError):
        Binary(encoded_packet='52-["m"]')
    with pytest.raises(ProtocolError):
        StrictPacket(encoded_packet='51-["m",{"_placeholder":true,"num":0}]')
