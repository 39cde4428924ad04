"""An empty page of the hub's site with the client by a script tag, and what a test sees of it."""

from __future__ import annotations

import json
from typing import Any

from playwright.async_api import BrowserContext, Page

HTML = """<!doctype html><link rel="icon" href="data:,"><script src="/static/hub.js"></script>
<script>
window.start = (options) => {
  const client = new Hub.HubClient({ getToken: () => window.token, ...options });
  const heard = [], sids = [], signals = [];
  client.on("event", (event) => heard.push(Number(event.data.n)));
  client.on("connected", ({ sid }) => sids.push(sid));
  client.on("auth:refreshed", () => signals.push("auth:refreshed"));
  Object.assign(window, { client, heard, sids, signals });
  client.connect();
};
</script>"""


class ClientPage:
    def __init__(self, page: Page) -> None:
        self.page = page

    async def wait(self, expression: str) -> None:
        """Until it is true."""
        await self.page.wait_for_function(expression, timeout=20_000)

    async def online(self, transport: str = "socketio") -> None:
        await self.wait(
            f'client.connection.status == "online" && client.connection.transport == "{transport}"'
        )

    async def hears(self, *numbers: int) -> None:
        """These, in this order, and no others."""
        await self.wait(f"heard.length >= {len(numbers)}")
        assert await self.page.evaluate("heard") == list(numbers)

    async def get(self, expression: str) -> Any:
        return await self.page.evaluate(expression)


async def open_page(
    context: BrowserContext, site: str, token: str, *, before: str = "", clock: bool = False, **options: Any
) -> ClientPage:
    """Started with `options`. `before` runs first of all; `clock`: its time can be moved."""
    page = await context.new_page()
    if clock:
        await page.clock.install()
    if before:
        await page.add_init_script(before)
    await page.route(f"{site}/empty", lambda route: route.fulfill(body=HTML, content_type="text/html"))
    await page.goto(f"{site}/empty")
    await page.evaluate(f"window.token = {json.dumps(token)}; start({json.dumps(options)})")
    return ClientPage(page)
