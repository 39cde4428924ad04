"""One delivery, from its claim to what is written down about it. On SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from hub.cluster.embedded import free_port
from hub.domain.delivery import Status
from hub.domain.timing import RETRY_AFTER_SPREAD
from hub.providers.receipt import Permanent, Receipt, Temporary
from hub.providers.smtp import Smtp
from tests.deliverers import LEASE, World
from tests.mailservers import HANG, LOOPBACK, TAKE_AND_RESET, MailServer


def smtp(server: MailServer, *, timeout: float = 5.0) -> Smtp:
    return Smtp(LOOPBACK, server.port, sender="Hub <hub@mail.example>", timeout=timeout)


# -- the good way ------------------------------------------------------------------------------------
async def test_a_delivery_is_sent_once_and_watchers_are_told(world: World) -> None:
    [id] = await world.put("42")
    assert await world.deliver().send(id) is Status.SENT
    [message] = world.provider.sent
    assert (message.id, message.address, message.subject) == (
        id,
        "42@example.org",
        "Your Booking is Confirmed!",
    )
    assert "Sea Inn" in message.text
    delivery = await world.delivery(id)
    assert (delivery.status, delivery.attempts, delivery.error, delivery.due_at) == (
        Status.SENT,
        1,
        None,
        None,
    )
    assert (delivery.provider, delivery.maybe_duplicate) == ("scripted", False)
    [update] = world.updates
    assert (update.id, update.notification, update.user, update.status) == (id, world.event_id, "42", "sent")


async def test_a_second_message_for_the_same_delivery_does_nothing(world: World) -> None:
    [id] = await world.put("42")
    deliver = world.deliver()
    assert await deliver.send(id) is Status.SENT
    assert await deliver.send(id) is None
    assert len(world.provider.sent) == len(world.updates) == 1


async def test_of_many_workers_with_one_delivery_one_sends(world: World) -> None:
    [id] = await world.put("42")
    results = await asyncio.gather(*(world.deliver().send(id) for _ in range(30)))
    assert [result for result in results if result] == [Status.SENT]
    assert len(world.provider.sent) == 1


async def test_a_message_that_comes_too_early_does_nothing(world: World) -> None:
    [id] = await world.put("42", due_in=60)
    assert await world.deliver().send(id) is None
    assert await world.deliver().send("01JNOTHERE0000000000000000") is None
    assert (await world.delivery(id)).status is Status.PLANNED


async def test_the_provider_is_called_only_after_that_is_committed(world: World) -> None:
    [id] = await world.put("42")
    world.provider.go_on = asyncio.Event()
    sending = asyncio.create_task(world.deliver().send(id))
    await world.provider.called.wait()
    [attempt] = await world.deliveries.attempts(id)
    assert attempt.outcome is None
    world.pass_time(LEASE)
    [lost] = await world.backlog.recover(now=world.now)
    assert lost.status is Status.UNKNOWN
    world.provider.go_on.set()
    assert await sending is Status.SENT


# -- what goes wrong ---------------------------------------------------------------------------------
async def test_what_is_put_off_is_tried_again_later_and_then_sent(
    world: World, mail_server: MailServer
) -> None:
    [id] = await world.put("42")
    provider = smtp(mail_server)
    deliver = world.deliver(providers={"email": provider})
    mail_server.say("451 4.3.0 later")
    assert await deliver.send(id) is Status.FAILED
    delivery = await world.delivery(id)
    assert delivery.error == "451 4.3.0 later"
    assert delivery.due_at == world.now + timedelta(seconds=10)
    assert delivery.update.status == "retrying"

    assert await deliver.send(id) is None
    world.pass_time(10)
    assert await deliver.send(id) is Status.SENT
    delivery = await world.delivery(id)
    assert (delivery.attempts, delivery.error, delivery.maybe_duplicate) == (2, None, False)
    assert [attempt.outcome for attempt in await world.deliveries.attempts(id)] == ["temporary", "sent"]
    assert len(mail_server.mails) == 1
    assert [update.status for update in world.updates] == ["retrying", "sent"]
    await provider.close()


async def test_what_is_refused_for_good_is_dead_at_once(world: World, mail_server: MailServer) -> None:
    [id] = await world.put("42")
    mail_server.say("550 5.1.1 no such user", at="RCPT")
    assert await world.deliver(providers={"email": smtp(mail_server)}).send(id) is Status.DEAD
    delivery = await world.delivery(id)
    assert (delivery.error, delivery.attempts, delivery.due_at) == ("550 5.1.1 no such user", 1, None)
    world.pass_time(1e6)
    assert await world.deliver().send(id) is None


async def test_a_server_that_is_down_is_tried_until_the_attempts_are_used_up(world: World) -> None:
    [id] = await world.put("42")
    down = Smtp(LOOPBACK, free_port(), sender="hub@mail.example", timeout=5.0)
    deliver = world.deliver(providers={"email": down}, attempts=3)
    waits = []
    while await deliver.send(id) is Status.FAILED:
        delivery = await world.delivery(id)
        assert delivery.due_at is not None
        waits.append((delivery.due_at - world.now).total_seconds())
        world.now = delivery.due_at
    delivery = await world.delivery(id)
    assert (delivery.status, delivery.attempts, waits) == (Status.DEAD, 3, [10, 20])
    assert delivery.error is not None
    assert delivery.error.startswith("given up after 3 attempts: the connection to the mail server failed")
    assert not delivery.maybe_duplicate


async def test_a_server_that_hangs_ends_in_a_retry_that_may_be_a_duplicate(
    world: World, mail_server: MailServer
) -> None:
    [id] = await world.put("42")
    provider = smtp(mail_server, timeout=0.3)
    mail_server.say(HANG)
    assert await world.deliver(providers={"email": provider}).send(id) is Status.FAILED
    delivery = await world.delivery(id)
    assert delivery.maybe_duplicate
    assert delivery.error == "no answer from the mail server within 0.3 s"


async def test_a_mail_that_was_taken_without_an_answer_is_sent_again_and_marked(
    world: World, mail_server: MailServer
) -> None:
    [id] = await world.put("42")
    provider = smtp(mail_server)
    deliver = world.deliver(providers={"email": provider})
    mail_server.say(TAKE_AND_RESET)
    assert await deliver.send(id) is Status.FAILED
    world.pass_time(60)
    assert await deliver.send(id) is Status.SENT
    assert (await world.delivery(id)).maybe_duplicate
    assert world.updates[-1].maybe_duplicate
    first, second = mail_server.mails
    assert first.message["Message-ID"] == second.message["Message-ID"]
    await provider.close()


async def test_a_worker_that_died_in_the_call_is_followed_by_a_marked_resend(world: World) -> None:
    [id] = await world.put("42")
    await world.claim_and_call(id)
    world.pass_time(LEASE)
    await world.backlog.recover(now=world.now)
    assert await world.deliver().send(id) is Status.SENT
    delivery = await world.delivery(id)
    assert (delivery.maybe_duplicate, delivery.attempts) == (True, 2)


async def test_a_provider_that_raises_is_a_retry_and_not_a_lost_delivery(world: World) -> None:
    [id] = await world.put("42")
    world.provider.say(RuntimeError("a secret detail"))
    assert await world.deliver().send(id) is Status.FAILED
    delivery = await world.delivery(id)
    assert delivery.error == "the scripted provider failed: RuntimeError"
    assert delivery.maybe_duplicate


async def test_a_wait_the_provider_asks_for_is_kept(world: World) -> None:
    [id] = await world.put("42")
    world.provider.say(Temporary("slow down", retry_after=300))
    await world.deliver().send(id)
    due_at = (await world.delivery(id)).due_at
    assert due_at is not None
    assert 300 <= (due_at - world.now).total_seconds() <= 300 * (1 + RETRY_AFTER_SPREAD)


@pytest.mark.parametrize("answer", [Permanent("x" * 10_000), Temporary("x" * 10_000)])
async def test_a_long_story_is_cut(world: World, answer: Permanent | Temporary) -> None:
    [id] = await world.put("42")
    world.provider.say(answer)
    await world.deliver().send(id)
    assert len((await world.delivery(id)).error or "") == 500


async def test_what_a_provider_says_is_stored_whatever_is_in_it(world: World) -> None:
    refused, put_off, sent = await world.put("1", "2", "3")
    strange = "a\x00b\ud800c\r\nd"
    world.provider.say(Permanent(strange), Temporary(strange), Receipt(strange))
    deliver = world.deliver()
    results = [await deliver.send(id) for id in (refused, put_off, sent)]
    assert results == [Status.DEAD, Status.FAILED, Status.SENT]
    assert [(await world.delivery(id)).error for id in (refused, put_off)] == ["a b c d"] * 2
