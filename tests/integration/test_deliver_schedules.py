"""No schedule of events, claims, deaths, clock steps and changes of mind breaks a rule of sending.

The real store on SQLite with held time: nothing leaves in quiet hours, no budget is exceeded, and what is
sent twice was on its way when its worker died, and says so.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hub.domain.budgets import Budgets
from hub.domain.delivery import Claim, Status
from hub.domain.message import Message
from hub.domain.preferences import merged
from hub.domain.timing import Daily, quiet_until
from hub.providers.receipt import Temporary
from hub.services.render import Render
from hub.store.engine import Database
from hub.store.migrate import migrate
from tests.deliverers import LEASE, World

MOST = 3  # mails to one address a day
QUIET = {"start": "10:20", "end": "11:00", "timezone": "UTC"}  # it begins at 10:00
STEPS = st.one_of(
    st.tuples(st.just("event"), st.sampled_from(["", "d"]), st.sampled_from(["info", "critical"])),
    st.tuples(st.just("pass"), st.sampled_from([30, 600, 1800, 7200])),
    st.tuples(st.just("send"), st.integers(0, 9)),
    st.tuples(st.just("both"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("fail"), st.booleans()),
    st.tuples(st.just("die"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("quiet"), st.booleans()),
)


class Told:
    """What was sent, as the provider would know it: when, and the notifications that were in it."""

    def __init__(self, world: World, monkeypatch: Any) -> None:
        self.sent: list[tuple[datetime, bool, tuple[str, ...], bool]] = []
        self.quiet = False
        render = Render.message

        def message(renderer: Render, claim: Claim, events: Sequence[Any], now: datetime) -> Message:
            made = render(renderer, claim, events, now)
            critical = any(event.severity == "critical" for event in events)
            self.made[made.id] = (tuple(event.id for event in events), critical)
            return made

        self.made: dict[str, tuple[tuple[str, ...], bool]] = {}
        monkeypatch.setattr(Render, "message", message)
        send = world.provider.send

        async def sent(given: Message) -> Any:
            ids, critical = self.made[given.id]
            outcome = await send(given)
            self.sent.append((world.now, critical, ids, isinstance(outcome, Temporary)))
            if self.quiet and not critical:
                hours = Daily(time.fromisoformat(QUIET["start"]), time.fromisoformat(QUIET["end"]))
                assert quiet_until(hours, world.now.tzinfo, world.now) is None  # type: ignore[arg-type]
            return outcome

        world.provider.send = sent  # type: ignore[method-assign]


async def live(steps: Sequence[tuple[Any, ...]], path: Path, monkeypatch: Any) -> None:
    path.unlink(missing_ok=True)
    url = f"sqlite+aiosqlite:///{path}"
    migrate(url)
    database = await Database.open(url)
    world = World(database)
    await world.log.open()
    told = Told(world, monkeypatch)
    deliver = world.deliver(attempts=50, budgets=Budgets(per_address={"email": MOST}))
    ids: list[str] = []
    died: set[str] = set()
    try:
        for what, *given in steps:
            if what == "event":
                critical = given[1] == "critical"
                digest = None if critical else given[0] or None
                ids += await world.put("42", digest=digest, event={"severity": given[1]})
            elif what == "pass":
                world.pass_time(given[0])
            elif what == "fail":
                world.provider.say(Temporary("busy", retry_after=60, unsure=given[0]))
            elif what == "quiet":
                wish = QUIET if given[0] else None
                await world.preferences.change(
                    "acme", "42", lambda said, wish=wish: merged(said, {"quietHours": wish}), now=world.now
                ) if ids else None
                told.quiet = given[0] and bool(ids)
            elif ids and what in ("send", "both"):
                await asyncio.gather(*(deliver.send(ids[place % len(ids)]) for place in given))
            elif ids:
                claim = await world.deliveries.claim(ids[given[0] % len(ids)], now=world.now, lease=LEASE)
                if claim is not None and given[1]:
                    draw = deliver._draw(claim, world.now)
                    await world.deliveries.start_call(
                        claim.id, claim.fence, provider="scripted", now=world.now, draw=draw
                    )
                    died |= {event.id for event in claim.items}  # counted when they were called
                world.pass_time(LEASE)
                await world.backlog.recover(now=world.now)
        world.provider.answers.clear()
        for _ in range(8):  # everything comes to its end
            world.pass_time(7200)
            await world.backlog.recover(now=world.now)
            for id in ids:
                await deliver.send(id)
        states = {one.event_id: one for one in await world.all(*ids)} if ids else {}
        assert all(one.status in (Status.SENT, Status.SKIPPED) for one in states.values())
        taken = Counter(event for _, _, events, failed in told.sent if not failed for event in events)
        assert set(taken.values()) <= {1}
        assert set(taken) == {event for event, one in states.items() if one.status is Status.SENT}
        firsts: Counter[Any] = Counter()
        before = set(died)
        for at, _, events, _ in told.sent:
            firsts[at.date()] += before.isdisjoint(events)
            before |= set(events)
        assert max(firsts.values(), default=0) <= MOST
    finally:
        await world.log.close()
        await database.close()


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@example([("event", "d", "info")] * 3 + [("both", 0, 1), ("fail", True), ("send", 2)])
@given(st.lists(STEPS, min_size=4, max_size=16))
def test_no_schedule_breaks_a_rule(tmp_path: Path, monkeypatch: Any, steps: list[tuple[Any, ...]]) -> None:
    with monkeypatch.context() as patch:
        asyncio.run(live(steps, tmp_path / "hub.db", patch))
