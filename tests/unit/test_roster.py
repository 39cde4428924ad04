"""Connections to users to roles, and counted: against a list. And as other processes write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.cluster.entries import decode, encode, join, join_bytes
from hub.domain.access import Room
from hub.domain.roster import Entry, Roster, Rows, summarize

USERS, ROLES, TOPICS = ("1", "2", "3"), ("ADMIN", "CUSTOMER", "GUEST"), ("topic:a", "topic:b")

entries = st.builds(
    Entry.of,
    st.sampled_from(USERS),
    st.sampled_from(("s1", "s2", "s3", "s4")),
    st.sampled_from(("socketio", "sse", "plain")),
    st.lists(st.sampled_from(ROLES), unique=True).map(tuple),
    st.lists(st.sampled_from(TOPICS), unique=True).map(tuple),
    node=st.sampled_from(("", "n1")),
)
rooms = st.sampled_from(
    [Room.parse("acme", name) for name in ("tenant:acme", "user:1", "role:ADMIN", "session:s2", "topic:a")]
)


def belongs(entry: Entry, room: Room) -> bool:
    """Said another way than the code says it."""
    names = {f"user:{entry.user}", f"session:{entry.session}", "tenant:acme", *entry.rooms}
    return str(room) in names | {f"role:{role}" for role in entry.roles}


def said(entry: Entry) -> tuple[str, str, str, tuple[str, ...], tuple[str, ...]]:
    traits = entry.traits
    return entry.user, entry.session, traits.transport, traits.roles, traits.rooms


def as_rows(given_: list[Entry]) -> Rows:
    """As they come from another process."""
    return decode(join(encode(str(number), entry) for number, entry in enumerate(given_)), "n1")


@given(given_=st.lists(entries, max_size=30), room=rooms, data=st.data())
def test_a_roster_counts_like_a_list(given_: list[Entry], room: Room, data: st.DataObject) -> None:
    """Some come one by one, some at once before and after them, and some go."""
    among = st.integers(0, len(given_))
    begin, end = sorted((data.draw(among), data.draw(among)))
    before, after = as_rows(given_[:begin]), as_rows(given_[end:])
    roster = Roster()
    roster.add_rows(before)
    for entry in given_[begin:end]:
        roster.add(entry)
    roster.add_rows(after)
    goes = data.draw(st.lists(st.sampled_from(range(len(given_))), unique=True)) if given_ else []
    for number in goes:
        roster.remove([*before, *given_[begin:end], *after][number])
    left = [entry for number, entry in enumerate(given_) if number not in goes]
    inside = [entry for entry in left if belongs(entry, room)]
    summary = summarize(roster.columns(room))
    assert set(summary.users) == {entry.user for entry in inside}
    assert summary.by_role == {
        role: len({entry.user for entry in inside if role in entry.roles})
        for role in ROLES
        if any(role in entry.roles for entry in inside)
    }
    assert summary.connections == sum(summary.nodes.values()) == len(inside)
    assert summary.sessions == len({entry.session for entry in inside})
    assert dict(summary.transports) == {
        name: count
        for name in ("socketio", "sse", "plain")
        if (count := sum(entry.traits.transport == name for entry in inside))
    }
    shown = summary.first(2)
    assert [user for user, _, _ in shown] == sorted({entry.user for entry in inside})[:2]
    for user, roles, count in shown:
        mine = [entry for entry in inside if entry.user == user]
        assert set(roles) == {role for entry in mine for role in entry.roles}
        assert count == len(mine)
    members = list(roster.members(room))
    assert sorted(map(said, members)) == sorted(map(said, inside))
    assert sorted(map(said, roster.of("1"))) == sorted(said(entry) for entry in left if entry.user == "1")


def test_what_was_added_can_be_removed_without_a_trace() -> None:
    roster = Roster()
    twins = [Entry.of("1", "s", "sse", ("ADMIN",), ("topic:a",)) for _ in range(2)]
    for entry in twins:
        roster.add(entry)
    assert twins[0].same(twins[1])
    roster.remove(twins[0])
    assert roster.of("1") == (twins[1],)
    assert list(roster.members(Room.parse("acme", "topic:a"))) == [twins[1]]
    roster.remove(twins[1])
    assert roster.of("1") == ()
    assert list(roster.members(Room.parse("acme", "topic:a"))) == []
    assert list(roster.members(Room.parse("acme", "tenant:acme"))) == []


@pytest.mark.parametrize(
    "other",
    [
        Entry.of("2", "s", "sse", ("ADMIN",), ("topic:a",)),
        Entry.of("1", "t", "sse", ("ADMIN",), ("topic:a",)),
        Entry.of("1", "s", "plain", ("ADMIN",), ("topic:a",)),
        Entry.of("1", "s", "sse", (), ("topic:a",)),
        Entry.of("1", "s", "sse", ("ADMIN",), ()),
        Entry.of("1", "s", "sse", ("ADMIN",), ("topic:a",), node="n"),
    ],
)
def test_an_entry_that_differs_in_anything_is_another(other: Entry) -> None:
    assert not Entry.of("1", "s", "sse", ("ADMIN",), ("topic:a",)).same(other)


@given(given_=st.lists(entries, max_size=20))
def test_what_another_process_wrote_is_read_as_it_was(given_: list[Entry]) -> None:
    texts = [encode(f"c{number}", entry) for number, entry in enumerate(given_)]
    for joined in (join(texts), join_bytes(text.encode() for text in texts)):
        read = dict(decode(joined, "n1").items())
        assert list(read) == [f"c{number}" for number in range(len(given_))]
        assert list(map(said, read.values())) == list(map(said, given_))
        assert {entry.traits.node for entry in read.values()} <= {"n1"}


WRITTEN = encode("c1", Entry.of("1", "s", "sse", ("ADMIN",), ("topic:a",)))


@pytest.mark.parametrize(
    "texts",
    [
        [" "],
        ["no lines"],
        ["1\ns\nsse\t\t"],
        [f"{WRITTEN}\nmore"],
        [WRITTEN, "\n".join(["x"] * 9)],
        ["1\ns\nc1", f"{WRITTEN}\n2\n3"],
        ["1\ns\nsse\t\t", "c1\n2\ns\nsse\t\t\nc2"],
        ["1\ns\nsse ADMIN\nc1"],
    ],
)
def test_what_nobody_here_wrote_is_noticed(texts: list[str]) -> None:
    for given_ in (texts, [*texts, WRITTEN], [WRITTEN, *texts]):
        with pytest.raises(ValueError):
            decode(join(given_), "n1")
