"""F16: nothing crosses from one tenant to another, whatever anybody does, in whatever order.

A machine of hypothesis takes the steps: tenants with the same users, roles, sessions, topics and habits
live on one hub, or on two processes and PostgreSQL, and try what they can with what is the others'. After
each step nobody has seen a secret of another tenant, on any wire, page, header, error or line of the log; in
the end everybody has seen all of their own.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, NamedTuple

import aiohttp
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hub.app import build
from hub.cluster.embedded import free_port
from hub.settings import Settings
from hub.web.routes import ROUTES
from tests.chaos import pages, posts, trespasses
from tests.chaos.lines import KINDS, SOCKETS, STREAMS
from tests.chaos.neighbours import Neighbours
from tests.chaos.scale import LONG, patience, report, scaled
from tests.chaos.tenants import TOPICS, Lookout, Tenant
from tests.living import Living

pytestmark = patience(120)

TENANTS = 3
places = st.integers(0, 11)
pairs = st.sampled_from([(a, b) for a in range(TENANTS) for b in range(TENANTS) if a != b])
names = st.sampled_from(
    ["user:42", "user:1", "role:CUSTOMER", "role:ADMIN", "tenant", "session:s1", "topic:jobs.hanoi", "own"]
)
people = st.integers(0, 3)


class Stage:
    """The same processes for all runs, on a loop that moves while a step is taken."""

    def __init__(self, runner: asyncio.Runner, hubs: Sequence[Living], lines: io.StringIO) -> None:
        self._runner = runner
        self.hubs = hubs
        self.lines = lines
        self.lookout = Lookout()
        self.steps = 0
        self.faults: list[Exception] = []

    def run(self, step: Coroutine[Any, Any, Any]) -> None:
        try:
            self._runner.run(step)
        except Exception as fault:
            self.faults.append(fault)
            raise

    def require_nothing_foreign(self) -> None:
        """Nor anybody's secrets in the log."""
        self.lookout.look("", "the log", self.lines.getvalue())
        self.lines.seek(0)
        self.lines.truncate()
        try:
            self.lookout.require_none()
        except AssertionError as fault:
            self.faults.append(fault)
            raise


class Extent(NamedTuple):
    """`runs` of at most 60 steps; the long form takes `least` steps in all."""

    database: str
    processes: int
    runs: int
    least: int


ONE = Extent("sqlite", 1, scaled(12, 200), 10_000)
TWO = Extent("postgres", 2, scaled(3, 100), 4_000)


@pytest.fixture
def stage(
    request: pytest.FixtureRequest,
    extent: Extent,
    valkey_url: str,
    prefix: str,
    log_lines: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stage]:
    # What is nobody's is waited for; no process has it.
    monkeypatch.setattr("hub.services.disconnect.PATIENCE", 0.02)
    given = Settings(
        env="test",
        database_url=request.getfixturevalue(f"{extent.database}_url"),
        redis_url=valkey_url,
        redis_prefix=prefix,
        ring_events=3,  # so that some is replayed from memory and some from SQL
        rate_limit_max_requests=100_000,
        presence_grace=0,
    )

    async def start() -> Living:
        port = free_port()
        hub = Living(await build(given.model_copy(update={"port": port})), port)
        await hub.http.close()
        hub.http = aiohttp.ClientSession(hub.url, connector=aiohttp.TCPConnector(limit=0))
        return await hub.start()

    with asyncio.Runner() as runner:
        hubs = [runner.run(start()) for _ in range(extent.processes)]
        yield Stage(runner, hubs, log_lines)
        for hub in hubs:
            runner.run(hub.stop())
        for hub in hubs:
            hub.watched.require_none()


