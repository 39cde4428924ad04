"""Records on the wire: what is signed, what is refused, and that bodies are left alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.cluster.parcel import Packer, ParcelForged, ParcelRefused, part_of
from hub.cluster.record import Record

KEY = b"a key that processes share"
CHANNEL = b"hub:t:acme"
EVENT = Record("acme", "event", 7, "k3f9", {"rooms": ["user:42"]}, b'{"title":"Hi"}')

RECORDS = st.builds(
    Record,
    tenant=st.just("acme"),
    kind=st.sampled_from(["event", "signal", "presence"]),
    offset=st.integers(0, 10**17),
    epoch=st.text(st.characters(codec="ascii"), max_size=16),
    meta=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), st.integers(0, 9), max_size=3),
    body=st.binary(max_size=200),
)


def packed(*records: Record, node: str = "n1", key: bytes | None = None, channel: bytes = CHANNEL) -> bytes:
    return Packer(node, key).pack(channel, [part_of(record) for record in records])


def unpacked(data: bytes, key: bytes | None = None, channel: bytes = CHANNEL) -> list[Record]:
    count, records = Packer("reader", key).unpack(channel, "acme", data)
    assert count == len(records)
    return records


@given(records=st.lists(RECORDS, max_size=5), key=st.none() | st.binary(min_size=1, max_size=64))
def test_what_was_packed_is_unpacked(records: list[Record], key: bytes | None) -> None:
    assert unpacked(packed(*records, key=key), key) == records


def test_bodies_are_sent_as_they_are() -> None:
    odd, other = b'{ "odd" :  1}\n\n{"second": "line"}\x00\xff', b""
    data = packed(Record("acme", "signal", body=odd), Record("acme", "signal", body=other), EVENT)
    assert data.endswith(b"\n" + odd + EVENT.body)
    assert [record.body for record in unpacked(data)] == [odd, other, EVENT.body]


@pytest.mark.parametrize(
    "data",
    [
        packed(EVENT),
        packed(EVENT, key=b"another key"),
        packed(EVENT, key=KEY, channel=b"hub:t:globex"),
        packed(EVENT, key=KEY).replace(b"user:42", b"user:43"),
        packed(EVENT, key=KEY)[1:],
        packed(EVENT, key=KEY)[:64],
        packed(EVENT, key=KEY) + b" ",
        b"",
    ],
)
def test_with_a_key_only_parcels_signed_for_the_channel_count(data: bytes) -> None:
    with pytest.raises(ParcelForged):
        unpacked(data, KEY)


def test_without_a_key_signed_parcels_are_read_so_that_a_key_can_be_rolled_out() -> None:
    assert unpacked(packed(EVENT, key=KEY)) == [EVENT]


HEADER = b'{"node":"n","records":[["event",1,"e",{},2]]}'
SOUND = HEADER + b"\n{}"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{",
        b"null\n{}",
        b"[]\n{}",
        b"{}\n{}",
        b'{"records":{}}\n',
        b'{"records":"event"}\n',
        b'{"records":[1]}\n',
        b'{"records":[["event",1,"e",{}]]}\n',
        HEADER,
        HEADER + b"\n{",
        SOUND + b" ",
        SOUND.replace(b'"event"', b'"other"'),
        SOUND.replace(b'"event"', b'"control"'),
        SOUND.replace(b'"event"', b"[]"),
        SOUND.replace(b",1,", b",-1,"),
        SOUND.replace(b",1,", b",true,"),
        SOUND.replace(b",1,", b",1.5,"),
        SOUND.replace(b",1,", b",1e30,"),
        SOUND.replace(b",1,", b",1000000000000000000,"),
        SOUND.replace(b'"e",', b"5,"),
        SOUND.replace(b"{},2", b"[],2"),
        SOUND.replace(b"{},2", b"[" * 5000),
        SOUND.replace(b"{},2", b"{},-2"),
        SOUND.replace(b"{},2", b'{},"2"'),
        SOUND.replace(b"{},2", b"{},2.0"),
        HEADER.replace(b"{},2", b"{},true") + b"\n{",
        SOUND.replace(b'"n"', b'"\xff"'),
    ],
)
def test_a_broken_parcel_is_refused(data: bytes) -> None:
    with pytest.raises(ParcelRefused):
        unpacked(data)


def test_the_parcel_of_the_broken_ones_is_sound_itself() -> None:
    assert unpacked(SOUND) == [Record("acme", "event", 1, "e", {}, b"{}")]


@given(data=st.binary(max_size=300), key=st.none() | st.just(KEY))
def test_no_bytes_do_more_than_be_refused(data: bytes, key: bytes | None) -> None:
    with pytest.raises(ParcelRefused):
        unpacked(data, key)


@pytest.mark.parametrize("key", [None, KEY])
def test_an_echo_is_known_by_its_node(key: bytes | None) -> None:
    data = packed(EVENT, key=key)
    assert Packer("n1", key).is_own(data)
    assert not Packer("n", key).is_own(data)
    assert not Packer("n11", key).is_own(data)


def test_only_durable_events_have_an_order() -> None:
    assert EVENT.ordered
    assert not Record("acme", "event").ordered
    assert not Record("acme", "signal", 7).ordered


def test_what_nobody_here_cares_for_is_counted_but_made_nothing_of() -> None:
    """Only what has no turn in the log, and is for rooms."""
    signal, event = (Record("acme", kind, meta={"r": [kind]}, body=b"away") for kind in ("signal", "event"))
    heard = Record("acme", "signal", meta={"r": ["here"]}, body=b"heard")
    presence = Record("acme", "presence", body=b"who")
    asked: list[tuple[str, list[str]]] = []

    def hears(tenant: str, meta: Mapping[str, list[str]]) -> bool:
        asked.append((tenant, meta["r"]))
        return "here" in meta["r"]

    data = packed(signal, EVENT, heard, event, presence)
    assert Packer("reader", None).unpack(CHANNEL, "acme", data, hears) == (5, [EVENT, heard, presence])
    assert asked == [("acme", ["signal"]), ("acme", ["here"]), ("acme", ["event"])]


def test_what_nobody_cares_for_has_to_be_sound_as_well() -> None:
    data = packed(Record("acme", "signal", body=b"away"), Record("acme", "signal", body=b"too"))
    for broken in (data + b" ", data[:-1]):
        with pytest.raises(ParcelRefused):
            Packer("reader", None).unpack(CHANNEL, "acme", broken, lambda tenant, meta: False)
