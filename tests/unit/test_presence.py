"""When somebody has come or gone: against a model, without a clock."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hub.domain.presence import News, Watch

USERS = ("1", "2", "3")
GRACE = 5.0


def test_a_reconnect_within_the_grace_shows_nothing() -> None:
    watch = Watch(GRACE, [("1", ())])
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
        self.watch = Watch(GRACE, [("1", ())])
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