class Isolation(RuleBasedStateMachine):
    stage: Stage

    @initialize()
    def move_in(self) -> None:
        self.stage.lookout.leaks.clear()  # of a run before, which has failed
        self.near = Neighbours(self.stage.hubs, self.stage.lookout, TENANTS)
        self.stage.run(posts.move_in(self.near))

    def both(self, pair: tuple[int, int]) -> tuple[Tenant, Tenant]:
        return self.near.tenants[pair[0]], self.near.tenants[pair[1]]

    @rule(
        pair=pairs,
        how=st.sampled_from(["notification", "mail", "event", "volatile", "batch", "row", "broadcast"]),
        to=st.lists(names, min_size=1, max_size=3, unique=True),
        exclude=st.sampled_from([[], [], ["user:1"], ["role:CUSTOMER"]]),
        type=st.sampled_from(["booking.created", "system", "parrot.spoke"]),
        door=places,
        times=st.integers(1, 4),
    )
    def send(self, pair: Any, times: int, **what: Any) -> None:
        for _ in range(times):
            self.stage.run(posts.send(self.near, self.both(pair)[0], **what))

    @rule(
        pair=pairs,
        who=people,
        kind=st.sampled_from(KINDS),
        namespace=st.sampled_from(["/", "/ws/notifications"]),
        since=st.sampled_from(["", "own", "foreign"]),
        topics=st.sampled_from([(), TOPICS[:1], TOPICS]),
        format=st.sampled_from(["", "named", "message", "envelope"]),
        how=st.sampled_from(["token", "ticket"]),
        place=places,
    )
    def connect(self, pair: Any, who: int, kind: str, since: str, how: str, place: int, **more: Any) -> None:
        tenant, other = self.both(pair)
        if kind not in SOCKETS:
            more.pop("namespace")
        elif how == "ticket" and kind == "polling":
            how = "token"  # a ticket is good for one request
        theirs = {"own": tenant.cursors, "foreign": other.cursors}.get(since)
        if theirs:
            more["cursor" if since == "own" else "foreign"] = theirs[-1 - place % len(theirs)]
        if kind in SOCKETS and place % 2:
            more["recovery"] = True
        if place % 3:
            more["named"] = other.name
        self.stage.run(self.near.connect(tenant, tenant.people[who], kind, ticket=how == "ticket", **more))

    @rule(pair=pairs, place=places)
    def drop(self, pair: Any, place: int) -> None:
        self.stage.run(self.near.drop(self.both(pair)[0], place))

    @rule(pair=pairs, place=places, away=st.booleans())
    def recover(self, pair: Any, place: int, away: bool) -> None:
        self.stage.run(trespasses.recovers(self.near, *self.both(pair), place, away=away))

    @rule(pair=pairs, place=places, topic=st.sampled_from(TOPICS), leaves=st.booleans())
    def join(self, pair: Any, place: int, topic: str, leaves: bool) -> None:
        self.stage.run(self.near.joins(self.both(pair)[0], place, topic, leaves=leaves))

    @rule(pair=pairs, place=places, name=st.none() | names)
    def count(self, pair: Any, place: int, name: str | None) -> None:
        self.stage.run(self.near.counts(self.both(pair)[0], place, name))

    @rule(pair=pairs, place=places, spelling=st.integers(0, 100))
    def ask_for_a_room(self, pair: Any, place: int, spelling: int) -> None:
        self.stage.run(trespasses.asks_for_a_room(self.near, *self.both(pair), place, spelling))

    @rule(pair=pairs, place=places)
    def refresh(self, pair: Any, place: int) -> None:
        self.stage.run(trespasses.refreshes(self.near, *self.both(pair), place))

    @rule(pair=pairs, who=people, verb=st.sampled_from(trespasses.MARKS), number=places, place=places)
    def mark(self, pair: Any, who: int, verb: str, number: int, place: int) -> None:
        tenant, other = self.both(pair)
        person = tenant.people[who]
        self.stage.run(trespasses.marks(self.near, tenant, other, person, verb, number, place))

    @rule(pair=pairs, who=people, page=st.sampled_from(pages.USER_PAGES), place=places)
    def read(self, pair: Any, who: int, page: str, place: int) -> None:
        tenant, other = self.both(pair)
        self.stage.run(pages.reads(self.near, tenant, other, tenant.people[who], page, place))

    @rule(pair=pairs, page=st.sampled_from(pages.ADMIN_PAGES), place=places)
    def administer(self, pair: Any, page: str, place: int) -> None:
        self.stage.run(pages.administers(self.near, *self.both(pair), page, place))

    @rule(pair=pairs, place=places)
    def meddle(self, pair: Any, place: int) -> None:
        self.stage.run(trespasses.meddles(self.near, *self.both(pair), place))

    @rule(pair=pairs, spelling=st.integers(0, 100))
    def name_another(self, pair: Any, spelling: int) -> None:
        self.stage.run(trespasses.names_another(self.near, *self.both(pair), spelling))

    @rule(pair=pairs, place=places)
    def look_up(self, pair: Any, place: int) -> None:
        self.stage.run(posts.looks_up(self.near, self.both(pair)[0], place))

    @rule(pair=pairs)
    def deliver(self, pair: Any) -> None:
        self.stage.run(posts.delivers(self.near, self.both(pair)[0]))

    @rule(pair=pairs)
    def schedule(self, pair: Any) -> None:
        self.stage.run(posts.schedule(self.near, *self.both(pair)))

    @rule(pair=pairs)
    def use_the_same_key(self, pair: Any) -> None:
        self.stage.run(posts.same_key(self.near, *self.both(pair)))

    @invariant()
    def nothing_foreign_was_seen(self) -> None:
        self.stage.steps += 1
        self.stage.require_nothing_foreign()

    def teardown(self) -> None:
        try:
            self.stage.run(posts.settle(self.near))
            self.nothing_foreign_was_seen()
        finally:
            self.stage.run(self.near.move_out())


def test_no_page_and_no_stream_is_left_out() -> None:
    read = {page.partition("?")[0] for page in (*pages.USER_PAGES, *pages.ADMIN_PAGES)}
    read = {path.replace("/review.created/inApp", "/{type}/{channel}") for path in read}
    read = {path.replace("/customer.created", "/{type}") for path in read}
    streams = {"/ws/notifications", *STREAMS}
    single = {
        *("/notifications/{id}", "/notifications/{id}/timeline", "/admin/notifications/{id}/timeline"),
        # Whose they are has tests of its own.
        *("/notifications/preferences", "/admin/preferences"),
        *("/me/push-subscriptions", "/me/push-subscriptions/key"),
    }
    served = {route.path for route in ROUTES if route.method == "GET" and route.access in ("user", "admin")}
    assert read | streams | single == served


@pytest.mark.parametrize(
    "extent",
    [
        pytest.param(ONE, id="one process"),
        pytest.param(TWO, id="two processes and PostgreSQL", marks=pytest.mark.postgres),
    ],
)
def test_nothing_crosses_from_one_tenant_to_another(stage: Stage, extent: Extent) -> None:
    def machine() -> Isolation:
        made = Isolation()
        made.stage = stage
        return made

    taken = settings(
        max_examples=extent.runs,
        stateful_step_count=60,
        derandomize=not LONG,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # what was found is told at once; to take it apart costs minutes
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(machine, settings=taken)
    except Flaky as flaky:  # the steps are repeated, and it was a matter of time
        raise next(iter(stage.faults), flaky) from None
    report(f"F16, {extent.processes} on {extent.database}", steps=stage.steps, looks=stage.lookout.looks)
    if LONG:
        assert stage.steps >= extent.least
