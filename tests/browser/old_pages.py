"""Pages of old programs in a browser: served on an origin of their own, or as a part of the hub's site.

The pages reach the hub under the addresses that are written into them. `Visit` keeps what a page logs.
Knows no client's code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from playwright.async_api import ConsoleMessage, Error, Page, Response

from hub.cluster.embedded import free_port
from hub.settings import DEVELOPMENT_KEY
from tests.browser import chromium
from tests.browser.conftest import PAGES
from tests.hubs import LOOPBACK, HubCluster


@dataclass
class Visit:
    """A page of an old program. `joined` is set once the hub has said `connected` to it."""

    page: Page
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    lines: asyncio.Queue[tuple[str, Any]] = field(default_factory=asyncio.Queue)

    async def watch(self) -> None:
        self.page.on("console", self._logged)
        self.page.on("pageerror", lambda error: self.lines.put_nowait((f"pageerror {error}", None)))
        self.page.on("response", self._answered)
        wire = await self.page.context.new_cdp_session(self.page)
        wire.on("Network.webSocketFrameReceived", lambda told: self._heard(told["response"]["payloadData"]))
        wire.on(
            "Network.eventSourceMessageReceived",
            lambda told: self._heard(f'"{told["eventName"]}" {told["data"]}'),
        )
        await wire.send("Network.enable")

    async def wait(self) -> None:
        """Until the hub has said `connected`."""
        async with asyncio.timeout(20):
            await self.joined.wait()

    async def logged(self, starts: str) -> Any:
        """The next line in the console must start like this. Returns its last argument."""
        async with asyncio.timeout(20):
            text, value = await self.lines.get()
        assert text.startswith(starts), text
        return value

    def _heard(self, text: str) -> None:
        if '"connected"' in text:
            self.joined.set()

    async def _answered(self, response: Response) -> None:
        if "transport=polling" in response.url and not self.joined.is_set():
            try:
                self._heard(await response.text())
            except Error:
                return  # a poll that was given up in favour of the WebSocket has no body

    async def _logged(self, line: ConsoleMessage) -> None:
        self.lines.put_nowait((line.text, await line.args[-1].json_value() if line.args else None))


@asynccontextmanager
async def opened(hub: HubCluster, built: Path, token: str, *, silent: bool = False) -> AsyncIterator[Visit]:
    """The built page in a browser, connected to the hub. `silent`: it is on a stream that does not say so."""
    port = free_port()
    app = web.Application()

    async def index(_: web.Request) -> web.FileResponse:
        return web.FileResponse(built / "index.html")

    app.router.add_get("/", index)
    app.router.add_static("/", built)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    hosts = {PAGES.removeprefix("http://"): port}
    hosts |= dict.fromkeys(("localhost:3000", "localhost:8000"), hub.nodes[0].port)
    try:
        async with chromium.launch(hosts) as browser:
            visit = Visit(await browser.new_page())
            await visit.watch()
            for name in ("access_token", "accessToken"):
                await visit.page.add_init_script(f"localStorage.setItem('{name}', '{token}')")
            await visit.page.goto(PAGES)
            if not silent:
                await visit.wait()
            yield visit
    finally:
        await runner.cleanup()


@asynccontextmanager
async def embedded(hub: HubCluster, built: Path, token: str | None) -> AsyncIterator[Visit]:
    """The built page as a part of the hub's own site, where the token is a cookie; not connected yet.

    So it looks to a browser when a proxy serves the pages and the hub under one name.
    """
    site = hub.nodes[0].url
    async with chromium.launch() as browser:
        visit = Visit(await browser.new_page())
        await visit.watch()
        if token is not None:
            cookie = {"name": "access_token", "value": token, "url": site, "httpOnly": True}
            await visit.page.context.add_cookies([cookie])  # type: ignore[list-item]
        await visit.page.route(f"{site}/dashboard", lambda route: route.fulfill(path=built / "index.html"))
        await visit.page.route(
            f"{site}/assets/*",
            lambda route: route.fulfill(path=built / "assets" / route.request.url.rpartition("/")[2]),
        )
        await visit.page.goto(f"{site}/dashboard")
        yield visit


async def post(hub: HubCluster, tenant: str, kind: str, to: str, **data: str) -> dict[str, Any]:
    """Accepts a notification as a backend would. Returns the answer."""
    body = {"tenantId": tenant, "type": kind, "to": to, "data": data, "channels": ["inApp"]}
    headers = {"Authorization": f"Bearer {DEVELOPMENT_KEY}"}
    address = f"{hub.nodes[0].url}/notifications"
    async with aiohttp.ClientSession(headers=headers) as http, http.post(address, json=body) as answer:
        assert answer.status == 202, await answer.text()
        accepted: dict[str, Any] = await answer.json()
        return accepted
