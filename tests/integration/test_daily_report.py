"""The report of a day: what it says, whom it reaches, and that it comes once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hub.domain.delivery import Status, Step
from hub.domain.drafts import Contact, Draft
from hub.services.daily import Daily, When, report_id
from hub.store.people import People
from hub.store.stats import Statistics
from hub.store.tenants import Tenants
from tests.deliverers import START, World

DAY = START.date()
SAID = """\
Notifications: 3
- booking.confirmed: 2
- payment.received: 1
Deliveries: 4
- email: 2 planned, 1 dead, 1 sent
Dead letters: 1
Most frequent errors:
- 1 x 550 no such user
Waiting now: 2, the oldest since 2026-11-20T10:00:00.000Z"""


class Sent:
    """Stands where drafts are sent; each id once, as the log takes it."""

    def __init__(self) -> None:
        self.drafts: dict[str, Draft] = {}

    async def release(self, id: str, draft: Draft) -> None:
        self.drafts.setdefault(id, draft)


def daily(world: World, sent: Sent, *, hour: int | None = 7, zone: str = "UTC") -> Daily:
    return Daily(
        Tenants(world.db),
        Statistics(world.db),
        People(world.db),
        world.log,
        release=sent.release,
        clock=world.clock,
        when=When(hour, ZoneInfo(zone)),
    )


async def a_day(world: World) -> None:
    boss = Contact(user="boss", email="boss@example.org", roles=("ADMIN",))
    await world.people.put("acme", boss, now=world.now)
    dead, sent = await world.put("1", "2")
    await world.put("3")
    await world.put("4", event={"type": "payment.received"})
    await world.finish(
        dead, await world.claim_and_call(dead), Step(status=Status.DEAD, error="550 no such user")
    )
    await world.finish(sent, await world.claim_and_call(sent), Step(status=Status.SENT))


async def test_admins_are_told_of_yesterday_once_whatever_number_of_workers_asks(world: World) -> None:
    sent = Sent()
    await a_day(world)
    world.now = datetime(2026, 11, 21, 6, 59, tzinfo=UTC)
    assert await daily(world, sent).run() == 0
    world.pass_time(60)
    assert await daily(world, sent, hour=None).run() == 0
    await asyncio.gather(*(daily(world, sent).run() for _ in range(5)))
    [(id, draft)] = sent.drafts.items()
    assert id == report_id("acme", DAY)
    assert (draft.type, draft.to, draft.title) == (
        "report.daily",
        ("role:ADMIN",),
        "Daily report of acme, 2026-11-20",
    )
    assert draft.message == SAID


async def test_a_report_that_stands_in_the_log_is_not_made_again(world: World) -> None:
    sent = Sent()
    await a_day(world)
    world.pass_time(86_400)
    await world.put(event={"id": report_id("acme", DAY)})
    assert await daily(world, sent).run() == 0
    assert await daily(world, sent).send("acme", DAY, again=True)
    assert len(sent.drafts) == 1


async def test_who_cannot_be_reached_and_who_has_nothing_to_hear_gets_none(world: World) -> None:
    sent = Sent()
    await world.put("1")
    world.pass_time(86_400)
    assert await daily(world, sent).run() == 0  # no admin has an address
    boss = Contact(user="boss", discord_webhook="https://discord.com/api/webhooks/1/x", roles=("ADMIN",))
    await world.people.put("acme", boss, now=world.now)
    await world.people.put("quiet", boss, now=world.now)
    await Tenants(world.db).create("quiet", now=world.now)
    assert await daily(world, sent).run() == 1
    assert [draft.tenant for draft in sent.drafts.values()] == ["acme"]


async def test_the_day_is_that_of_the_zone(world: World) -> None:
    sent = Sent()
    await a_day(world)  # at 10:00 UTC: 17:00 in Hanoi
    here = daily(world, sent, zone="Asia/Ho_Chi_Minh")
    assert "Notifications: 3" in await here.text("acme", DAY)
    world.now = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)  # the 21st there
    assert here.yesterday() == DAY
    assert daily(world, sent).yesterday() == date(2026, 11, 19)
    assert json.dumps(await here.text("acme", DAY - timedelta(days=1))).count("Notifications: 0") == 1
