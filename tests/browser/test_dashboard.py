"""The dashboard as an admin uses it: against a real hub, worker and mail server, in a real browser."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Route, expect

from hub.choices import registry
from tests.browser import bundles
from tests.browser.accessible import faults_of
from tests.browser.demo_page import token_of, visit
from tests.hubs import HubCluster
from tests.mailservers import LOOPBACK, MailServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
TENANT = "city-hotel"
VIEWS = {
    "overview": "Overview",
    "people": "People",
    "deliveries": "Deliveries",
    "log": "Log",
    "types": "Types",
    "templates": "Templates",
    "suppressions": "Suppressions",
    "broadcast": "Broadcast",
    "keys": "API keys",
    "audit": "Audit",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mail() -> AsyncIterator[MailServer]:
    server = MailServer()
    await server.open()
    yield server
    await server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_hub(
    tmp_path_factory: pytest.TempPathFactory, mail: MailServer
) -> AsyncIterator[HubCluster]:
    """A hub whose mails go to a server that can refuse them."""
    bundles.build_pages()
    env = {"EMAIL_HOST": LOOPBACK, "EMAIL_PORT": str(mail.port), "EMAIL_FROM": "hub@example.com"}
    async with HubCluster(tmp_path_factory.mktemp("hub"), env=env) as cluster:
        await cluster.start_worker()
        yield cluster


class Dashboard:
    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def part(self, name: str) -> Locator:
        return self.page.get_by_test_id(name)

    async def go(self, view: str) -> None:
        await self.part("nav").get_by_role("link", name=VIEWS[view], exact=True).click()
        await expect(self.part("view").locator(".title")).to_have_text(VIEWS[view])

    async def number(self, name: str) -> int:
        return int(await self.part(name).inner_text())

    async def book(self, kind: str = "booking.created") -> str:
        body = {"tenant": TENANT, "guest": "ana", "type": kind}
        address = f"{self.url}/dev/demo/booking"
        async with aiohttp.ClientSession() as http, http.post(address, json=body) as answer:
            assert answer.status == 202, await answer.text()
            return str((await answer.json())["id"])


@asynccontextmanager
async def signed_in(browser: Browser, url: str, **context: Any) -> AsyncIterator[Dashboard]:
    """The dashboard of the desk. At the end nothing may have gone wrong in the page but refusals."""
    surroundings = await browser.new_context(**context)
    page = await surroundings.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda line: (
            faults.append(line.text)
            if line.type in ("error", "warning") and "status of 422" not in line.text
            else None
        ),
    )
    page.on("dialog", lambda dialog: dialog.accept())
    await page.goto(f"{url}/admin")
    dashboard = Dashboard(page, url)
    await dashboard.part("be-marta").click()
    await expect(dashboard.part("state")).to_have_text("Live")
    try:
        yield dashboard
    finally:
        await surroundings.close()
    assert not faults, faults


@asynccontextmanager
async def held(page: Page, path: str) -> AsyncIterator[None]:
    """The hub's answers to such requests come at the end."""
    end = asyncio.Event()

    async def hold(route: Route) -> None:
        await end.wait()
        await route.continue_()

    await page.route(path, hold)
    yield
    end.set()


