"""The demo page as its visitor sees it: opened as somebody, and the few things one does there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urljoin

import aiohttp
from playwright.async_api import Browser, Locator, Page, expect

from hub.settings import DEVELOPMENT_KEY

SHARED = frozenset(
    {"tenant", "notice", "booking-type", "booking-guest", "post", "answer"}
    | {"delivery", "letter", "mail", "mail-body", "mail-close"}
)
"""What stands on the page once; everything else is there for each person."""

OF_THE_BELL = frozenset({"bell", "badge", "inbox", "notifications", "mark-all", "inbox-empty"})


class DemoPage:
    """The page, and the person on one `side` of it."""

    def __init__(self, page: Page, side: str = "left") -> None:
        self.page = page
        self.pane = page.get_by_test_id(side)

    def part(self, name: str) -> Locator:
        # The elements share names of parts: what is meant without saying more is the bell's.
        within = self.pane.locator("hub-bell") if name in OF_THE_BELL else self.pane
        return (self.page if name in SHARED else within).get_by_test_id(name)

    def note(self, id: str) -> Locator:
        """A notification in the open bell."""
        return self.part("inbox").locator(f'[data-id="{id}"]')

    @property
    def unread(self) -> Locator:
        return self.part("inbox").locator(".unread")

    @property
    def events(self) -> Locator:
        """What the live list shows, newest first."""
        return self.part("event")

    async def is_in_state(self, status: str) -> None:
        await expect(self.part("state")).to_have_attribute("data-status", status)

    async def send(self, kind: str = "booking.created", guest: str | None = None) -> str:
        """Sends a booking by the form. Returns the id it was given."""
        await self.part("booking-type").select_option(kind)
        if guest is not None:
            await self.part("booking-guest").select_option(guest)
        async with self.page.expect_response("**/dev/demo/booking") as answered:
            await self.part("post").click()
        accepted: dict[str, Any] = await (await answered.value).json()
        return str(accepted["id"])

    async def notify(self, to: str, **content: str) -> str:
        """A notification to the app alone, as a backend of the visited hotel sends it. Returns its id."""
        tenant = await self.part("tenant").input_value()
        body = {"tenantId": tenant, "type": "system", "to": to, "channels": ["inApp"], **content}
        headers = {"Authorization": f"Bearer {DEVELOPMENT_KEY}"}
        address = urljoin(self.page.url, "/notifications")
        async with aiohttp.ClientSession(headers=headers) as http, http.post(address, json=body) as answer:
            assert answer.status == 202, await answer.text()
            return str((await answer.json())["id"])

    def event(self, id: str) -> Locator:
        return self.pane.locator(f'[data-testid="event"][data-id="{id}"]')

    async def ids(self) -> list[str]:
        found: list[str] = await self.events.evaluate_all("rows => rows.map(row => row.dataset.id)")
        return found


@asynccontextmanager
async def visit(
    browser: Browser,
    url: str,
    *,
    tenant: str,
    user: str,
    other: str = "nobody",
    transport: str = "socketio",
    **context: Any,
) -> AsyncIterator[DemoPage]:
    """The page, online, with nothing unread. At the end no script may have failed in it."""
    await read_everything(url, tenant, user)
    surroundings = await browser.new_context(**context)
    page = await surroundings.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
    asked = {"tenant": tenant, "user": user, "other": other, "transport": transport}
    await page.goto(f"{url}/?{urlencode(asked)}")
    demo = DemoPage(page)
    await demo.is_in_state("online")
    try:
        yield demo
    finally:
        await surroundings.close()
    assert not faults, faults


async def token_of(url: str, tenant: str, user: str) -> str:
    """The token the demo hands out."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/dev/demo") as answer:
        people = await answer.json()
    [token] = [
        person["token"]
        for hotel in people["tenants"]
        for person in hotel["users"]
        if (hotel["id"], person["id"]) == (tenant, user)
    ]
    return str(token)


async def read_everything(url: str, tenant: str, user: str) -> None:
    headers = {"Authorization": f"Bearer {await token_of(url, tenant, user)}"}
    address = f"{url}/notifications/read-all"
    async with aiohttp.ClientSession(headers=headers) as http, http.patch(address) as answer:
        assert answer.status == 200, await answer.text()
