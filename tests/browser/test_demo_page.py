"""The demo page against a real hub and worker, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from hub.settings import DEVELOPMENT_KEY
from tests.browser.demo_page import DemoPage, read_everything, visit
from tests.hubs import HubCluster

pytestmark = pytest.mark.asyncio(loop_scope="module")
TRANSPORTS = pytest.mark.parametrize("transport", ["socketio", "sse"])


@TRANSPORTS
async def test_a_booking_shows_at_once_as_event_count_toast_and_notification(
    running_hub: HubCluster, browser: Browser, transport: str
) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="city-hotel", user="marta", transport=transport) as demo:
        await expect(demo.part("badge")).to_be_hidden()
        sent = await demo.send("booking.created", "ana")
        await expect(demo.event(sent)).to_contain_text("Ana Lopes booked")
        await expect(demo.event(sent)).not_to_contain_class("replayed")
        await expect(demo.part("badge")).to_have_text("1")
        await expect(demo.part("toast")).to_contain_text("New booking")
        await expect(demo.part("answer")).to_contain_text("Accepted at")
        await demo.part("bell").click()
        await expect(demo.note(sent)).to_contain_text("New booking")


@TRANSPORTS
async def test_what_was_missed_comes_back_in_order_and_marked_as_replayed(
    running_hub: HubCluster, browser: Browser, transport: str
) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="city-hotel", user="marta", transport=transport) as demo:
        before = await demo.send()
        await expect(demo.event(before)).to_be_visible()
        await demo.part("cut").click()
        await demo.is_in_state("idle")
        missed = [await demo.send("booking.confirmed"), await demo.send("booking.cancelled")]
        assert await demo.ids() == [before]
        await demo.part("restore").click()
        await expect(demo.part("recovered")).to_have_text("yes")
        await expect(demo.part("replayed")).to_have_text("2")
        live = await demo.send("payment.received")
        await expect(demo.event(live)).to_be_visible()
        assert await demo.ids() == [live, *reversed(missed), before]
        await expect(demo.pane.locator(".event.replayed")).to_have_count(2)
        for id in missed:
            await expect(demo.event(id)).to_contain_text("replayed")
        await expect(demo.part("badge")).to_have_text("4")


async def test_one_cursor_goes_from_socketio_to_sse_and_back(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="resort-hotel", user="joao") as demo:
        expected = [await demo.send()]
        await expect(demo.event(expected[0])).to_be_visible()
        for label, words in (("SSE", "Server-Sent Events"), ("Socket.IO", "Socket.IO")):
            await demo.part("cut").click()
            await demo.is_in_state("idle")
            expected.append(await demo.send())
            await demo.part("transport").get_by_text(label).click()
            await expect(demo.part("via")).to_have_text(words)
            await demo.part("restore").click()
            await expect(demo.event(expected[-1])).to_contain_text("replayed")
        assert await demo.ids() == expected[::-1]


async def test_the_token_stands_in_no_address(running_hub: HubCluster, browser: Browser) -> None:
    [url] = running_hub.urls
    asked: list[str] = []
    async with visit(browser, url, tenant="resort-hotel", user="joao") as demo:
        demo.page.on("request", lambda request: asked.append(request.url))
        await demo.part("transport").get_by_text("SSE").click()
        await expect(demo.part("via")).to_have_text("Server-Sent Events")
        await demo.is_in_state("online")
    assert any("/notifications/sse" in address for address in asked)
    assert not [address for address in asked if "token" in address or "eyJ" in address]


async def test_a_killed_hub_is_found_again_by_itself_and_nothing_is_missing(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with (
        visit(browser, url, tenant="city-hotel", user="marta") as socket,
        visit(browser, url, tenant="city-hotel", user="bruno", transport="sse") as stream,
    ):
        await running_hub.kill9(0)
        for demo in (socket, stream):
            await expect(demo.part("state")).not_to_have_attribute("data-status", "online")
        await running_hub.start(0)
        body = {"tenant": "city-hotel", "guest": "bruno"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{url}/dev/demo/booking", json=body) as answer,
        ):
            sent = (await answer.json())["id"]
        for demo in (socket, stream):
            await demo.is_in_state("online")
            await expect(demo.event(sent)).to_be_visible()


@TRANSPORTS
async def test_a_token_that_is_not_accepted_is_said_and_not_tried_again(
    running_hub: HubCluster, browser: Browser, transport: str
) -> None:
    [url] = running_hub.urls
    person = {"id": "marta", "name": "Marta", "role": "ADMIN", "token": "forged"}
    hotels = {"tenants": [{"id": "city-hotel", "name": "City Hotel", "users": [person]}]}
    page = await browser.new_page()
    await page.route("**/dev/demo", lambda route: route.fulfill(json=hotels))
    await page.goto(f"{url}/?transport={transport}&other=nobody")
    demo = DemoPage(page)
    await demo.is_in_state("refused")
    await expect(demo.part("state")).to_contain_text("Refused")
    await expect(demo.part("restore")).to_be_visible()
    await page.context.close()


async def test_reading_in_one_window_reads_in_the_other(running_hub: HubCluster, browser: Browser) -> None:
    [url] = running_hub.urls
    async with (
        visit(browser, url, tenant="city-hotel", user="marta") as one,
        visit(browser, url, tenant="city-hotel", user="marta", transport="sse") as other,
    ):
        sent = [await one.send(), await one.send()]
        await expect(one.part("badge")).to_have_text("2")
        await expect(other.part("badge")).to_have_text("2")
        await one.part("bell").click()
        await one.note(sent[0]).get_by_test_id("toggle-read").click()
        await expect(other.part("badge")).to_have_text("1")
        await expect(one.part("badge")).to_have_text("1")
        await expect(one.note(sent[0])).not_to_contain_class("unread")
        await other.part("bell").click()
        await other.part("mark-all").click()
        for demo in (one, other):
            await expect(demo.part("badge")).to_be_hidden()
            await expect(demo.unread).to_have_count(0)


async def test_the_badge_counts_to_nine(running_hub: HubCluster, browser: Browser) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="resort-hotel", user="clara") as demo:
        for number in range(1, 11):
            await demo.send(guest="clara")
            await expect(demo.part("badge")).to_have_text(str(number) if number < 10 else "9+")
        await demo.page.reload()
        await demo.is_in_state("online")
        await expect(demo.part("badge")).to_have_text("9+")
        await demo.part("bell").click()
        await expect(demo.unread).to_have_count(10)


async def test_a_mail_is_followed_to_the_outbox_and_can_be_read(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="city-hotel", user="ana") as demo:
        await demo.send("booking.confirmed", "ana")
        await expect(demo.part("delivery").get_by_test_id("status")).to_have_text("sent")
        await expect(demo.part("delivery")).to_contain_text("email to ana")
        letter = demo.part("letter").first
        await expect(letter).to_contain_text("Your Booking is Confirmed!")
        await expect(letter).to_contain_text("ana@example.com")
        await letter.click()
        await expect(demo.part("mail-body")).to_have_attribute("sandbox", "")
        mail = demo.page.frame_locator('[data-testid="mail-body"]')
        await expect(mail.locator("h1")).to_have_text("Booking Confirmed!")
        await demo.part("mail-close").click()
        await expect(demo.part("mail")).to_be_hidden()


async def test_two_people_side_by_side_see_what_is_theirs(running_hub: HubCluster, browser: Browser) -> None:
    [url] = running_hub.urls
    async with visit(browser, url, tenant="city-hotel", user="marta", other="bruno") as marta:
        bruno = DemoPage(marta.page, "right")
        await bruno.is_in_state("online")
        await marta.part("cut").click()
        both = await marta.send(guest="bruno")
        await expect(bruno.event(both)).to_be_visible()
        await expect(bruno.part("toast")).to_contain_text("New booking")
        desk = await marta.send(guest="ana")
        await bruno.part("transport").get_by_text("SSE").click()
        await expect(bruno.part("via")).to_have_text("Server-Sent Events")
        await bruno.is_in_state("online")
        await marta.part("restore").click()
        await expect(marta.event(desk)).to_contain_text("replayed")
        assert await marta.ids() == [desk, both]
        assert await bruno.ids() == [both]
        await expect(marta.part("via")).to_have_text("Socket.IO")


async def test_a_guest_sees_no_other_guest_and_no_hotel_sees_the_other(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    async with (
        visit(browser, url, tenant="city-hotel", user="ana") as ana,
        visit(browser, url, tenant="resort-hotel", user="joao") as joao,
    ):
        await ana.send(guest="bruno")
        mine = await ana.send(guest="ana")
        theirs = await joao.send(guest="clara")
        await expect(ana.event(mine)).to_be_visible()
        await expect(joao.event(theirs)).to_be_visible()
        assert await ana.ids() == [mine]
        assert await joao.ids() == [theirs]


async def test_choosing_somebody_else_starts_afresh_and_reads_for_nobody_else(
    running_hub: HubCluster, browser: Browser
) -> None:
    [url] = running_hub.urls
    await read_everything(url, "resort-hotel", "david")
    async with visit(browser, url, tenant="city-hotel", user="marta") as demo:
        sent = await demo.send()
        await expect(demo.event(sent)).to_be_visible()
        await demo.part("tenant").select_option("resort-hotel")
        await demo.part("user").select_option("david")
        await expect(demo.part("rooms")).to_contain_text("user:david")
        await expect(demo.events).to_have_count(0)
        await expect(demo.note(sent)).to_have_count(0)
        assert "tenant=resort-hotel&user=david" in demo.page.url
        await expect(demo.part("toast")).to_have_count(0)

        await demo.send(guest="david")
        await expect(demo.part("badge")).to_have_text("1")
        await demo.part("bell").click()
        await demo.part("mark-all").click()
        await expect(demo.part("badge")).to_be_hidden()
        await demo.part("tenant").select_option("city-hotel")
        await expect(demo.part("rooms")).to_contain_text("user:marta")
        await expect(demo.part("badge")).to_have_text("1")


async def test_what_others_write_is_text_and_never_markup(running_hub: HubCluster, browser: Browser) -> None:
    [url] = running_hub.urls
    hostile = '<img src=x onerror="window.hacked = 1">'
    body = {
        "tenantId": "resort-hotel",
        "type": "system",
        "to": "user:david",
        "title": hostile,
        "message": hostile,
        "channels": ["inApp"],
    }
    async with visit(browser, url, tenant="resort-hotel", user="david") as demo:
        headers = {"Authorization": f"Bearer {DEVELOPMENT_KEY}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{url}/notifications", json=body) as answer,
        ):
            assert answer.status == 202, await answer.text()
        await expect(demo.events.first.locator("strong")).to_have_text(hostile)
        await expect(demo.part("toast").locator(".name")).to_have_text(hostile)
        await demo.part("bell").click()
        await expect(demo.part("inbox").locator(".name").first).to_have_text(hostile)
        assert await demo.pane.locator("img").count() == 0
        assert await demo.page.evaluate("window.hacked") is None


SIZES = {"desktop": (1360, 900), "tablet": (900, 1100), "phone": (390, 844)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_page_fits_its_screen(
    running_hub: HubCluster, browser: Browser, tmp_path: Path, size: str, scheme: str
) -> None:
    """The screenshots are for people; that nothing sticks out sideways and that dark is dark is checked."""
    [url] = running_hub.urls
    width, height = SIZES[size]
    surroundings: dict[str, Any] = {
        "viewport": {"width": width, "height": height},
        "color_scheme": scheme,
        "reduced_motion": "reduce",
    }
    async with visit(browser, url, tenant="city-hotel", user="marta", **surroundings) as demo:
        await _live_a_little(demo)
        await demo.page.screenshot(path=tmp_path / f"{scheme}-{size}.png", full_page=True)
        assert await demo.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        await demo.part("bell").click()
        await demo.page.screenshot(path=tmp_path / f"{scheme}-{size}-bell.png")
        box = await demo.part("inbox").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        shade = "getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/)[0]"
        lightness = int(await demo.page.evaluate(shade))
        assert lightness > 200 if scheme == "light" else lightness < 60


async def _live_a_little(demo: DemoPage) -> None:
    for kind in ("booking.created", "booking.confirmed"):
        await expect(demo.event(await demo.send(kind, "ana"))).to_be_visible()
    await demo.part("cut").click()
    missed = [await demo.send("booking.cancelled"), await demo.send("payment.received")]
    await demo.part("restore").click()
    await expect(demo.event(missed[-1])).to_contain_text("replayed")
    await expect(demo.part("letter").nth(1)).to_be_visible()
