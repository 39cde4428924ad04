"""Old programs' own code for Server-Sent Events, unchanged, in a browser, against a real hub.

Around each piece stands what its author's application had around it. Where the author wrote `...` for what
goes without saying, the test says it; nothing else in a piece is touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import expect

from hub.settings import DEVELOPMENT_KEY
from tests.browser import bundles
from tests.browser.bundles import bundle, snippet
from tests.browser.conftest import PAGES
from tests.browser.old_pages import embedded, opened, post
from tests.hubs import HubCluster, token_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
BACKEND = {"Authorization": f"Bearer {DEVELOPMENT_KEY}"}

HOOK_PAGE = """
import { QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { BookingDashboard, useSSE } from "./hooks/use-sse";

globalThis.toast = { success: (text) => console.log("toast", text) };
let fetched = 0;
const heard = (event) => console.log("heard", event);

function Bookings() {
  const { data } = useQuery({ queryKey: ["booking"], queryFn: () => ++fetched });
  return <output>{data}</output>;
}

function NotificationCenter() {
  useSSE({ endpoint: "/sse/notifications", onMessage: heard });
  return null;
}

createRoot(document.getElementById("root")).render(
  <QueryClientProvider client={new QueryClient()}>
    <Bookings /><PART />
  </QueryClientProvider>
);
"""
COMPOSABLE_PAGE = """
import { createApp, h, ref } from "vue";

const notifications = ref([]);
const isConnected = ref(false);
const useToast = () => ({ add: (toast) => console.log("toast", toast) });
const eventSource = new EventSource("/sse/notifications?tenantId=6");
SNIPPET
createApp({
  render: () => h("section", [
    h("output", String(isConnected.value)),
    h("ol", notifications.value.map((n) => h("li", { "data-id": n.id }, n.title))),
  ]),
}).mount("#root");
"""
ELIDED = (
    (
        "if (data.type === 'connected') { ... }",
        "if (data.type === 'connected') { isConnected.value = true; return }",
    ),
    ("if (data.type === 'ping') { ... }", "if (data.type === 'ping') { console.log('ping'); return }"),
    ("{ title, description, ... }", "{ title: data.title, description: data.message }"),
)
CENTER_PAGE = """
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

const utils = { notifications: { unread: { invalidate: () => console.log("invalidated") } } };

function NotificationCenter() {
  const [notifications, setNotifications] = useState([]);
  SNIPPET
  return (
    <ol>
      {notifications.map((n) => (
        <li key={n.id} data-id={n.id} data-read={String(n.isRead)}><a href={n.actionUrl}>{n.title}</a></li>
      ))}
    </ol>
  );
}

createRoot(document.getElementById("root")).render(<NotificationCenter />);
"""
REACT = {"tsconfig.json": '{"compilerOptions": {"jsx": "react-jsx"}}'}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HubCluster]:
    """A hub whose streams show life often."""
    bundles.install()
    env = {"CORS_ORIGIN": PAGES, "SSE_HEARTBEAT_INTERVAL": "500"}
    async with HubCluster(tmp_path_factory.mktemp("hub"), env=env) as cluster:
        yield cluster


async def broadcast(hub: HubCluster, tenant: int, notification: dict[str, Any]) -> dict[str, Any]:
    """As the hook of an old content management system does it."""
    address = f"{hub.nodes[0].url}/api/sse/broadcast"
    body = {"tenantId": tenant, "notification": notification}
    async with aiohttp.ClientSession(headers=BACKEND) as http, http.post(address, json=body) as answer:
        assert answer.status == 202, await answer.text()
        accepted: dict[str, Any] = await answer.json()
        return accepted


async def online(hub: HubCluster, tenant: str) -> int:
    """How many connections the tenant has; none while nobody has heard of it."""
    headers = {**BACKEND, "X-Tenant-Id": tenant}
    address = f"{hub.nodes[0].url}/admin/presence"
    async with aiohttp.ClientSession(headers=headers) as http, http.get(address) as answer:
        if answer.status == 404:
            return 0
        assert answer.status == 200, await answer.text()
        return int((await answer.json())["connections"])


async def test_the_hook_of_seed_000_toasts_bookings_and_refetches(
    running_hub: HubCluster, tmp_path: Path
) -> None:
    tenant = "seed-000"
    files = {
        "main.tsx": HOOK_PAGE.replace("PART", "BookingDashboard"),
        "hooks/use-sse.ts": snippet("000_use-sse.ts"),
        **REACT,
    }
    built = await bundle(tmp_path, files, {"process.env.NEXT_PUBLIC_API_URL": "http://localhost:3000"})
    async with opened(running_hub, built, token_for(tenant, "owner", "ADMIN"), silent=True) as visit:
        await expect(visit.page.locator("output")).to_have_text("1")
        async with asyncio.timeout(20):
            while not await online(running_hub, tenant):
                await asyncio.sleep(0.02)
        await post(running_hub, tenant, "payment.failed", "role:ADMIN")
        await post(running_hub, tenant, "booking.updated", "role:ADMIN")
        await post(running_hub, tenant, "booking.created", "role:ADMIN", guestName="Ana")
        assert await visit.logged("toast") == "New booking from Ana"
        await expect(visit.page.locator("output")).to_have_text("3")  # once for each booking
        assert visit.lines.empty()


async def test_the_hook_of_seed_000_hears_notifications(running_hub: HubCluster, tmp_path: Path) -> None:
    tenant, user = "seed-000", "guest"
    files = {
        "main.tsx": HOOK_PAGE.replace("PART", "NotificationCenter"),
        "hooks/use-sse.ts": snippet("000_use-sse.ts"),
        **REACT,
    }
    built = await bundle(tmp_path, files, {"process.env.NEXT_PUBLIC_API_URL": "http://localhost:3000"})
    async with opened(running_hub, built, token_for(tenant, user)) as visit:
        assert (await visit.logged("heard"))["type"] == "connected"
        sent = await post(running_hub, tenant, "PAYMENT_RECEIVED", f"user:{user}", amount="10")
        while (heard := await visit.logged("heard"))["type"] == "ping":
            pass
        assert (heard["id"], heard["type"]) == (sent["id"], "payment.received")
        assert (heard["isRead"], heard["data"]) == (False, {"amount": "10"})


async def test_the_composable_of_seed_001_lists_what_is_broadcast_to_its_tenant(
    running_hub: HubCluster, tmp_path: Path
) -> None:
    code = snippet("001_useNotifications.ts")
    for written, meant in ELIDED:
        assert code.count(written) == 1
        code = code.replace(written, meant)
    built = await bundle(tmp_path, {"main.ts": COMPOSABLE_PAGE.replace("SNIPPET", code)}, {})
    row = {"id": 71, "type": "booking_created", "title": "New booking", "message": "Bounce house, Saturday"}
    async with embedded(running_hub, built, token_for("6", "staff")) as visit:
        await expect(visit.page.locator("output")).to_have_text("true")
        await visit.logged("ping")
        await broadcast(running_hub, 7, {**row, "title": "Of somebody else"})
        sent = await broadcast(running_hub, 6, row)
        await expect(visit.page.locator(f'li[data-id="{sent["id"]}"]')).to_have_text("New booking")
        while not isinstance(toast := await visit.logged(""), dict):
            pass  # pings
        assert toast == {"title": "New booking", "description": "Bounce house, Saturday"}
        await expect(visit.page.locator("li")).to_have_count(1)


async def test_the_effect_of_seed_004_fills_the_list(running_hub: HubCluster, tmp_path: Path) -> None:
    tenant, user = "seed-004", "26"
    files = {"main.tsx": CENTER_PAGE.replace("SNIPPET", snippet("004_NotificationCenter.tsx")), **REACT}
    built = await bundle(tmp_path, files, {})
    async with embedded(running_hub, built, token_for(tenant, user)) as visit:
        await visit.wait()
        first = await post(running_hub, tenant, "session_created", f"user:{user}", studio="A")
        await visit.logged("invalidated")
        row = visit.page.locator(f'li[data-id="{first["id"]}"]')
        await expect(row).to_have_attribute("data-read", "false")
        second = await post(running_hub, tenant, "test", f"user:{user}")
        await visit.logged("invalidated")
        ids = await visit.page.locator("li").evaluate_all("rows => rows.map(row => row.dataset.id)")
        assert ids == [second["id"], first["id"]]
        assert visit.lines.empty()


async def test_the_effect_of_seed_004_gives_up_without_a_session(
    running_hub: HubCluster, tmp_path: Path
) -> None:
    files = {"main.tsx": CENTER_PAGE.replace("SNIPPET", snippet("004_NotificationCenter.tsx")), **REACT}
    built = await bundle(tmp_path, files, {})
    async with embedded(running_hub, built, None) as visit:
        await visit.logged("Failed to load resource: the server responded with a status of 401")
        await visit.logged("[SSE] Connection error, retrying...")
        assert visit.lines.empty()
