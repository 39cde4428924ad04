"""Old programs' own client code, unchanged, in a browser, against a real hub.

The pages stand on their own origin and reach the hub under the addresses that are written into them. Only
the placeholder for a token is replaced.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.bundles import SEEDS, bundle, snippet
from tests.browser.old_pages import opened, post
from tests.hubs import HubCluster, token_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLACEHOLDER = "your-jwt-token"
UNCHANGED = {
    "000_use-sse.ts": "b0da674d4183fbb74c30d67f007b5025382fd1916097a6852060eab44f4e55eb",
    "001_useNotifications.ts": "37884fcea3eeaaa055f45ae96474097f2835a4f3ed383c8f9b98da6cbdbe7d5c",
    "002_eventsource.js": "cab348295365f55f6037ee39f5117568a9ea58043074beddb0b1e61d143d8c89",
    "002_socketio.js": "11ee19366175d353d0a63bf1fa1fe4771c858ec3adf5afe90e9e4a117cbd2fdf",
    "003_NotificationBell.css": "4f81f54b7a424a1a65d81c5e2e11e54751afa2f592e4a9f1d474e4febc64da81",
    "003_NotificationBell.tsx": "b4d3acf5ba7b4c6d77aafd4149b347166bae1b387e17eef11ef3b6433acf1ad6",
    "003_notification.service.ts": "f6271aa1118f06efd3c6f01d9b917a873051cfb864991dfcaa0e20e6e2f2024e",
    "003_useNotifications.ts": "37cccb7fceda42afa946a36f6b57fa345e83ff98b4988b5bed3f70732a3ef301",
    "004_NotificationCenter.tsx": "dafe664ffe4e4c7970fa7daa05384ae3f736d57dcafbda1b4aa6415221dfa287",
}
REACT_PAGE = """
import { createRoot } from "react-dom/client";
import { NotificationBell } from "./components/NotificationBell";
import { useNotifications } from "./hooks/useNotifications";

function Live() {
  const { notifications, unreadCount } = useNotifications();
  return (
    <section>
      <output>{unreadCount}</output>
      <ol>
        {notifications.map((n) => <li key={n.id} data-id={n.id} data-read={String(n.read)}>{n.title}</li>)}
      </ol>
    </section>
  );
}

createRoot(document.getElementById("root")).render(<><Live /><NotificationBell /></>);
"""


@pytest.mark.parametrize("name", UNCHANGED)
async def test_the_code_is_as_its_author_wrote_it(name: str) -> None:
    assert hashlib.sha256(snippet(name).encode()).hexdigest() == UNCHANGED[name]
    assert {path.name for path in SEEDS.iterdir()} == set(UNCHANGED)


@pytest.mark.parametrize(
    ("name", "opening"),
    [
        ("002_socketio.js", "Connected to notification service"),
        ("002_eventsource.js", "SSE connection opened"),
    ],
)
async def test_the_handlers_of_seed_002_get_their_events(
    running_hub: HubCluster, tmp_path: Path, name: str, opening: str
) -> None:
    tenant, user = "seed-002", f"pro-{Path(name).suffix}-{name[4:7]}"
    token = token_for(tenant, user, "PROFESSIONAL")
    code = snippet(name)
    assert code.count(PLACEHOLDER) == 1
    built = await bundle(tmp_path, {"main.js": code.replace(PLACEHOLDER, token)}, {})
    async with opened(running_hub, built, token) as visit:
        await visit.logged(opening)
        for kind, starts in (
            ("booking.created", "New booking:"),
            ("review.created", "New review:"),
            ("job.nearby", "Nearby job:"),
        ):
            sent = await post(running_hub, tenant, kind, f"user:{user}", about=starts)
            envelope = await visit.logged(starts)
            assert envelope["id"] == sent["id"]
            assert envelope["cursor"] == sent["cursor"]
            assert envelope["data"] == {"about": starts}
            assert envelope["tenantId"] == tenant
        assert visit.lines.empty()


async def test_the_react_code_of_seed_003_shows_counts_and_reads(
    running_hub: HubCluster, tmp_path: Path
) -> None:
    tenant, user = "seed-003", "student-7"
    token = token_for(tenant, user)
    files = {
        "main.tsx": REACT_PAGE,
        "hooks/useNotifications.ts": snippet("003_useNotifications.ts"),
        "services/notification.service.ts": snippet("003_notification.service.ts"),
        "components/NotificationBell.tsx": snippet("003_NotificationBell.tsx"),
        "components/NotificationBell.css": snippet("003_NotificationBell.css"),
        "tsconfig.json": '{"compilerOptions": {"jsx": "react-jsx"}}',
    }
    # Left empty, as in a project that does not set it: the code falls back to its own address.
    built = await bundle(tmp_path, files, {"process.env.REACT_APP_API_URL": ""})
    await post(running_hub, tenant, "payment.created", f"user:{user}")
    async with opened(running_hub, built, token) as visit:
        page = visit.page
        badge = page.locator(".notification-badge")
        await expect(badge).to_have_text("1")
        live = page.locator("output")
        await expect(live).to_have_text("0")
        sent = await post(running_hub, tenant, "student.registered", f"user:{user}")
        await expect(live).to_have_text("1")
        row = page.locator(f'li[data-id="{sent["id"]}"]')
        await expect(row).to_have_attribute("data-read", "false")

        await page.locator(".notification-bell-button").click()
        await expect(page.locator(".notification-item.unread")).to_have_count(2)
        await page.locator(".notification-item").first.click()
        await expect(row).to_have_attribute("data-read", "true")  # told by the socket

        await page.locator(".notification-bell-button").click()
        await expect(page.locator(".notification-item")).to_have_count(2)
        await expect(page.locator(".notification-item.unread")).to_have_count(1)
        await page.locator(".mark-all-read").click()
        await expect(page.locator(".notification-item.unread")).to_have_count(0)
        await expect(badge).to_have_count(0)
        assert visit.lines.empty()
