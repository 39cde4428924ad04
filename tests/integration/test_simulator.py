"""The simulator: what its script does to requests, what its ledger tells, and that its callbacks are genuine.

The twins' own rules are proven by the contract tests of the providers, which speak to them by the real SDKs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from resend import Webhooks
from sendgrid.helpers.eventwebhook import EventWebhook
from twilio.request_validator import RequestValidator

from hub.cluster.embedded import free_port
from hub.simulator import gateway, resend, sendgrid, signing, twilio
from hub.simulator.script import OK, Script, Word
from hub.simulator.server import Simulator
from tests.launched import Launched

SMS = {"to": "+84900000000", "text": "hello", "key": gateway.KEY, "reference": "d1"}


# -- the script --------------------------------------------------------------------------------------
def test_words_come_in_their_order_and_then_all_is_well() -> None:
    script = Script(["429:1.5", "500*2", "hang"])
    assert [script.next() for _ in range(5)] == [
        Word("429", 429, 1.5),
        *[Word("500", 500)] * 2,
        Word("hang"),
        OK,
    ]


def test_a_word_for_ever_stays_until_it_is_forgotten() -> None:
    script = Script(["503*", "reset"])
    assert [script.next().name for _ in range(3)] == ["reset", "503", "503"]
    script.clear()
    assert script.next() == OK


@pytest.mark.parametrize("word", ["", "soon", "200", "429:", "429:x", "ok*x", "700"])
def test_what_is_no_word_changes_nothing(word: str) -> None:
    script = Script()
    with pytest.raises(ValueError, match="a word is"):
        script.say("reset", word)
    assert script.next() == OK


# -- faults and the ledger ---------------------------------------------------------------------------
async def test_each_fault_is_what_a_client_meets_and_the_ledger_knows_what_was_taken(
    simulator: Simulator,
) -> None:
    simulator.say("gateway", "429:2", "reset", "accept-reset", "hang")
    async with aiohttp.ClientSession() as http:

        async def send() -> Any:
            async with http.post(f"{simulator.url}/sms", json=SMS, timeout=short) as answer:
                return answer.status, answer.headers.get("Retry-After"), await answer.json()

        short = aiohttp.ClientTimeout(total=10)
        assert (await send())[:2] == (429, "2")
        for _ in ("reset", "accept-reset"):
            with pytest.raises(aiohttp.ClientConnectionError):
                await send()
        short = aiohttp.ClientTimeout(total=0.2)
        with pytest.raises(TimeoutError):
            await send()
        assert (await send())[2] == {"code": "100", "id": "sms-2"}
    words = [(entry.word, entry.answer, entry.taken) for entry in simulator.ledger.of("gateway")]
    assert words == [
        ("429", 429, False),
        ("reset", 0, False),
        ("accept-reset", 200, True),
        ("hang", 0, False),
        ("ok", 200, True),
    ]
    assert simulator.ledger.accepts() == {"d1": 2}


async def test_scripts_and_ledger_are_reached_by_http_from_any_process(simulator: Simulator) -> None:
    async with aiohttp.ClientSession(simulator.url) as http:
        assert (await http.post("/script/nobody", data="500")).status == 404
        assert (await http.post("/script/gateway", data="nonsense")).status == 400
        assert (await http.post("/script/gateway", data="500, 503")).status == 204
        assert [(await http.post("/sms", json=SMS)).status for _ in range(3)] == [500, 503, 200]
        state = await (await http.get("/")).json()
        assert state["accepts"] == {"d1": 1}
        assert [entry["answer"] for entry in state["requests"]] == [500, 503, 200]
        page = await (await http.get("/", headers={"Accept": "text/html"})).text()
        assert "+84900000000" in page
        assert (await http.delete("/")).status == 204
        assert (await (await http.get("/")).json())["requests"] == []


# -- callbacks ---------------------------------------------------------------------------------------
class Hub:
    """Where callbacks arrive: each request as the URL, headers and body it came with."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.came: list[tuple[str, Any, bytes]] = []
        self.answers: list[int] = []

    async def hear(self, request: web.Request) -> web.Response:
        self.came.append((f"{self.url}{request.path_qs}", request.headers, await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 204)


@pytest_asyncio.fixture
async def hub_stand_in() -> Any:
    port = free_port()
    hub = Hub(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_post("/providers/{provider}/{what}", hub.hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield hub
    await runner.cleanup()


async def test_callbacks_have_the_signatures_that_the_providers_own_code_accepts(
    simulator: Simulator, hub_stand_in: Hub
) -> None:
    simulator.point_webhooks(hub_stand_in.url)
    status = f"{hub_stand_in.url}/providers/twilio/status?delivery=d1"
    mail = {
        "personalizations": [{"to": [{"email": "ana@example.org"}], "custom_args": {"delivery": "d2"}}],
        "from": {"email": "hub@example.org"},
        "subject": "s",
        "content": [{"type": "text/plain", "value": "t"}],
    }
    other = {"from": "hub@example.org", "to": "bob@example.org", "subject": "s", "text": "t"}
    other |= {"tags": [{"name": "delivery", "value": "d3"}]}  # type: ignore[dict-item]
    simulator.say("sendgrid", "bounced")
    async with aiohttp.ClientSession(simulator.url) as http:
        path = simulator.twilio.paths[0].format(account=twilio.ACCOUNT)
        form = {"To": "+84900000000", "From": twilio.NUMBER, "Body": "b", "StatusCallback": status}
        login = {"Authorization": aiohttp.encode_basic_auth(twilio.ACCOUNT, twilio.TOKEN)}
        assert (await http.post(path, data=form, headers=login)).status == 201
        bearer = {"Authorization": f"Bearer {sendgrid.KEY}"}
        assert (await http.post("/v3/mail/send", json=mail, headers=bearer)).status == 202
        bearer = {"Authorization": f"Bearer {resend.KEY}"}
        assert (await http.post("/emails", json=other, headers=bearer)).status == 200
    await simulator.ledger.until(lambda ledger: len(ledger.callbacks) == 6)
    assert {said.answer for said in simulator.ledger.callbacks} == {204}
    assert {(said.event, said.deliveries) for said in simulator.ledger.callbacks} == {
        *(("sent", ("d1",)), ("delivered", ("d1",))),
        *(("processed", ("d2",)), ("bounce", ("d2",))),
        *(("email.sent", ("d3",)), ("email.delivered", ("d3",))),
    }
    checked = 0
    for url, headers, body in hub_stand_in.came:
        if "twilio" in url:
            signature = headers["X-Twilio-Signature"]
            assert RequestValidator(twilio.TOKEN).validate(url, twilio.read(body), signature)
            assert not RequestValidator("another").validate(url, twilio.read(body), signature)
        elif "sendgrid" in url:
            check = EventWebhook(signing.SENDGRID_PUBLIC_KEY).verify_signature
            signature = headers["X-Twilio-Email-Event-Webhook-Signature"]
            assert check(body.decode(), signature, headers["X-Twilio-Email-Event-Webhook-Timestamp"])
            assert not check(body.decode() + " ", signature, "0")
        else:
            names = ("id", "timestamp", "signature")
            given: Any = {name: headers[f"svix-{name}"] for name in names}
            secret = signing.RESEND_SECRET
            Webhooks.verify({"payload": body.decode(), "headers": given, "webhook_secret": secret})
            with pytest.raises(ValueError):
                Webhooks.verify({"payload": "{}", "headers": given, "webhook_secret": secret})
        checked += 1
    assert checked == 6


async def test_a_callback_is_repeated_while_the_hub_is_away(simulator: Simulator, hub_stand_in: Hub) -> None:
    hub_stand_in.answers = [503]
    simulator.point_webhooks(hub_stand_in.url)
    mail = {"from": "hub@example.org", "to": "bob@example.org", "subject": "s", "text": "t"}
    async with aiohttp.ClientSession(simulator.url) as http:
        await http.post("/emails", json=mail, headers={"Authorization": f"Bearer {resend.KEY}"})
    await simulator.ledger.until(lambda ledger: len(ledger.callbacks) == 3)
    assert [(said.event, said.answer) for said in simulator.ledger.callbacks] == [
        ("email.sent", 503),
        ("email.sent", 204),
        ("email.delivered", 204),
    ]


# -- the program -------------------------------------------------------------------------------------
async def test_hub_simulate_says_where_it_is_and_how_a_hub_uses_it(tmp_path: Path) -> None:
    port = free_port()
    words = ("simulate", "--port", str(port), "--script", "gateway=503")
    with Launched(*words, directory=tmp_path) as program:
        await asyncio.to_thread(program.line, "listens on", f"http://127.0.0.1:{port}")
        await asyncio.to_thread(program.line, f"HUB_TWILIO_URL=http://127.0.0.1:{port}")
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            assert [(await http.post("/sms", json=SMS)).status for _ in range(2)] == [503, 200]


def test_a_wrong_script_is_told_and_nothing_starts(tmp_path: Path) -> None:
    with Launched("simulate", "--script", "twilio=soon", directory=tmp_path) as program:
        assert program.wait() == 2
        assert "--script twilio=soon" in program.output
