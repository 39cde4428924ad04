"""`hub simulate`: the providers' twins on a port, and what a hub needs to know to use them.

`environment` is that knowledge as settings. Does not start a hub.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from hub.commands.start import Fault

DEFAULT_PORT = 8025
_GATEWAY_BODY = '{"to": {{ to | tojson }}, "text": {{ text | tojson }}, "reference": {{ id | tojson }}}'


def simulate(
    port: Annotated[int, typer.Option("--port", help="Port to listen on, on loopback.")] = DEFAULT_PORT,
    hub: Annotated[
        str | None, typer.Option("--hub", help="The hub's URL, for callbacks of SendGrid and Resend.")
    ] = None,
    script: Annotated[
        list[str] | None,
        typer.Option("--script", help="Faults, for example twilio=429:2,500*3; may be repeated."),
    ] = None,
) -> None:
    """Run the simulator of providers: Twilio, SendGrid, Resend, Discord, an SMS gateway, a push service."""
    from hub.serve import PortBusy, require_free_port

    try:
        require_free_port("127.0.0.1", port)
    except PortBusy as busy:
        raise Fault(str(busy).replace("HUB_PORT", "--port")) from None
    asyncio.run(_run(port, hub, script or []))


async def _run(port: int, hub: str | None, scripts: list[str]) -> None:
    from hub.serve import when_asked_to_stop
    from hub.simulator.server import Simulator

    simulator = Simulator(hub_url=hub)
    for text in scripts:
        provider, _, words = text.partition("=")
        try:
            simulator.say(provider, *words.split(","))
        except KeyError:
            raise Fault(f"--script {text}: there is no provider {provider}", code=2) from None
        except ValueError as fault:
            raise Fault(f"--script {text}: {fault}", code=2) from None
    stop = asyncio.Event()
    when_asked_to_stop(stop.set)
    await simulator.open(port)
    typer.echo(f"the simulator listens on {simulator.url}; its ledger is the page there")
    for name, value in environment(simulator.url).items():
        typer.echo(f"{name}={value}")
    try:
        await stop.wait()
    finally:
        await simulator.close()


def environment(url: str) -> dict[str, str]:
    """The settings of a hub whose providers are all simulated at `url`."""
    from hub.simulator import gateway, resend, sendgrid, signing, twilio

    return {
        "EMAIL_FROM": "Hub <hub@simulated.example>",
        "SENDGRID_API_KEY": sendgrid.KEY,
        "HUB_SENDGRID_URL": url,
        "HUB_SENDGRID_WEBHOOK_KEY": signing.SENDGRID_PUBLIC_KEY,
        "RESEND_API_KEY": resend.KEY,
        "HUB_RESEND_WEBHOOK_SECRET": signing.RESEND_SECRET,
        "HUB_RESEND_URL": url,
        "TWILIO_ACCOUNT_SID": twilio.ACCOUNT,
        "TWILIO_AUTH_TOKEN": twilio.TOKEN,
        "TWILIO_PHONE_NUMBER": twilio.NUMBER,
        "HUB_TWILIO_URL": url,
        "HUB_SMS_GATEWAY_URL": f"{url}/sms",
        "HUB_SMS_GATEWAY_HEADERS": f'{{"Authorization": "Bearer {gateway.KEY}"}}',
        "HUB_SMS_GATEWAY_BODY": _GATEWAY_BODY,
        "HUB_SMS_GATEWAY_SUCCESS": 'json.code == "100"',
        "HUB_SMS_GATEWAY_ID": "json.id",
        "HUB_VAPID_SUBJECT": "mailto:simulated@example.com",
        "HUB_EMAIL_PROVIDERS": "sendgrid,resend",
        "HUB_SMS_PROVIDERS": "twilio,gateway",
        "HUB_DISCORD_PROVIDERS": "discord",
        "DISCORD_WEBHOOK_URL": f"{url}/api/webhooks/1/simulated",
        "HUB_WEBPUSH_PROVIDERS": "webpush",
    }