async def test_only_an_admin_comes_in_and_the_token_stays_in_the_tab(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    context = await browser.new_context()
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{url}/admin")
    dashboard = Dashboard(page, url)
    for token, refusal in (
        ("hub_something", "not a JWT"),
        (await token_of(url, TENANT, "ana"), "needs the role ADMIN"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.x", "token"),
    ):
        await dashboard.part("token").fill(token)
        await dashboard.part("enter").click()
        await expect(dashboard.part("refusal")).to_contain_text(refusal)
        await expect(dashboard.part("shell")).to_be_hidden()
    await dashboard.part("token").fill(await token_of(url, TENANT, "marta"))
    await dashboard.part("enter").click()
    await expect(dashboard.part("tenant")).to_have_text(TENANT)
    await page.reload()
    await expect(dashboard.part("state")).to_have_text("Live")
    assert await page.evaluate("localStorage.length") == 0
    assert not [address for address in asked if "eyJ" in address]
    other = await context.new_page()
    await other.goto(f"{url}/admin")
    await expect(other.get_by_test_id("door")).to_be_visible()
    await dashboard.part("leave").click()
    await expect(dashboard.part("door")).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0
    await context.close()


async def test_a_booking_and_a_person_who_comes_change_the_numbers(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with signed_in(browser, url) as dashboard:
        await expect(dashboard.part("tile-online")).to_have_text("1")
        before = await dashboard.number("tile-notifications")
        await dashboard.book()
        await expect(dashboard.part("happened").filter(has_text="booking.created")).to_be_visible()
        await expect(dashboard.part("tile-notifications")).to_have_text(str(before + 1))
        await expect(dashboard.part("happened").filter(has_text="email to ana")).to_be_visible()
        row = dashboard.page.get_by_role("row").filter(has_text="email").filter(has_text="sent")
        await expect(row).to_be_visible()
        async with visit(browser, url, tenant=TENANT, user="ana", transport="sse"):
            await expect(dashboard.part("tile-online")).to_have_text("2")
            await expect(dashboard.part("happened").filter(has_text="joined")).to_contain_text("ana")
            await dashboard.go("people")
            await expect(dashboard.part("transports")).to_contain_text("sse")
            await expect(dashboard.part("people").get_by_role("row").nth(1)).to_contain_text("ana")
        await expect(dashboard.part("online")).to_contain_text("1 online")


async def test_a_dead_letter_is_found_tried_again_and_its_story_read(
    running_hub: HubCluster, browser: Browser, mail: MailServer
) -> None:
    [url] = running_hub.urls
    async with signed_in(browser, url) as dashboard:
        mail.say("550 no such box")
        await dashboard.book("booking.confirmed")
        await expect(dashboard.part("tile-dead")).to_have_text("1")
        await dashboard.part("tile-dead").click()
        rows = dashboard.part("deliveries").locator("tbody tr")
        dead = rows.filter(has_text="no such box")
        await dead.get_by_test_id("retry").click()
        await dashboard.part("filters").get_by_test_id("status").select_option("sent")
        again = rows.filter(has_text="ana").first
        await expect(again.get_by_test_id("status")).to_have_text("sent")
        await expect(again.locator("td").nth(3)).to_have_text("2")
        await again.get_by_test_id("timeline").click()
        steps = dashboard.part("step")
        await expect(steps.first).to_contain_text("planned")
        await expect(steps.filter(has_text="no such box").first).to_contain_text("attempt 1")
        await expect(steps.last).to_contain_text("sent")
        await dashboard.page.keyboard.press("Escape")
        async with held(dashboard.page, "**/admin/audit*"):
            await dashboard.go("audit")
            await expect(dashboard.part("view").locator(".empty")).to_have_text("Asking the hub.")
        await expect(dashboard.part("audit")).to_contain_text("delivery.retry")


async def test_a_broadcast_reaches_everybody_with_the_role(running_hub: HubCluster, browser: Browser) -> None:
    [url] = running_hub.urls
    async with (
        visit(browser, url, tenant=TENANT, user="bruno") as guest,
        signed_in(browser, url) as dashboard,
    ):
        await dashboard.go("broadcast")
        await dashboard.part("title").fill("The pool is closed")
        await dashboard.part("role").fill("CUSTOMER")
        await dashboard.part("severity").select_option("warning")
        await dashboard.part("broadcast-submit").click()
        await expect(dashboard.part("broadcast-answer")).to_contain_text("Sent to everybody with the role")
        await expect(guest.part("toast")).to_contain_text("The pool is closed")
        await expect(guest.part("badge")).to_have_text("1")
        await dashboard.go("log")
        await dashboard.part("type").fill("system.maintenance")
        await dashboard.part("search").click()
        newest = dashboard.part("log").locator("tbody tr").first
        await expect(newest).to_contain_text("system.maintenance")
        await newest.locator(".peek").click()
        await expect(dashboard.part("drawer-title")).to_have_text("system.maintenance")


async def test_a_key_is_made_works_is_shown_once_and_ended(running_hub: HubCluster, browser: Browser) -> None:
    [url] = running_hub.urls

    async def works(secret: str) -> int:
        headers = {"Authorization": f"Bearer {secret}"}
        body = {"type": "system", "to": "user:ana", "channels": ["inApp"], "title": "By key"}
        address = f"{url}/notifications"
        async with aiohttp.ClientSession(headers=headers) as http, http.post(address, json=body) as answer:
            return answer.status

    async with signed_in(browser, url) as dashboard:
        await dashboard.go("keys")
        await dashboard.part("name").fill("the backend")
        await dashboard.part("new-key-submit").click()
        secret = await dashboard.part("secret-text").inner_text()
        assert await works(secret) == 202
        row = dashboard.part("keys").locator("tbody tr").filter(has_text="the backend")
        await expect(row).to_contain_text("notify")
        await dashboard.go("audit")
        await dashboard.go("keys")
        assert secret not in await dashboard.page.content()
        await row.get_by_test_id("revoke-key").click()
        await expect(row.get_by_test_id("revoke-key")).to_have_count(0)
        async with asyncio.timeout(10):
            while await works(secret) == 202:  # known for a moment longer
                await asyncio.sleep(0.1)
        assert await works(secret) == 401


async def test_signing_somebody_out_closes_their_connections(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with (
        visit(browser, url, tenant=TENANT, user="bruno") as guest,
        signed_in(browser, url) as dashboard,
    ):
        await dashboard.go("people")
        row = dashboard.part("people").locator('[data-id="bruno"]')
        await row.get_by_role("button", name="Sign out bruno").click()
        await guest.is_in_state("refused")
        await expect(row).to_have_count(0)


async def test_the_rules_of_a_type_are_said_refused_beside_their_field_put_in_force_and_taken_back(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls

    async def shape() -> Any:
        headers = {"Authorization": f"Bearer {await token_of(url, TENANT, 'marta')}"}
        answer = await dashboard.page.request.get(f"{url}/admin/types/review.created", headers=headers)
        return await answer.json()

    async with signed_in(browser, url) as dashboard:
        part, keyboard = dashboard.part, dashboard.page.keyboard
        await dashboard.go("types")
        await expect(part("types").locator("tbody tr")).to_have_count(len(registry().types))
        await part("find").fill("REVIEW_")  # an alias
        await expect(part("types").locator("tbody tr")).to_have_count(1)
        await part("types").get_by_role("link", name="review.created").press("Enter")
        await expect(part("type")).to_be_focused()
        rows = part("in-force").locator("tbody tr")
        await expect(rows.filter(has_text="Severity")).to_have_text(re.compile("info.*the hub"))

        await part("severity.by").select_option("warning")
        await dashboard.page.evaluate("window.confirm = () => false")
        await part("nav").get_by_role("link", name="API keys").click()
        await expect(part("severity.by")).to_have_value("warning")  # nothing written is lost unasked
        assert await dashboard.page.evaluate("location.hash") == "#/types?type=review.created"
        await dashboard.page.evaluate("window.confirm = () => true")
        await part("channels.by").select_option("Other")
        await dashboard.page.get_by_role("checkbox", name="email").check()
        await part("digest.by").select_option("Other")
        await part("digest.window").fill("90")
        await part("digest.window.unit").select_option("days")
        await part("throttle.by").select_option("Other")
        await part("throttle.most").fill("0")
        await part("rules-submit").click()
        await expect(part("digest.window")).to_be_focused()
        await expect(part("digest.window")).to_have_accessible_description("must be at most 7 days")
        await expect(part("throttle.most")).to_have_accessible_description("must be at least 1")
        await expect(part("throttle.seconds")).to_have_accessible_description("is required")
        await expect(part("digest.window")).to_have_accessible_name("Collected for")
        assert await faults_of(dashboard.page) == []
        assert not (await shape())["overridden"]

        await part("digest.window").fill("2")
        await expect(part("digest.window")).not_to_have_attribute("aria-invalid", "true")
        await part("throttle.by").select_option("none")
        await part("rules-submit").focus()
        await keyboard.press("Enter")
        await expect(part("rules-answer")).to_contain_text("In force")
        await expect(part("fault")).to_have_count(0)
        await expect(rows.filter(has_text="Digest")).to_have_text(re.compile("2 days.*you"))
        await expect(rows.filter(has_text="Muting")).to_have_text(re.compile("the hub"))
        await expect(part("since")).to_contain_text("marta")
        said = {"channels": ["inApp", "email"], "severity": "warning", "digest": {"window": 172_800}}
        assert (await shape())["override"] == {**said, "throttle": None}

        await dashboard.go("types")
        await part("by").select_option("you")
        await expect(part("types").locator("tbody tr")).to_have_count(1)
        await expect(part("types")).to_contain_text("you: channels, severity, digest, throttle")
        await part("types").get_by_role("link").click()
        await expect(part("digest.window")).to_have_value("2")
        await part("reset").click()
        await expect(rows.filter(has_text="Severity")).to_have_text(re.compile("info.*the hub"))
        await expect(part("reset")).to_be_hidden()
        assert not (await shape())["overridden"]


async def test_words_are_changed_looked_at_put_in_force_and_taken_back(
    running_hub: HubCluster, browser: Browser, mail: MailServer
) -> None:
    [url] = running_hub.urls
    async with signed_in(browser, url) as dashboard:
        await dashboard.go("templates")
        await expect(dashboard.part("source")).to_be_enabled()
        async with held(dashboard.page, "**/admin/templates/payment.received/*"):
            await dashboard.part("template-type").select_option("payment.received")
            await dashboard.part("template-channel").select_option("inApp")
            await expect(dashboard.part("source")).to_be_disabled()
        await expect(dashboard.part("overridden")).to_have_text("the hub's own")
        words = "{% block title %}Paid{% endblock %}{% block message %}<b>Thank you</b>{% endblock %}"
        await dashboard.part("source").fill(words)
        await expect(dashboard.part("preview-subject")).to_have_text("Paid")
        await expect(dashboard.part("preview")).to_contain_text("<b>Thank you</b>")
        await dashboard.page.evaluate("window.confirm = () => false")
        await dashboard.part("template-channel").select_option("email")
        await expect(dashboard.part("template-channel")).to_have_value("inApp")
        await expect(dashboard.part("source")).to_have_value(words)
        await dashboard.page.evaluate("window.confirm = () => true")
        await dashboard.part("template-submit").click()
        await expect(dashboard.part("template-answer")).to_contain_text("In force")
        await expect(dashboard.part("overridden")).to_have_text("your own")
        async with asyncio.timeout(20):
            while True:  # in force within two seconds
                await dashboard.book("payment.received")
                page = await dashboard.page.request.get(
                    f"{url}/notifications?limit=1",
                    headers={"Authorization": f"Bearer {await token_of(url, TENANT, 'marta')}"},
                )
                if (await page.json())[0]["title"] == "Paid":
                    break
                await asyncio.sleep(0.2)
        await dashboard.part("reset").click()
        await expect(dashboard.part("overridden")).to_have_text("the hub's own")
        await dashboard.part("template-channel").select_option("email")
        await expect(dashboard.part("preview-html")).to_have_attribute("sandbox", "")


async def test_a_suppressed_address_gets_no_mail_until_it_is_lifted(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with signed_in(browser, url) as dashboard:
        await dashboard.go("suppressions")
        await dashboard.part("address").fill("ana@example.com")
        await dashboard.part("suppress-submit").click()
        await expect(dashboard.part("suppress-answer")).to_have_text("It gets nothing any more.")
        await dashboard.book()
        await dashboard.go("deliveries")
        await expect(dashboard.part("deliveries").locator("tbody tr").first).to_contain_text("skipped")
        await dashboard.go("suppressions")
        await dashboard.part("lift").click()
        await expect(dashboard.part("lift")).to_have_count(0)


LOOKS = {"light-desktop": ("light", 1280, 900), "dark-phone": ("dark", 390, 844)}


@pytest.mark.parametrize("look", LOOKS)
async def test_every_view_fits_its_screen_and_axe_finds_nothing(
    running_hub: HubCluster, browser: Browser, look: str
) -> None:
    [url] = running_hub.urls
    scheme, width, height = LOOKS[look]
    size: Any = {"width": width, "height": height}
    async with signed_in(
        browser, url, viewport=size, color_scheme=scheme, reduced_motion="reduce"
    ) as dashboard:
        await dashboard.book()
        await expect(dashboard.part("happened").filter(has_text="booking.created").first).to_be_visible()
        for view in VIEWS:
            await dashboard.go(view)
            await dashboard.page.wait_for_load_state("networkidle")
            assert await faults_of(dashboard.page) == [], view
            beside = await dashboard.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert beside <= 0, view
