"""The browser client against a real hub: on every transport, through bad networks, in several tabs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from hub.settings import DEVELOPMENT_KEY
from tests.browser import bundles
from tests.browser.client_page import open_page
from tests.browser.gate import Gate
from tests.browser.old_pages import post
from tests.hubs import HubCluster, token_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
TENANT = "clients"
NO_STREAMS = "delete window.ReadableStream"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HubCluster]:
    bundles.build_pages()
    async with HubCluster(tmp_path_factory.mktemp("hub")) as cluster:
        yield cluster


async def send(hub: HubCluster, user: str, number: int) -> None:
    await post(hub, TENANT, "booking.created", f"user:{user}", n=str(number))


async def is_connected_once(hub: HubCluster, user: str) -> None:
    """Soon: a connection that was left may still be on its way out."""
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": TENANT}
    address = f"{hub.nodes[0].url}/admin/presence?room=user:{user}"
    async with asyncio.timeout(20), aiohttp.ClientSession(headers=headers) as http:
        while True:
            async with http.get(address) as answer:
                if (await answer.json())["connections"] == 1:
                    return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("shut", "rung"), [({"websocket"}, "sse"), ({"websocket", "sse"}, "polling")])
async def test_what_does_not_come_through_is_gone_around_and_tried_again_later(
    running_hub: HubCluster, browser: Browser, shut: set[str], rung: str
) -> None:
    user = f"around-{rung}"
    async with Gate(running_hub.nodes[0].port) as gate:
        gate.shut = set(shut)
        context = await browser.new_context()
        page = await open_page(context, gate.url, token_for(TENANT, user), clock=True)
        await page.online(rung)
        await send(running_hub, user, 1)
        await page.hears(1)
        gate.shut.clear()
        await page.page.clock.fast_forward(16_000)
        await page.online("socketio")
        await send(running_hub, user, 2)
        await page.hears(1, 2)
        await is_connected_once(running_hub, user)
        await context.close()


async def test_an_old_browser_reads_streams_by_tickets_and_its_own_event_source(
    running_hub: HubCluster, browser: Browser
) -> None:
    context = await browser.new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = await open_page(
        context,
        running_hub.nodes[0].url,
        token_for(TENANT, "old"),
        before=NO_STREAMS,
        transport="sse",
    )
    await page.online("sse")
    await send(running_hub, "old", 1)
    await page.hears(1)
    assert [address for address in asked if "/notifications/sse?ticket=" in address]
    assert not [address for address in asked if "token=" in address]
    await context.close()


async def test_a_killed_hub_leaves_no_hole_and_nothing_twice(
    browser: Browser, running_hub: HubCluster
) -> None:
    context = await browser.new_context()
    page = await open_page(context, running_hub.nodes[0].url, token_for(TENANT, "killed"))
    await page.online()
    await send(running_hub, "killed", 1)
    await page.hears(1)
    await running_hub.kill9(0)
    await page.wait('client.connection.status != "online"')
    await running_hub.start(0)
    await send(running_hub, "killed", 2)
    await page.wait('client.connection.status == "online"')
    await send(running_hub, "killed", 3)
    await page.hears(1, 2, 3)
    assert await page.get("client.inbox.notifications.map(({ data }) => data.n)") == ["3", "2", "1"]
    assert await page.get("client.inbox.unread") == 3
    await context.close()


async def test_two_tabs_have_one_connection_and_the_second_goes_on_when_the_first_is_closed(
    running_hub: HubCluster, browser: Browser
) -> None:
    user, site = "tabs", running_hub.nodes[0].url
    context = await browser.new_context()
    first = await open_page(context, site, token_for(TENANT, user))
    await first.online()
    second = await open_page(context, site, token_for(TENANT, user))  # another token, the same person
    await second.online()
    assert [await page.get("client.connection.role") for page in (first, second)] == ["leader", "follower"]
    await is_connected_once(running_hub, user)
    await send(running_hub, user, 1)
    for page in (first, second):
        await page.hears(1)
    answer = await second.get("client.presence.get('user:tabs')")  # through the first
    assert answer["totalOnline"] == 1
    stranger = await open_page(context, site, token_for(TENANT, "stranger"))
    await stranger.online()
    assert await stranger.get("client.connection.role") == "leader"

    await second.get("client.notifications.read(client.inbox.notifications[0].id).then(() => {})")
    await first.wait("client.inbox.unread == 0")
    await first.page.close()
    await send(running_hub, user, 2)
    await second.wait('client.connection.role == "leader" && client.connection.status == "online"')
    await send(running_hub, user, 3)
    await second.hears(1, 2, 3)
    assert await stranger.get("heard") == []
    await is_connected_once(running_hub, user)
    await context.close()


@pytest.mark.parametrize("transport", ["socketio", "sse"])
async def test_a_token_is_renewed_without_a_gap(
    running_hub: HubCluster, browser: Browser, transport: str
) -> None:
    user = f"renewed-{transport}"
    context = await browser.new_context()
    page = await open_page(
        context, running_hub.nodes[0].url, token_for(TENANT, user, seconds=62), transport=transport
    )
    await page.online(transport)
    states = "states = []; client.on('connection', ({ status }) => states.push(status))"
    await page.get(f"{states}; token = {token_for(TENANT, user)!r}; 0")
    if transport == "socketio":
        await page.wait("signals.length == 1")
        assert len(await page.get("sids")) == 1
    else:
        await page.wait("sids.length == 2")
    await send(running_hub, user, 1)
    await page.hears(1)
    assert set(await page.get("states")) == {"online"}
    await context.close()


async def test_a_page_that_was_offline_has_what_it_missed(running_hub: HubCluster, browser: Browser) -> None:
    context = await browser.new_context()
    page = await open_page(context, running_hub.nodes[0].url, token_for(TENANT, "offline"))
    await page.online()
    await context.set_offline(True)
    await page.wait('client.connection.status != "online"')
    await send(running_hub, "offline", 1)
    await context.set_offline(False)
    await page.hears(1)
    await context.close()
