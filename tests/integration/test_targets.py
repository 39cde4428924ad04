"""No request goes where only this machine could go: not by any spelling, not by a name, not by a redirect."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from aiohttp import web

from hub.cluster.embedded import free_port
from hub.providers.apprise import ADMINS, Apprise, AppriseRefused
from hub.providers.calls import Answer, Calls
from hub.providers.gateway import Gateway
from hub.providers.receipt import Permanent, Receipt, Temporary
from hub.providers.targets import TargetRefused, Targets
from hub.simulator.server import Simulator
from tests.messages import message

FORBIDDEN = [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "//example.com/",
    "https://",
    "https:///path",
    "https://user:pass@example.com/",
    "https://example.com@127.0.0.1/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://017700000001/",
    "https://0.0.0.0/",
    "https://localhost/",
    "https://10.0.0.5/",
    "https://172.16.0.1/",
    "https://192.168.1.1:8443/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/",
    "https://[::]/",
    "https://[fe80::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fec0::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "https://224.0.0.1/",
    "https://[ff02::1]/",
    "https://255.255.255.255/",
    "https://exa mple.com/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com/\r\nHost: x",
    "https://example.com/" + "x" * 3000,
    "https://example.com:99999/",
]


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_no_request_goes_there(url: str) -> None:
    calls = Calls(Targets(), timeout=5)
    outcome = await calls.ask("POST", url)
    await calls.close()
    assert isinstance(outcome, Permanent), outcome


def test_an_ordinary_url_is_let_through() -> None:
    for url in (
        "https://example.com/",
        "https://push.example.com:8443/x?y=z",
        "https://[2600::1]/",
        "https://8.8.8.8/",
    ):
        assert str(Targets().require(url))


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What names resolve to; chance and the network are held still."""
    names: dict[str, str] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        return real(names.get(host, host), port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


async def test_a_name_that_leads_inside_is_refused_when_it_is_used(
    named: dict[str, str], simulator: Simulator
) -> None:
    named["innocent.example"] = "127.0.0.1"
    calls = Calls(Targets(), timeout=5)
    port = simulator.url.rpartition(":")[2]
    outcome = await calls.ask("POST", f"https://innocent.example:{port}/sms")
    assert isinstance(outcome, Permanent)
    assert not outcome.gone  # the name may lead elsewhere tomorrow
    assert list(simulator.ledger.of()) == []
    await calls.close()


async def test_the_address_that_was_judged_is_the_one_that_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, simulator: Simulator
) -> None:
    """A name that is public when it is looked at and inside when it is connected to."""
    answers = ["192.0.2.1", "127.0.0.1"]
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != "rebound.example":
            return real(host, port, *args, **options)
        asked.append(host)
        return real(answers[min(len(asked), len(answers)) - 1], port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    port = simulator.url.rpartition(":")[2]
    calls = Calls(Targets(allowed=["192.0.2.0/24"]), timeout=0.5)
    outcome = await calls.ask("POST", f"https://rebound.example:{port}/sms")
    assert isinstance(outcome, Temporary)  # nobody is at 192.0.2.1
    assert asked == ["rebound.example"]
    assert isinstance(await calls.ask("POST", f"https://rebound.example:{port}/sms"), Permanent)
    assert list(simulator.ledger.of()) == []
    await calls.close()


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8"])
async def test_what_an_operator_names_is_allowed(simulator: Simulator, allowed: str) -> None:
    calls = Calls(Targets(allowed=[allowed]), timeout=5)
    answer = await calls.ask("GET", simulator.url)
    assert isinstance(answer, Answer)
    assert answer.status == 200
    assert isinstance(await calls.ask("GET", "http://10.0.0.1/"), Permanent)
    await calls.close()


async def test_a_named_host_is_allowed_wherever_it_leads(named: dict[str, str], simulator: Simulator) -> None:
    named["sms.internal"] = "127.0.0.1"
    calls = Calls(Targets(allowed=["sms.internal"]), timeout=5)
    answer = await calls.ask("GET", simulator.url.replace("127.0.0.1", "sms.internal"))
    assert isinstance(answer, Answer)
    await calls.close()


async def test_a_redirect_is_an_answer_and_not_followed(simulator: Simulator) -> None:
    async def away(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{simulator.url}/sms")

    app, port = web.Application(), free_port()
    app.router.add_route("*", "/", away)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    gateway = Gateway(Calls(Targets(loopback=True), timeout=5), f"http://127.0.0.1:{port}/")
    assert isinstance(await gateway.send(message("sms")), Permanent)
    assert list(simulator.ledger.of()) == []
    await gateway.close()
    await runner.cleanup()


def test_other_hosts_than_the_listed_are_refused_unless_the_operator_has_named_them() -> None:
    hosts = frozenset({"discord.com"})
    for url in ("https://example.com/", "https://discord.com.example/", "https://xdiscord.com/"):
        with pytest.raises(TargetRefused, match="none of"):
            Targets().require(url, hosts=hosts)
    assert Targets().require("https://DISCORD.com/", hosts=hosts)
    assert Targets(allowed=["proxy.example"]).require("https://proxy.example/", hosts=hosts)


# -- apprise -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", ["file:///etc/passwd", "syslog://", "dbus://", "nonsense", "nosuch://x/y"])
def test_apprise_keeps_away_from_this_machine(url: str) -> None:
    with pytest.raises(AppriseRefused, match="URL number 1"):
        Apprise([url], Targets())


async def test_apprise_reaches_no_internal_host(simulator: Simulator) -> None:
    url = simulator.url.replace("http://", "json://")
    apprise = Apprise([url], Targets())
    assert isinstance(await apprise.send(message("discord", user=ADMINS)), Permanent)
    assert list(simulator.ledger.of()) == []
    await apprise.close()


async def test_apprise_tells_every_url_and_one_that_was_reached_is_enough(simulator: Simulator) -> None:
    base = simulator.url.replace("http://", "json://")
    apprise = Apprise([f"{base}/sms", f"{base}/nowhere"], Targets(loopback=True))
    outcome = await apprise.send(message("discord", user=ADMINS, severity="error"))
    assert outcome == Temporary("Apprise reached nobody")  # 401 and 404: not the simulator's language
    [entry] = simulator.ledger.of("gateway")
    assert entry.answer == 401
    keyed = f"{base}/sms?+Authorization=Bearer%20the-simulators-gateway-key&:to=%2B84900000000&:text=x"
    second = Apprise([f"{base}/nowhere", keyed], Targets(loopback=True))
    assert await second.send(message("discord", user=ADMINS)) == Receipt("1 of 2")
    assert len(simulator.ledger.taken("gateway")) == 1
    await apprise.close()
    await second.close()


async def test_what_is_for_one_person_is_not_told_to_the_admins(simulator: Simulator) -> None:
    apprise = Apprise([simulator.url.replace("http://", "json://") + "/sms"], Targets(loopback=True))
    assert isinstance(await apprise.send(message("discord")), Permanent)
    assert list(simulator.ledger.of()) == []
    await apprise.close()
