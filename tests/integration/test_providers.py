"""What every provider that speaks HTTP promises, by its real SDK over HTTP: outcomes, time, and what arrives.

One table of answers for all of them; what only one of them does is below it, or in a file of its own.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
import pytest
import pytest_asyncio

from hub.cluster.embedded import free_port
from hub.domain.message import Message
from hub.providers import resend, sendgrid, twilio, vapid
from hub.providers.answers import MAX_RETRY_AFTER, seconds
from hub.providers.calls import Calls
from hub.providers.discord import Discord
from hub.providers.gateway import Gateway, GatewayMisconfigured
from hub.providers.receipt import Outcome, Permanent, Provider, Receipt, Temporary
from hub.providers.targets import Targets
from hub.providers.threads import Threads
from hub.providers.webpush import WebPush
from hub.simulator import gateway as gateway_twin
from hub.simulator import resend as resend_twin
from hub.simulator import sendgrid as sendgrid_twin
from hub.simulator import twilio as twilio_twin
from hub.simulator.server import Simulator
from tests.messages import ID, message

SENDER = "Hub <hub@example.com>"
LOOPBACK = Targets(loopback=True)
PRIVATE = vapid.generate()
GATEWAY_BODY = '{"to": {{ to | tojson }}, "text": {{ text | tojson }}, "reference": {{ id | tojson }}}'
NAMES = ("sendgrid", "resend", "twilio", "gateway", "discord", "webpush")


def make(name: str, url: str, *, timeout: float = 10.0, **options: Any) -> Provider:
    """A provider of the hub, at the simulator's."""
    calls = Calls(LOOPBACK, timeout=timeout)
    if name == "sendgrid":
        return sendgrid.SendGrid(sendgrid_twin.KEY, sender=SENDER, url=url, timeout=timeout)
    if name == "resend":
        return resend.Resend(resend_twin.KEY, sender=SENDER, url=url, timeout=timeout)
    if name == "twilio":
        account, token = twilio_twin.ACCOUNT, options.pop("token", twilio_twin.TOKEN)
        number = options.pop("sender", twilio_twin.NUMBER)
        given = {"callback": f"{url}/status", **options}
        return twilio.Twilio(account, token, sender=number, url=url, timeout=timeout, **given)
    if name == "gateway":
        headers = {"Authorization": f"Bearer {gateway_twin.KEY}"}
        given: dict[str, Any] = {"headers": headers, "body": GATEWAY_BODY, "success": 'json.code == "100"'}
        given["id"] = "json.id"
        return Gateway(calls, f"{url}/sms", **{**given, **options})
    if name == "discord":
        return Discord(calls)
    return WebPush(calls, PRIVATE, subject="mailto:ops@example.com")


@dataclass
class Line:
    """A provider, its simulator, and a message that the two understand."""

    provider: Provider
    simulator: Simulator
    message: Message

    @property
    def name(self) -> str:
        return self.provider.name

    async def send(self, **changes: Any) -> Outcome:
        return await self.provider.send(replace(self.message, **changes))


Open = Callable[..., Line]


def _message(name: str, simulator: Simulator) -> Message:
    channel = {"sendgrid": "email", "resend": "email", "twilio": "sms", "gateway": "sms"}.get(name, name)
    changes: dict[str, Any] = {}
    if name == "discord":
        changes["address"] = f"{simulator.url}/api/webhooks/1/token"
    if name == "webpush":
        changes["address"] = orjson.dumps(simulator.subscribe()).decode()
    return message(channel, **changes)


@pytest_asyncio.fixture
async def open_line(simulator: Simulator) -> AsyncIterator[Open]:
    lines: list[Line] = []

    def open_line(name: str, **options: Any) -> Line:
        url = options.pop("url", simulator.url)
        lines.append(Line(make(name, url, **options), simulator, _message(name, simulator)))
        return lines[-1]

    yield open_line
    for line in lines:
        await line.provider.close()


