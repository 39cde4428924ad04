"""What is not sent at all, what a database that is away cannot undo, and the sandbox."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from shutil import copytree

import pytest

from hub.domain.delivery import Status, Step
from hub.domain.errors import StoreUnavailable
from hub.providers.sandbox import Sandbox
from hub.services.deliver import MOST_LOST_CLAIMS
from hub.services.render import TEMPLATES
from hub.store.outbox import Outbox
from tests.deliverers import LEASE, World


# -- what is not sent at all -------------------------------------------------------------------------
async def test_a_template_that_fails_ends_its_delivery_and_harms_no_other(
    world: World, tmp_path: Path
) -> None:
    templates = tmp_path / "templates"
    copytree(TEMPLATES, templates)
    poison = templates / "booking.confirmed" / "email.j2"
    poison.write_text(poison.read_text().replace("has been", "{{ nights }} has been"))
    before = await world.put("1", event={"type": "payment.received"})
    [bad] = await world.put("2")
    after = await world.put("3", event={"type": "payment.received"})
    deliver = world.deliver(templates=templates)
    results = await asyncio.gather(*(deliver.send(id) for id in (*before, bad, *after)))
    assert results == [Status.SENT, Status.DEAD, Status.SENT]
    delivery = await world.delivery(bad)
    assert delivery.error == "template: booking.confirmed/email.j2, line 2: 'nights' is undefined"
    assert delivery.attempts == 0
    assert await world.deliveries.attempts(bad) == []


async def test_what_has_expired_is_skipped(world: World) -> None:
    [id] = await world.put("42", event={"expires_at": world.now + timedelta(seconds=60)})
    world.pass_time(60)
    assert await world.deliver().send(id) is Status.SKIPPED
    assert (await world.delivery(id)).reason == "expired"
    assert world.provider.sent == []
    assert (world.updates[0].status, world.updates[0].error) == ("skipped", "expired")


async def test_a_channel_that_lost_its_provider_is_skipped(world: World) -> None:
    [id] = await world.put("42", channel="sms")
    assert await world.deliver().send(id) is Status.SKIPPED
    assert (await world.delivery(id)).reason == "channel not configured"


async def test_what_was_cancelled_is_not_sent(world: World) -> None:
    [id] = await world.put("42")
    await world.deliveries.cancel_pending("acme", world.event_id, now=world.now)
    assert await world.deliver().send(id) is None
    assert world.provider.sent == []


async def test_a_delivery_that_kills_every_worker_is_given_up(world: World) -> None:
    [id] = await world.put("42")
    for _ in range(MOST_LOST_CLAIMS):
        assert await world.deliveries.claim(id, now=world.now, lease=LEASE)
        world.pass_time(LEASE)
        await world.backlog.recover(now=world.now)
    assert await world.deliver().send(id) is Status.DEAD
    assert world.provider.sent == []


async def test_a_last_attempt_whose_worker_died_is_the_last(world: World) -> None:
    [id] = await world.put("42")
    for _ in range(2):
        await world.claim_and_call(id)
        world.pass_time(LEASE)
        await world.backlog.recover(now=world.now)
    assert await world.deliver(attempts=2).send(id) is Status.DEAD
    delivery = await world.delivery(id)
    assert (delivery.error, delivery.maybe_duplicate) == ("given up after 2 attempts", True)
    assert world.provider.sent == []


# -- the database ------------------------------------------------------------------------------------
async def test_a_sent_mail_is_written_down_although_the_database_was_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    [id] = await world.put("42")
    advance, tries = world.deliveries.advance, 0

    async def away_twice(*args: object, **options: object) -> object:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise StoreUnavailable(retry_after=0.01)
        return await advance(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(world.deliveries, "advance", away_twice)
    assert await world.deliver().send(id) is Status.SENT
    assert tries == 3
    assert (await world.delivery(id)).status is Status.SENT


async def test_who_lost_the_claim_says_nothing(world: World) -> None:
    [id] = await world.put("42")
    world.provider.go_on = asyncio.Event()
    slow = asyncio.create_task(world.deliver().send(id))
    await world.provider.called.wait()
    world.pass_time(LEASE)
    await world.backlog.recover(now=world.now)
    other = await world.deliveries.claim(id, now=world.now, lease=LEASE)
    assert other is not None
    world.provider.go_on.set()
    assert await slow is None
    assert world.updates == []
    assert await world.finish(id, other.fence, Step(status=Status.SENT))


# -- the sandbox -------------------------------------------------------------------------------------
async def test_the_sandbox_keeps_what_would_have_been_sent(world: World) -> None:
    outbox = Outbox(world.db)
    deliver = world.deliver(providers={"email": Sandbox(outbox.add)})
    [first] = await world.put("1")
    await deliver.send(first)
    world.pass_time(1)
    [second] = await world.put("2")
    await deliver.send(second)
    newest, oldest = await outbox.recent(limit=10)
    assert (newest.id, oldest.id) == (second, first)
    assert (oldest.address, oldest.subject, oldest.tenant) == (
        "1@example.org",
        "Your Booking is Confirmed!",
        "acme",
    )
    assert oldest.html is not None
    assert "Sea Inn" in oldest.html
    assert [message.id for message in await outbox.recent(limit=1)] == [second]
    assert (await world.delivery(first)).provider == "sandbox"

    await outbox.add(newest)
    assert len(await outbox.recent(limit=10)) == 2
    assert await outbox.trim(before=world.now) == 1
    assert [message.id for message in await outbox.recent(limit=10)] == [second]
