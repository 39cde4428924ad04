"""The elements in a real browser against a real hub: by keyboard, for everybody, and when requests fail."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Request, Route, expect

from tests.browser.accessible import faults_of
from tests.browser.demo_page import DemoPage, visit
from tests.hubs import HubCluster

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
FOCUSED = """() => {
  let focused = document.activeElement;
  while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
  return focused?.dataset.testid ?? focused?.closest("[data-id]")?.dataset.id ?? focused?.id;
}"""


async def focused(demo: DemoPage) -> str:
    place: str = await demo.page.evaluate(FOCUSED)
    return place


async def test_the_bell_is_used_with_the_keyboard_alone(running_hub: HubCluster, browser: Browser) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="city-hotel", user="ana") as demo:
        keyboard = demo.page.keyboard
        older, newer = await demo.send(guest="ana"), await demo.send("booking.confirmed", "ana")
        await expect(demo.part("badge")).to_have_text("2")
        await demo.part("user").focus()
        await keyboard.press("Tab")
        assert await focused(demo) == "bell"
        await keyboard.press("Enter")
        await expect(demo.part("inbox")).to_be_visible()
        await keyboard.press("ArrowDown")
        assert await focused(demo) == newer
        await keyboard.press("ArrowDown")
        assert await focused(demo) == older
        await keyboard.press("Enter")  # reads it and closes
        await expect(demo.part("inbox")).to_be_hidden()
        await expect(demo.part("badge")).to_have_text("1")
        assert await focused(demo) == "bell"

        await keyboard.press("ArrowDown")
        seen = []
        for _ in range(8):
            await keyboard.press("Tab")
            seen.append(await focused(demo))
        assert seen[0] == "mark-all"
        assert seen.count("mark-all") >= 2  # round and round, and never out
        assert not {"bell", "user", "cut"} & set(seen)
        await demo.part("tab-all").focus()
        await keyboard.press("ArrowRight")
        await expect(demo.part("tab-unread")).to_have_attribute("aria-selected", "true")
        await expect(demo.note(older)).to_have_count(0)
        await expect(demo.note(newer)).to_be_visible()
        await keyboard.press("Escape")
        await expect(demo.part("inbox")).to_be_hidden()
        assert await focused(demo) == "bell"


async def test_a_link_is_followed_and_what_it_belongs_to_read(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="city-hotel", user="bruno") as demo:
        linked = await demo.notify("user:bruno", title="The API", link="/docs")
        await expect(demo.part("badge")).to_have_text("1")
        await demo.part("bell").click()
        await demo.note(linked).get_by_text("The API").click()
        await demo.page.wait_for_url("**/docs")
        await demo.page.go_back()  # the mark went out although its page was left
        await demo.is_in_state("online")
        await expect(demo.part("badge")).to_be_hidden()


async def test_what_arrives_is_shown_without_another_request(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="resort-hotel", user="clara") as demo:
        await expect(demo.part("status-dot")).to_be_visible()
        asked: list[Request] = []
        demo.page.on("request", lambda request: asked.append(request))
        for count in range(1, 4):
            await demo.notify("user:clara", title=f"Number {count}")
            await expect(demo.part("badge")).to_have_text(str(count))
        await demo.part("bell").click()
        await expect(demo.unread).to_have_count(3)
        assert [request.url for request in asked if "/dev/" not in request.url] == []


async def test_a_mark_that_the_hub_refuses_is_taken_back(running_hub: HubCluster, browser: Browser) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="resort-hotel", user="david") as demo:
        sent = await demo.notify("user:david", title="Stubborn")
        await expect(demo.part("badge")).to_have_text("1")
        held: list[Route] = []
        await demo.page.route("**/read", lambda route: held.append(route))
        await demo.part("bell").click()
        await demo.note(sent).get_by_test_id("toggle-read").click()
        await expect(demo.part("badge")).to_be_hidden()  # before the hub has answered
        await held[0].fulfill(status=503, json={"detail": "not now", "code": "unavailable"})
        await expect(demo.part("badge")).to_have_text("1")
        await expect(demo.note(sent)).to_contain_class("unread")
        await expect(demo.part("inbox").get_by_role("alert")).to_be_visible()


async def test_an_inbox_on_a_phone_is_marked_archived_and_told_of_mails(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="city-hotel", user="ana") as demo:
        await demo.part("view").get_by_text("Phone").click()
        inbox = demo.pane.locator("hub-inbox")
        sent = await demo.send("booking.confirmed", "ana")
        row = inbox.locator(f'[data-id="{sent}"]')
        await expect(row).to_contain_class("unread")
        await expect(row.locator(".chip")).to_have_text("email sent")
        await row.get_by_test_id("toggle-read").click()
        await expect(demo.part("badge")).to_be_hidden()
        await row.hover()
        await row.get_by_test_id("archive").click()
        await expect(row).to_have_count(0)
        await inbox.get_by_test_id("view-archived").click()
        await expect(row).to_be_visible()


async def test_what_is_muted_in_the_settings_arrives_no_more(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="resort-hotel", user="clara", other="clara") as demo:
        other = DemoPage(demo.page, "right")
        await other.is_in_state("online")
        for pane in (demo, other):
            await pane.part("view").get_by_text("Settings").click()
        muted = demo.part("booking.created inApp")
        async with demo.page.expect_response("**/notifications/preferences"):
            await muted.uncheck()
        await expect(other.part("booking.created inApp")).not_to_be_checked()  # told live
        await demo.send("booking.created", "clara")
        heard = await demo.send("payment.received", "clara")
        await demo.part("view").get_by_text("Events").click()
        await expect(demo.event(heard)).to_be_visible()
        assert await demo.ids() == [heard]
        async with demo.page.expect_response("**/notifications/preferences"):
            await other.part("booking.created inApp").check()
        sent = await demo.send("booking.created", "clara")
        await expect(demo.event(sent)).to_be_visible()


async def test_who_is_here_is_seen_by_the_desk_and_counted_by_guests(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="resort-hotel", user="joao", other="david") as desk:
        guest = DemoPage(desk.page, "right")
        await expect(desk.part("people").locator(".person")).to_have_count(2)
        await expect(guest.part("count")).to_have_text("2 online")
        await expect(guest.part("people").locator(".person")).to_have_count(0)
        await guest.part("cut").click()
        await expect(desk.part("people").locator(".person")).to_have_count(1)


@SCHEMES
async def test_axe_finds_nothing_in_the_demo_with_the_bell_open(
    running_hub: HubCluster, browser: Browser, scheme: str
) -> None:
    [url] = running_hub.urls
    looks = {"color_scheme": scheme, "reduced_motion": "reduce"}
    async with visit(browser, url, tenant="city-hotel", user="ana", other="bruno", **looks) as demo:
        for kind in ("booking.created", "payment.received", "booking.cancelled"):
            await expect(demo.event(await demo.send(kind, "ana"))).to_be_visible()
        await expect(demo.part("letter").nth(1)).to_be_visible()
        assert await faults_of(demo.page) == []
        await demo.part("bell").click()
        await demo.part("inbox").locator(".row").first.hover()
        assert await faults_of(demo.page) == []
        await demo.page.keyboard.press("Escape")
        await demo.part("view").get_by_text("Phone").click()
        await DemoPage(demo.page, "right").part("view").get_by_text("Settings").click()
        await expect(demo.pane.locator("hub-inbox .row").first).to_be_visible()
        assert await faults_of(demo.page) == []