# -- all of them -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
async def test_a_message_is_taken_and_the_receipt_names_it(open_line: Open, name: str) -> None:
    line = open_line(name)
    outcome = await line.send()
    assert isinstance(outcome, Receipt), outcome
    [entry] = line.simulator.ledger.taken(name)
    assert outcome.provider_id == entry.id
    assert entry.deliveries == (ID,)
    assert "Hello Ana." in str(entry.message)


@pytest.mark.parametrize("name", NAMES)
async def test_each_answer_is_called_by_its_name(open_line: Open, name: str) -> None:
    line = open_line(name)
    line.simulator.say(name, "500", "503:7", "408", "422")
    outcomes = [await line.send() for _ in range(4)]
    assert [type(outcome) for outcome in outcomes] == [Temporary, Temporary, Temporary, Permanent]
    for outcome in outcomes[:3]:
        assert isinstance(outcome, Temporary)
        assert not outcome.unsure
    assert [outcome.retry_after for outcome in outcomes[:2]] == [None, 7]  # type: ignore[union-attr]
    assert line.simulator.ledger.taken() == []


@pytest.mark.parametrize("name", NAMES)
async def test_too_many_is_temporary_with_the_wait_that_was_asked_for(open_line: Open, name: str) -> None:
    line = open_line(name)
    line.simulator.say(name, "429:9")
    outcome = await line.send()
    assert isinstance(outcome, Temporary)
    assert outcome.retry_after == 9
    assert not outcome.unsure


@pytest.mark.parametrize("name", NAMES)
async def test_what_breaks_after_the_request_has_left_is_unsure(open_line: Open, name: str) -> None:
    line = open_line(name)
    line.simulator.say(name, "reset", "accept-reset")
    for taken in (0, 1):
        outcome = await line.send()
        assert isinstance(outcome, Temporary), outcome
        assert outcome.unsure
        assert len(line.simulator.ledger.taken()) == taken


@pytest.mark.parametrize("name", NAMES)
async def test_silence_ends_in_time_and_is_unsure(open_line: Open, name: str) -> None:
    line = open_line(name, timeout=0.5)
    line.simulator.say(name, "hang")
    async with asyncio.timeout(8):
        outcome = await line.send()
    assert isinstance(outcome, Temporary)
    assert outcome.unsure


@pytest.mark.parametrize("name", NAMES)
async def test_nobody_there_is_temporary_and_certain(open_line: Open, name: str) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    line = open_line(name, url=nobody)
    address = line.message.address.replace(line.simulator.url, nobody)
    outcome = await line.send(address=address)
    assert isinstance(outcome, Temporary), outcome
    assert not outcome.unsure


@pytest.mark.parametrize("name", ["sendgrid", "resend", "twilio", "gateway"])
async def test_a_wrong_key_is_temporary_for_an_operator_can_mend_it(open_line: Open, name: str) -> None:
    line = open_line(name)
    line.simulator.say(name, "401", "403")
    for _ in range(2):
        outcome = await line.send()
        assert isinstance(outcome, Temporary)
        assert not outcome.unsure


@pytest.mark.parametrize("name", ["sendgrid", "resend"])
async def test_an_address_that_is_none_is_never_sent(open_line: Open, name: str) -> None:
    line = open_line(name)
    outcome = await line.send(address="ana@example.org, bob@example.org")
    assert isinstance(outcome, Permanent)
    assert list(line.simulator.ledger.of()) == []


@pytest.mark.parametrize("name", NAMES)
async def test_at_its_loudest_the_log_knows_no_address_no_text_and_no_key(
    open_line: Open, log_lines: io.StringIO, name: str
) -> None:
    line = open_line(name)
    line.simulator.say(name, "ok", "500", "422", "reset")
    for _ in range(4):
        await line.send(text="canary-text")
    said = log_lines.getvalue()
    keys = (sendgrid_twin.KEY, resend_twin.KEY, twilio_twin.TOKEN, gateway_twin.KEY, PRIVATE, "p256dh")
    for secret in ("canary-text", "ana@example.org", "+84900000000", "webhooks/1/token", *keys):
        assert secret not in said


