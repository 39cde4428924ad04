"""The page that shows the API, in a real browser: it loads from the hub alone, and requests can be tried."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.hubs import HubCluster

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_api_is_shown_and_tried_without_another_host(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    page = await browser.new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    await page.goto(f"{url}/docs")
    await expect(page.get_by_role("heading", name="Realtime hub")).to_be_visible()
    await expect(page.locator(".authorize.locked")).to_be_visible()  # signed in
    for tag, operation, status in (
        ("Sending", "sendNotification", "202"),
        ("Notifications", "listNotifications", "200"),
        ("Admin", "listKeys", "200"),
    ):
        shown = page.locator(f"#operations-{tag}-{operation}")
        await shown.locator(".opblock-summary-control").click()
        await shown.get_by_role("button", name="Execute").click()
        answer = shown.locator(".live-responses-table .response-col_status").last
        await expect(answer).to_contain_text(status)
    await page.close()
    hosts = {urlsplit(address).netloc for address in asked if not address.startswith("data:")}
    assert hosts == {urlsplit(url).netloc}
    assert not faults, faults
