"""Engine.IO's rules alone: packets, sessions, upgrades and ends. No socket, no event loop, no clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.engineio.packets import Kind, Packet, Wire, decode, decode_payload, encode_payload
from hub.realtime.engineio.session import Reason, Session, State
from hub.realtime.errors import ProtocolError
from hub.realtime.places import Places


class Carrier:
    outflow = None

    def __init__(self, name: str = "polling", *, busy: bool = False) -> None:
        self.name = name
        self.busy = busy
        self.written: list[Wire] = []
        self.wakes = 0
        self.settled = 0
        self.paused = False
        self.finished: Reason | None = None

    def settle(self) -> None:
        self.settled += 1

    def write(self, wire: Wire) -> bool:
        if self.name == "websocket":
            self.written.append(wire)
        return self.name == "websocket"

    def wake(self) -> None:
        self.wakes += 1

    def finish(self, reason: Reason) -> bool:
        self.finished = reason
        return self.name == "polling" and (self.busy or reason is Reason.SERVER)

    def pause(self, on: bool) -> None:
        self.paused = on


class Owner:
    max_outbox_bytes = 100
    max_outbox_packets = 5

    def __init__(self) -> None:
        self.closed: list[Reason] = []
        self.overflowed = 0

    def session_overflowed(self) -> None:
        self.overflowed += 1

    def session_closed(self, session: Session, reason: Reason) -> None:
        self.closed.append(reason)


def make(*, busy: bool = False) -> tuple[Session, Carrier, Owner]:
    owner, carrier = Owner(), Carrier(busy=busy)
    session = Session("s", owner, Places().take(""))
    session.carrier, session.state = carrier, State.OPEN
    return session, carrier, owner


# -- packets ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("wire", ["", "x", "7", "\x004"])
def test_a_packet_of_no_known_type_is_refused(wire: str) -> None:
    with pytest.raises(ProtocolError):
        decode(wire)


def test_a_payload_is_read_as_the_protocol_says() -> None:
    assert decode_payload("4a\x1ebAQI=\x1e3", 9) == [
        Packet(Kind.MESSAGE, "a"),
        Packet(Kind.MESSAGE, b"\1\2"),
        Packet(Kind.PONG, ""),
    ]
    assert encode_payload(["4a", b"\1\2"]) == "4a\x1ebAQI="


@pytest.mark.parametrize("body", ["", "4a\x1e", "b*", "bAQI", "4a\x1e4b\x1e4c", "b²"])
def test_a_bad_payload_is_refused(body: str) -> None:
    with pytest.raises(ProtocolError):
        decode_payload(body, 2)


WIRES = st.lists(
    st.binary() | st.text(st.characters(exclude_characters="\x1e")).map(lambda text: "4" + text), min_size=1
)


@given(WIRES)
def test_every_payload_comes_back_as_it_went(wires: list[Wire]) -> None:
    packets = decode_payload(encode_payload(wires), len(wires))
    assert [
        packet.data if isinstance(packet.data, bytes) else "4" + packet.data for packet in packets
    ] == wires


@given(st.text())
def test_any_text_is_a_payload_or_refused(body: str) -> None:
    try:
        assert decode_payload(body, 10)
    except ProtocolError:
        pass


# -- upgrade ---------------------------------------------------------------------------------------------
def test_an_upgrade_keeps_the_order_and_frees_the_poll() -> None:
    session, old, _ = make()
    new = Carrier("websocket")
    session.begin_upgrade()
    session.send("4a")
    session.send("4b")
    session.complete_upgrade(new)
    session.send("4c")
    assert new.written == ["4a", "4b", "4c"]
    assert old.wakes == 4
    assert session.state is State.OPEN
    assert new.settled == 1


def test_an_upgrade_needs_a_probe_and_happens_once() -> None:
    session, _, _ = make()
    with pytest.raises(ProtocolError):
        session.complete_upgrade(Carrier("websocket"))
    session.begin_upgrade()
    with pytest.raises(ProtocolError):
        session.begin_upgrade()


def test_a_session_whose_upgrade_was_abandoned_goes_on_polling() -> None:
    session, old, _ = make()
    session.begin_upgrade()
    session.send("4a")
    session.abandon_upgrade()
    assert session.state is State.OPEN
    assert old.wakes == 3
    assert session.drain() == ["4a"]


# -- the end ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("reason", "last"), [(Reason.CLIENT, "6"), (Reason.GONE, "6"), (Reason.PING, "1"), (Reason.ERROR, "1")]
)
def test_a_waiting_poll_gets_what_is_left_and_a_last_packet(reason: Reason, last: str) -> None:
    session, carrier, owner = make(busy=True)
    session.send("4a")
    session.close(reason)
    session.close(Reason.ERROR)
    session.send("4b")
    assert session.state is State.CLOSED
    assert session.drain() == ["4a", last]
    assert owner.closed == [reason]
    assert carrier.settled == 1


@pytest.mark.parametrize("busy", [True, False])
def test_a_kick_is_told_in_a_poll_of_its_own(busy: bool) -> None:
    session, carrier, owner = make(busy=busy)
    session.send("41")
    session.close(Reason.SERVER)
    assert carrier.wakes == 2
    assert (session.fetch(9), session.state) == (["41"], State.CLOSING)
    assert (session.fetch(9), session.state) == (["1"], State.CLOSED)
    assert session.fetch(9) == []
    assert owner.closed == [Reason.SERVER]


def test_a_poll_is_answered_with_as_much_as_its_client_takes() -> None:
    session, _, _ = make()
    for wire in ("4a", "4b", "4c"):
        session.send(wire)
    assert session.fetch(2) == ["4a", "4b"]
    assert session.outbox_bytes == 2
    session.send("4d")
    assert session.fetch(2) == ["4c", "4d"]
    assert session.fetch(2) == []


def test_without_a_waiting_poll_nobody_is_told() -> None:
    session, _, _ = make()
    session.send("4a")
    session.close(Reason.PING)
    assert (session.state, session.drain()) == (State.CLOSED, [])


@pytest.mark.parametrize("wires", [["4x"] * 6, ["4" + "x" * 100]])
def test_an_outbox_is_bounded_by_packets_and_by_bytes(wires: list[str]) -> None:
    session, _, owner = make()
    for wire in wires:
        session.send(wire)
    assert owner.closed == [Reason.ERROR]
    assert owner.overflowed == 1
    assert session.drain() == []


def test_whoever_waits_for_room_is_called_when_the_outbox_is_fetched_or_the_session_ends() -> None:
    session, _, _ = make()
    calls: list[str] = []
    session.when_free(lambda: calls.append("at once"))
    session.send("4a")
    session.send("4b")
    assert not session.crowded
    session.send("4c")
    assert session.crowded
    session.when_free(lambda: calls.append("fetched"))
    session.fetch(2)
    assert calls == ["at once"]
    session.fetch(2)
    session.send("4d")
    session.when_free(lambda: calls.append("ended"))
    session.close(Reason.GONE)
    assert calls == ["at once", "fetched", "ended"]


def test_what_a_client_may_not_send_is_refused() -> None:
    for kind in (Kind.OPEN, Kind.PING, Kind.UPGRADE):
        session, _, _ = make()
        with pytest.raises(ProtocolError):
            session.receive(Packet(kind, ""))
    assert session.receive(Packet(Kind.NOOP, "")) is None
    assert session.receive(Packet(Kind.MESSAGE, "hello")) == "hello"
    assert session.receive(Packet(Kind.CLOSE, "")) is None
    assert not session.open