# -- waits -------------------------------------------------------------------------------------------
def test_a_wait_is_seconds_or_a_date_and_nothing_absurd() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < (seconds(in_a_minute) or 0) <= 60
    assert [seconds(text) for text in ("2", "1.5", "0", "-3")] == [2, 1.5, 0, 0]
    assert [seconds(text) for text in (None, "", "soon", "nan", "inf")] == [None] * 5
    assert seconds("1e9") == MAX_RETRY_AFTER


async def test_a_call_that_found_no_thread_in_time_was_not_made() -> None:
    threads = Threads("crowded", most=1, timeout=0.2)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    free = asyncio.run_coroutine_threadsafe

    def wait() -> Outcome:
        free(ended.wait(), loop).result()
        return Receipt("late")

    first, second = await asyncio.gather(threads.run(wait), threads.run(lambda: Receipt("never")))
    assert (first, second) == (
        Temporary("no answer from crowded within 0.2 s", unsure=True),
        Temporary("no answer from crowded within 0.2 s", unsure=False),
    )
    ended.set()
    threads.close()


# -- mail --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["sendgrid", "resend"])
async def test_a_mail_has_both_parts_one_subject_line_and_a_way_to_unsubscribe(
    open_line: Open, name: str
) -> None:
    line = open_line(name)
    outcome = await line.send(subject="A\r\nBcc: x@example.org", unsubscribe="https://hub.example/u/t")
    assert isinstance(outcome, Receipt)
    [entry] = line.simulator.ledger.taken()
    shown = entry.message
    assert entry.to == "ana@example.org"
    assert shown["subject"] == "A Bcc: x@example.org"
    assert shown["html"] == "<p>Hello Ana.</p>"
    assert shown.get("text", shown.get("plain")) == "Hello Ana."
    assert shown["headers"] == {
        "Auto-Submitted": "auto-generated",
        "List-Unsubscribe": "<https://hub.example/u/t>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


async def test_resend_sends_a_repetition_only_once(open_line: Open) -> None:
    line = open_line("resend")
    line.simulator.say("resend", "accept-reset")
    assert isinstance(await line.send(), Temporary)
    again = await line.send()
    assert isinstance(again, Receipt)
    [entry] = line.simulator.ledger.taken()
    assert again.provider_id == entry.id
    assert await line.send(text="It reads otherwise now.") == Receipt(None)
    assert len(line.simulator.ledger.taken()) == 1
    assert isinstance(await line.send(id="01JDELIVERY0000000000000BB"), Receipt)
    assert len(line.simulator.ledger.taken()) == 2


async def test_two_accounts_of_resend_in_one_process_keep_to_themselves(simulator: Simulator) -> None:
    right = resend.Resend(resend_twin.KEY, sender=SENDER, url=simulator.url)
    wrong = resend.Resend("re_wrong", sender=SENDER, url=simulator.url)
    mails = [message("email", id=f"01JDELIVERY00000000000000{n}") for n in range(8)]
    outcomes = await asyncio.gather(*((right, wrong)[n % 2].send(mail) for n, mail in enumerate(mails)))
    assert [type(outcome) for outcome in outcomes] == [Receipt, Temporary] * 4
    await right.close()
    await wrong.close()


# -- SMS ---------------------------------------------------------------------------------------------
async def test_twilio_is_told_where_to_say_what_becomes_of_a_message(open_line: Open) -> None:
    callback = "https://hub.example/providers/twilio/status"
    line = open_line("twilio", callback=callback)
    long = "x" * 2000
    assert isinstance(await line.send(text=long), Receipt)
    [entry] = line.simulator.ledger.taken()
    assert entry.message["text"] == f"{long[:1599]}…"
    assert entry.deliveries == (ID,)


@pytest.mark.parametrize("number", ["+15005550001", "+15005550004", "+15005550009"])
async def test_a_number_that_will_never_do_is_gone(open_line: Open, number: str) -> None:
    outcome = await open_line("twilio").send(address=number)
    assert isinstance(outcome, Permanent)
    assert outcome.gone


async def test_what_is_our_fault_in_a_message_is_permanent_and_the_number_is_not_gone(
    open_line: Open,
) -> None:
    outcome = await open_line("twilio", sender="+15005550000").send()
    assert isinstance(outcome, Permanent)
    assert not outcome.gone


async def test_a_gateway_may_want_a_form_and_say_no_with_200(open_line: Open) -> None:
    body = '{"key": "KEY", "to": {{ number | tojson }}, "text": {{ text | tojson }}}'
    body = body.replace("KEY", gateway_twin.KEY)
    options: dict[str, Any] = {"headers": {}, "body": body, "format": "form"}
    line = open_line("gateway", **options, retry='json.code == "105"')
    assert await line.send(text='"quoted" & ünïcode') == Receipt("sms-1")
    [entry] = line.simulator.ledger.taken()
    assert (entry.to, entry.message["text"]) == ("84900000000", '"quoted" & ünïcode')
    refusal = await line.send(address="+1")
    assert isinstance(refusal, Permanent)
    assert '"104"' in refusal.reason
    assert isinstance(await line.send(text=" "), Temporary)


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": "{{ nobody }}"},
        {"body": "no JSON"},
        {"body": "{% if %}"},
        {"body": "[]", "format": "form"},
        {"success": "status =="},
    ],
)
async def test_a_gateway_that_cannot_work_is_refused_before_it_is_used(wrong: dict[str, Any]) -> None:
    with pytest.raises(GatewayMisconfigured):
        Gateway(Calls(LOOPBACK, timeout=1), "https://sms.example/", **wrong)


