"""What a browser's own EventSource does with the hub's streams: when it stops, and how it comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request

from hub.settings import DEVELOPMENT_KEY
from tests.browser import chromium
from tests.browser.old_pages import post
from tests.hubs import HubCluster, token_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
TENANT, USER = "native", "u1"
CANONICAL, MESSAGES, BOOKINGS, ENVELOPES = PATHS = (
    "/notifications/sse",
    "/sse/notifications",
    "/sse/bookings",
    "/api/notifications/stream",
)
# What the page keeps of a stream, and a promise for what a test waits for.
LISTEN = """
(address) => {
  const heard = { ids: [], sids: [], errors: [], opened: 0 };
  const source = new EventSource(address);
  const hear = (event) => {
    const data = JSON.parse(event.data);
    if (data.sid) heard.sids.push(data.sid);
    const shown = data.type === "notification" ? data.data : data;
    if (shown.data && shown.data.n) heard.ids.push(shown.data.n);
  };
  for (const name of ["message", "connected", "booking.created"]) source.addEventListener(name, hear);
  source.onopen = () => heard.opened++;
  source.onerror = () => heard.errors.push(source.readyState);
  Object.assign(window, { heard, source });
}
"""
COMING_BACK, CLOSED = 0, 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HubCluster]:
    """A hub whose readers wait a second before they come back."""
    async with HubCluster(tmp_path_factory.mktemp("hub"), env={"HUB_SSE_RETRY_MS": "1000"}) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(running_hub: HubCluster) -> AsyncIterator[Browser]:
    async with chromium.launch() as running:
        yield running


@asynccontextmanager
async def page_of(
    hub: HubCluster, browser: Browser, *, cookie: str | None = None
) -> AsyncIterator[tuple[Page, list[Request]]]:
    """An empty page of the hub's site, and every request it makes for a stream."""
    site = hub.nodes[0].url
    context = await browser.new_context()
    if cookie is not None:
        await context.add_cookies([{"name": "access_token", "value": cookie, "url": site}])
    page = await context.new_page()
    await page.route(f"{site}/empty", lambda route: route.fulfill(body="<!doctype html>"))
    await page.goto(f"{site}/empty")
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url != f"{site}/empty" else None)
    try:
        yield page, asked
    finally:
        await context.close()


async def call(hub: HubCluster, method: str, path: str, headers: dict[str, str]) -> Any:
    address = f"{hub.nodes[0].url}{path}"
    async with aiohttp.ClientSession(headers=headers) as http, http.request(method, address) as answer:
        assert answer.ok, await answer.text()
        return await answer.json() if answer.status == 200 else None


async def cut(hub: HubCluster, sid: str) -> None:
    """End a connection from outside."""
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": TENANT}
    await call(hub, "POST", f"/admin/connections/{sid}/disconnect", headers)


@pytest.mark.parametrize("path", PATHS)
async def test_a_401_stops_it_for_good(running_hub: HubCluster, browser: Browser, path: str) -> None:
    async with page_of(running_hub, browser) as (page, asked):
        await page.evaluate(LISTEN, f"{path}?token=nonsense")
        await page.wait_for_function("heard.errors.length > 0")
        assert await page.evaluate("[heard.errors, source.readyState]") == [[CLOSED], CLOSED]
        assert len(asked) == 1


@pytest.mark.parametrize("place", ["token", "cookie"])
@pytest.mark.parametrize("path", [CANONICAL, MESSAGES])
async def test_it_comes_back_by_itself_and_misses_nothing(
    running_hub: HubCluster, browser: Browser, path: str, place: str
) -> None:
    user = f"{USER}-{place}-{path.count('s')}"
    token = token_for(TENANT, user)
    cookie = token if place == "cookie" else None
    async with page_of(running_hub, browser, cookie=cookie) as (page, asked):
        await page.evaluate(LISTEN, path if cookie else f"{path}?token={token}")
        await page.wait_for_function("heard.sids.length == 1")
        await post(running_hub, TENANT, "booking.created", f"user:{user}", n="1")
        await page.wait_for_function("heard.ids.length == 1")
        await cut(running_hub, await page.evaluate("heard.sids[0]"))
        for number in ("2", "3"):
            await post(running_hub, TENANT, "booking.created", f"user:{user}", n=number)
        await page.wait_for_function("heard.sids.length == 2")
        await post(running_hub, TENANT, "booking.created", f"user:{user}", n="4")
        await page.wait_for_function("heard.ids.length == 4")
        assert await page.evaluate("heard.ids") == ["1", "2", "3", "4"]
        assert len(asked) == 2


@pytest.mark.parametrize("path", [BOOKINGS, ENVELOPES])
async def test_it_comes_back_also_where_nothing_was_heard_yet(
    browser: Browser, tmp_path: Path, path: str
) -> None:
    """The place alone is kept by the browser, before there was any event."""
    token = token_for(TENANT, USER)
    env = {"HUB_SSE_LIFETIME": "1", "HUB_SSE_RETRY_MS": "1000"}
    async with (
        HubCluster(tmp_path, env=env) as hub,
        page_of(hub, browser) as (page, _),
    ):
        await page.evaluate(LISTEN, f"{path}?token={token}")
        await page.wait_for_function("heard.errors.length == 1")
        await post(hub, TENANT, "booking.created", f"user:{USER}", n="1")
        await page.wait_for_function("heard.ids.length == 1")
        assert await page.evaluate("heard.errors") == [COMING_BACK]


async def test_a_ticket_in_the_address_does_not_bring_it_back(
    running_hub: HubCluster, browser: Browser
) -> None:
    headers = {"Authorization": f"Bearer {token_for(TENANT, 'ticketed')}"}
    ticket = (await call(running_hub, "POST", "/auth/ticket", headers))["ticket"]
    async with page_of(running_hub, browser) as (page, asked):
        await page.evaluate(LISTEN, f"{CANONICAL}?ticket={ticket}")
        await page.wait_for_function("heard.sids.length == 1")
        await cut(running_hub, await page.evaluate("heard.sids[0]"))
        await page.wait_for_function(f"source.readyState == {CLOSED}")
        assert len(asked) == 2
        answer = await asked[1].response()
        assert answer is not None
        assert answer.status == 401
