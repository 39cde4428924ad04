"""Connections to users to roles, and when somebody has come or gone: against models, without a clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hub.domain.access import Room
from hub.domain.presence import Entry, News, Roster, Watch, summarize

USERS, ROLES, TOPICS = ("1", "2", "3"), ("ADMIN", "CUSTOMER", "GUEST"), ("topic:a", "topic:b")
GRACE = 5.0

entries = st.builds(
    Entry,
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


@given(given_=st.lists(entries, max_size=30), room=rooms, data=st.data())
def test_a_roster_counts_like_a_list(given_: list[Entry], room: Room, data: st.DataObject) -> None:
    roster = Roster()
    for entry in given_:
        roster.add(entry)
    left = list(given_)
    for entry in data.draw(st.lists(st.sampled_from(given_), unique_by=id)) if given_ else []:
        roster.remove(entry)
        left.remove(entry)
    inside = [entry for entry in left if belongs(entry, room)]
    summary = summarize(roster.members(room))
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
        if (count := sum(entry.transport == name for entry in inside))
    }
    shown = summary.first(2)
    assert [user for user, _, _ in shown] == sorted({entry.user for entry in inside})[:2]
    for user, roles, count in shown:
        mine = [entry for entry in inside if entry.user == user]
        assert set(roles) == {role for entry in mine for role in entry.roles}
        assert count == len(mine)


def test_what_was_added_can_be_removed_without_a_trace() -> None:
    roster = Roster()
    twins = [Entry("1", "s", "sse", ("ADMIN",), ("topic:a",)) for _ in range(2)]
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
        Entry("2", "s", "sse", ("ADMIN",), ("topic:a",)),
        Entry("1", "t", "sse", ("ADMIN",), ("topic:a",)),
        Entry("1", "s", "plain", ("ADMIN",), ("topic:a",)),
        Entry("1", "s", "sse", (), ("topic:a",)),
        Entry("1", "s", "sse", ("ADMIN",), ()),
        Entry("1", "s", "sse", ("ADMIN",), ("topic:a",), node="n"),
    ],
)
def test_an_entry_that_differs_in_anything_is_another(other: Entry) -> None:
    assert not Entry("1", "s", "sse", ("ADMIN",), ("topic:a",)).same(other)


def test_a_reconnect_within_the_grace_shows_nothing() -> None:
    watch = Watch(GRACE, [Entry("1", "s", "sse")])
    watch.begin()
    watch.went("1", 100.0)
    assert watch.due(104.9) == []
    assert watch.came("1", ()) is None
    assert watch.due(200.0) == []


def test_who_stays_away_is_said_to_have_gone_once_with_the_roles_it_came_with() -> None:
    watch = Watch(GRACE, [])
    watch.begin()
    assert watch.came("1", ("ADMIN",)) == News("1", ("ADMIN",), True)
    assert watch.came("1", ()) is None
    watch.went("1", 100.0)
    watch.went("1", 103.0)
    assert watch.due(105.0) == [News("1", ("ADMIN",), False)]
    assert watch.due(300.0) == []
    watch.went("1", 300.0)
    assert watch.due(400.0) == []


def test_who_never_came_does_not_leave() -> None:
    watch = Watch(GRACE, [])
    watch.went("1", 100.0)
    assert watch.due(200.0) == []


class Watchers(RuleBasedStateMachine):
    """Watchers keep a list from what they are told. It must be right whenever nobody's grace runs."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.online: set[str] = {"1"}
        self.watch = Watch(GRACE, [Entry("1", "s", "sse")])
        self.lists: list[tuple[int, set[str]]] = []
        self.gone_at: dict[str, float] = {}

    def tell(self, news: News | None) -> None:
        for number, known in self.lists:
            if news and news.first <= number:
                assert not (news.came and news.user in known), "told what was known already"
                (known.add if news.came else known.discard)(news.user)

    @rule()
    def somebody_asks(self) -> None:
        self.lists.append((self.watch.begin(), set(self.online)))

    @rule(user=st.sampled_from(USERS))
    def comes(self, user: str) -> None:
        self.online.add(user)
        self.gone_at.pop(user, None)
        self.tell(self.watch.came(user, ()))

    @precondition(lambda self: self.online)
    @rule(data=st.data())
    def goes(self, data: st.DataObject) -> None:
        user = data.draw(st.sampled_from(sorted(self.online)))
        self.online.discard(user)
        self.gone_at[user] = self.now
        self.watch.went(user, self.now)

    @rule(seconds=st.sampled_from([0.5, 3.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for news in self.watch.due(self.now):
            self.tell(news)
        self.gone_at = {user: at for user, at in self.gone_at.items() if at + GRACE > self.now}

    @invariant()
    def the_lists_are_right(self) -> None:
        for _, known in self.lists:
            assert self.online <= known
            assert known - self.online <= self.gone_at.keys()


TestWatchers = Watchers.TestCase
