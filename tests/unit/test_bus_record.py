"""A record on the wire: what is signed, what is refused, and that the body is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.cluster.record import Record, RecordForged, RecordRefused, node_mark, sent_by

KEY = b"a key that processes share"
EVENT = Record("acme", "event", 7, "k3f9", {"rooms": ["user:42"]}, b'{"title":"Hi"}')

RECORDS = st.builds(
    Record,
    tenant=st.text(st.characters(codec="utf-8"), max_size=20),
    kind=st.sampled_from(["event", "signal", "control"]),
    offset=st.integers(0, 10**17),
    epoch=st.text(st.characters(codec="ascii"), max_size=16),
    meta=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), st.integers(0, 9), max_size=3),
    body=st.binary(max_size=200),
)


@given(record=RECORDS, key=st.none() | st.binary(min_size=1, max_size=64))
def test_what_was_encoded_is_decoded(record: Record, key: bytes | None) -> None:
    assert Record.decode(record.encode("n1", key), key) == record


def test_the_body_is_sent_as_it_is() -> None:
    body = b'{ "odd" :  1}\n\n{"second": "line"}\x00\xff'
    data = Record("acme", "signal", body=body).encode("n1", None)
    assert data.endswith(b"\n" + body)
    assert Record.decode(data, None).body == body


@pytest.mark.parametrize(
    "data",
    [
        EVENT.encode("n1", None),
        EVENT.encode("n1", b"another key"),
        EVENT.encode("n1", KEY).replace(b"user:42", b"user:43"),
        EVENT.encode("n1", KEY)[1:],
        EVENT.encode("n1", KEY)[:64],
        EVENT.encode("n1", KEY) + b" ",
        b"",
    ],
)
def test_with_a_key_only_signed_records_count(data: bytes) -> None:
    with pytest.raises(RecordForged):
        Record.decode(data, KEY)


def test_without_a_key_signed_records_are_read_so_that_a_key_can_be_rolled_out() -> None:
    assert Record.decode(EVENT.encode("n1", KEY), None) == EVENT


HEADER = b'{"node":"n","tenant":"a","kind":"event","offset":1,"epoch":"e","meta":{}}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{",
        b"null\n{}",
        b"[]\n{}",
        b"{}\n{}",
        HEADER,
        HEADER + b" ",
        HEADER.replace(b'"kind":"event"', b'"kind":"other"') + b"\n",
        HEADER.replace(b'"kind":"event"', b'"kind":[]') + b"\n",
        HEADER.replace(b'"offset":1', b'"offset":-1') + b"\n",
        HEADER.replace(b'"offset":1', b'"offset":true') + b"\n",
        HEADER.replace(b'"offset":1', b'"offset":1.5') + b"\n",
        HEADER.replace(b'"offset":1', b'"offset":1e30') + b"\n",
        HEADER.replace(b'"offset":1', b'"offset":1000000000000000000') + b"\n",
        HEADER.replace(b'"tenant":"a"', b'"tenant":null') + b"\n",
        HEADER.replace(b'"epoch":"e"', b'"epoch":5') + b"\n",
        HEADER.replace(b'"meta":{}', b'"meta":[]') + b"\n",
        HEADER.replace(b'"meta":{}', b'"meta":' + b"[" * 5000) + b"\n",
        HEADER.replace(b'"n"', b'"\xff"') + b"\n",
    ],
)
def test_a_broken_record_is_refused(data: bytes) -> None:
    with pytest.raises(RecordRefused):
        Record.decode(data, None)


def test_the_header_of_the_broken_ones_is_sound_itself() -> None:
    assert Record.decode(HEADER + b"\n", None) == Record("a", "event", 1, "e")


@given(data=st.binary(max_size=300), key=st.none() | st.just(KEY))
def test_no_bytes_do_more_than_be_refused(data: bytes, key: bytes | None) -> None:
    with pytest.raises(RecordRefused):
        Record.decode(data, key)


@pytest.mark.parametrize("key", [None, KEY])
def test_an_echo_is_known_by_its_node(key: bytes | None) -> None:
    data = EVENT.encode("n1", key)
    assert sent_by(node_mark("n1"), data)
    assert not sent_by(node_mark("n"), data)
    assert not sent_by(node_mark("n11"), data)


def test_only_durable_events_have_an_order() -> None:
    assert EVENT.ordered
    assert not Record("acme", "event").ordered
    assert not Record("acme", "signal", 7).ordered
