"""Web push in a real browser, as far as one goes that has no push service behind it.

Chromium's own `pushManager.subscribe` never answers here, so that one call is made up, with keys as a browser
makes them; the question for leave, the service worker, its notification and what the hub is told are real.
What a push service would have decrypted is handed to the worker by the browser's own debugger.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import Browser, CDPSession

from hub.settings import DEVELOPMENT_KEY
from tests.browser.client_page import ClientPage, open_page
from tests.hubs import HubCluster, token_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
TENANT, USER = "pushed", "42"
SHOWN = """async () => {
  const [worker] = await navigator.serviceWorker.getRegistrations();
  return (await worker.getNotifications()).map(({ title, body, tag, data }) => ({ title, body, tag, data }));
}"""


def subscription() -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    keys = {"p256dh": _text(point), "auth": _text(secrets.token_bytes(16))}
    return {"endpoint": f"https://push.example/{secrets.token_hex(8)}", "keys": keys}


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


async def pushed(page: ClientPage, site: str, payload: dict[str, Any]) -> None:
    """The browser's worker gets a push."""
    debugger: CDPSession = await page.page.context.new_cdp_session(page.page)
    known: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def registered(event: dict[str, Any]) -> None:
        for one in event["registrations"]:
            if not known.done():
                known.set_result(one["registrationId"])

    debugger.on("ServiceWorker.workerRegistrationUpdated", registered)
    await debugger.send("ServiceWorker.enable")
    id = await asyncio.wait_for(known, 20)
    push = {"origin": site, "registrationId": id, "data": json.dumps(payload)}
    await debugger.send("ServiceWorker.deliverPushMessage", push)


async def outbox(hub: HubCluster) -> list[dict[str, Any]]:
    """What the hub would have pushed."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{hub.nodes[0].url}/dev/outbox", headers={"Accept": "application/json"}) as answer,
    ):
        found: list[dict[str, Any]] = await answer.json()
    return [message for message in found if message["channel"] == "webpush"]


async def test_a_browser_subscribes_and_shows_what_is_pushed(
    running_hub: HubCluster, browser: Browser
) -> None:
    site, mine = running_hub.nodes[0].url, subscription()
    made_up = f"""PushManager.prototype.subscribe = async (options) => {{
        window.asked = options;
        return {{ toJSON: () => ({json.dumps(mine)}) }};
    }}"""
    context = await browser.new_context(permissions=["notifications"])
    page = await open_page(context, site, token_for(TENANT, USER), before=made_up)
    await page.online()
    await page.get("client.push.subscribe()")
    key = await page.get("asked.applicationServerKey")
    assert (len(key), await page.get("asked.userVisibleOnly")) == (87, True)

    headers = {"Authorization": f"Bearer {DEVELOPMENT_KEY}", "X-Tenant-Id": TENANT}
    body = {"type": "system", "to": f"user:{USER}", "title": "Hello", "channels": ["webpush"]}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{site}/notifications", json=body) as answer,
    ):
        assert answer.status == 202, await answer.text()
    async with asyncio.timeout(20):
        while not (sent := await outbox(running_hub)):
            await asyncio.sleep(0.05)
    assert sent[0]["userId"] == USER

    payload = {
        "id": "n1",
        "type": "system",
        "title": "Hello",
        "message": "Ana booked",
        "link": "/bookings/17",
    }
    await pushed(page, site, payload)
    async with asyncio.timeout(20):
        while not (shown := await page.get(SHOWN)):
            await asyncio.sleep(0.05)
    assert shown == [{"title": "Hello", "body": "Ana booked", "tag": "n1", "data": {"link": "/bookings/17"}}]
    await context.close()