async def test_templates_of_a_gateway_reach_nothing_but_the_message() -> None:
    escape = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(GatewayMisconfigured):
        Gateway(Calls(LOOPBACK, timeout=1), "https://sms.example/", body=escape)


# -- web push ----------------------------------------------------------------------------------------
async def test_a_push_is_encrypted_for_its_browser_and_signed_by_the_hub(open_line: Open) -> None:
    line = open_line("webpush")
    long = "ü😀" * 2000
    assert isinstance(await line.send(text=long, link="https://x.example/b", severity="error"), Receipt)
    [entry] = line.simulator.ledger.taken()
    payload = entry.message["payload"]
    assert set(payload) == {"id", "type", "title", "message", "link", "severity"}
    assert (payload["id"], payload["title"], payload["link"]) == (ID, "Grüße & more", "https://x.example/b")
    assert len(payload["message"]) > 500
    assert long.startswith(payload["message"].rstrip("…"))
    assert entry.message["urgency"] == "high"
    assert entry.message["topic"] == ID
    assert entry.message["subject"] == "mailto:ops@example.com"


async def test_a_subscription_that_has_ended_is_gone(open_line: Open) -> None:
    line = open_line("webpush")
    line.simulator.say("webpush", "404")
    line.simulator.webpush.unsubscribe(line.message.address.split('"')[3])
    for _ in range(2):
        outcome = await line.send()
        assert isinstance(outcome, Permanent)
        assert outcome.gone


@pytest.mark.parametrize(
    "address",
    [
        "",
        "no JSON",
        "[]",
        '{"endpoint": "https://push.example/1"}',
        '{"endpoint": "https://push.example/1", "keys": {"p256dh": "x", "auth": "y"}}',
        '{"endpoint": 7, "keys": {"p256dh": "x", "auth": "y"}}',
        '{"endpoint": "http://push.example/1", "keys": {"p256dh": "%s", "auth": "%s"}}',
    ],
)
async def test_what_is_no_subscription_is_gone_without_a_call(open_line: Open, address: str) -> None:
    line = open_line("webpush")
    keys = line.simulator.subscribe()["keys"]
    outcome = await line.send(address=address.replace("%s", keys["p256dh"], 1).replace("%s", keys["auth"]))
    assert isinstance(outcome, Permanent), outcome
    assert outcome.gone
    assert list(line.simulator.ledger.of()) == []


async def test_push_services_do_not_answer_for_each_other(open_line: Open) -> None:
    line = open_line("webpush")
    provider: Any = line.provider
    here = provider.lane(line.message.address)
    assert here == "127.0.0.1"
    assert provider.lane(line.message.address.replace(here, "push.example")) == "push.example"
    assert provider.lane("no JSON") == ""
