"""The examples for the browser client as they stand in `examples/`, built as readers would, against a hub."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser import bundles
from tests.browser.bundles import CLIENT, ROOT, bundle
from tests.browser.old_pages import post
from tests.hubs import HubCluster, token_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
EXAMPLES = ROOT / "examples"
REACT = {"tsconfig.json": '{"compilerOptions": {"jsx": "react-jsx"}}'}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HubCluster]:
    bundles.build_pages()
    async with HubCluster(tmp_path_factory.mktemp("hub")) as cluster:
        yield cluster


async def built(framework: str, directory: Path) -> Path:
    """The page of an example; the package is the one that would be published."""
    if framework == "plain":
        return Path(shutil.copy(EXAMPLES / "plain" / "index.html", directory)).parent
    [main] = (EXAMPLES / framework).glob("main.*")
    alias = {"realtime-hub-client": str(CLIENT / "dist")}
    extra = REACT if framework == "react" else {}
    return await bundle(directory, {main.name: main.read_text(), **extra}, {}, alias=alias)


@pytest.mark.parametrize("framework", ["plain", "react", "vue"])
async def test_an_example_shows_what_arrives_and_marks_it(
    running_hub: HubCluster, browser: Browser, tmp_path: Path, framework: str
) -> None:
    site, user = running_hub.nodes[0].url, f"reader-{framework}"
    page_of = await built(framework, tmp_path)
    context = await browser.new_context()
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.route(f"{site}/example*", lambda route: route.fulfill(path=page_of / "index.html"))
    await page.route(
        f"{site}/assets/*",
        lambda route: route.fulfill(path=page_of / "assets" / route.request.url.rpartition("/")[2]),
    )
    await page.goto(f"{site}/example?token={token_for('examples', user)}")
    await expect(page.locator("#state")).to_have_text("online")
    await post(running_hub, "examples", "booking.created", f"user:{user}", guestName="Ana")
    await expect(page.locator("#list li")).to_have_count(1)
    await expect(page.locator("#unread")).to_have_text("1")
    if framework == "react":
        await expect(page).to_have_title("New booking from Ana")
    await page.locator("#list li").click()
    await expect(page.locator("#unread")).to_have_text("0")
    headers = {"Authorization": f"Bearer {token_for('examples', user)}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        await _until_read(http, f"{site}/notifications")
    assert not faults, faults
    await context.close()


async def _until_read(http: aiohttp.ClientSession, address: str) -> None:
    """What the page shows is also so at the hub."""
    for _ in range(200):
        async with http.get(address) as answer:
            if [item["read"] for item in await answer.json()] == [True]:
                return
    raise AssertionError("the hub was not told")
