"""Links in mails that switch them off: for programs in one click, for people behind a question."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from hub.services.unsubscribe import Link
from tests.living import Living, Start

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def path(hub: Living, kind: str = "booking.confirmed", user: str = "42", tenant: str = "acme") -> str:
    return f"/unsubscribe/{hub.hub.links.token(Link(tenant, user, 'email', kind))}"


async def wishes(hub: Living, user: str = "42", tenant: str = "acme") -> dict[str, Any]:
    _, found = await hub.user("GET", "/notifications/preferences", hub.token(user, tenant=tenant))
    return {"email": found["email"], "types": found["types"]}


UNTOUCHED = {"email": True, "types": {}}
OFF = {"email": True, "types": {"booking.confirmed": {"email": False}}}


async def test_one_click_switches_off_one_type_of_one_person(living: Start) -> None:
    hub = await living(public_url="https://hub.example.com")
    for user, tenant in (("42", "acme"), ("43", "acme"), ("42", "globex")):
        assert await wishes(hub, user, tenant) == UNTOUCHED
    form = aiohttp.FormData(ONE_CLICK, default_to_multipart=True)
    for body in (ONE_CLICK, form, ONE_CLICK):  # both encodings of RFC 8058, and once more
        async with hub.http.post(path(hub), data=body) as answer:
            assert answer.status == 200
            assert "booking confirmed" in await answer.text()
        assert await wishes(hub) == OFF
    assert await wishes(hub, "43") == await wishes(hub, tenant="globex") == UNTOUCHED
    url = hub.hub.links.unsubscribe_url("acme", "42", "email", "booking.confirmed")
    assert url == f"https://hub.example.com{path(hub)}"


async def test_looking_changes_nothing_and_the_page_asks(living: Start) -> None:
    hub = await living()
    for method in ("GET", "HEAD", "GET"):
        async with hub.http.request(method, path(hub), headers=BROWSER) as answer:
            page = await answer.text()
            assert (answer.status, answer.content_type) == (200, "text/html")
            assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
    assert await wishes(hub) == UNTOUCHED
    for needed in (
        "lang=en",
        "<legend>",
        "color-scheme:light dark",
        "method=post",
        "value=all",
        "booking confirmed",
    ):
        assert needed in page
    for nothing in ({}, {"List-Unsubscribe": "yes"}, {"leave": "other"}):
        async with hub.http.post(path(hub), data=nothing) as answer:
            assert answer.status == 400
    async with hub.http.post(
        path(hub), data=b"\xff", headers={"Content-Type": "multipart/form-data"}
    ) as answer:
        assert answer.status == 400
    assert await wishes(hub) == UNTOUCHED


async def test_all_mails_means_all_whatever_was_said_of_single_types(living: Start) -> None:
    hub = await living()
    said = {"types": {"booking.created": {"email": True, "inApp": True}, "reminder": {"email": False}}}
    await hub.user("PATCH", "/notifications/preferences", hub.token("42"), json=said)
    async with hub.http.post(path(hub), data={"leave": "all"}) as answer:
        assert answer.status == 200
    found = await wishes(hub)
    assert found["email"] is False
    assert not any(said.get("email") for said in found["types"].values())
    assert found["types"]["booking.created"] == {"inApp": True}


async def test_one_click_in_a_mail_of_several_types_means_all(living: Start) -> None:
    hub = await living()
    async with hub.http.post(path(hub, "*"), data=ONE_CLICK) as answer:
        assert answer.status == 200
    assert await wishes(hub) == {"email": False, "types": {}}


async def test_what_cannot_be_switched_off_says_so(living: Start) -> None:
    hub = await living()
    async with hub.http.get(path(hub, "system.maintenance"), headers=BROWSER) as answer:
        assert "cannot be switched off" in await answer.text()
    async with hub.http.post(path(hub, "system.maintenance"), data=ONE_CLICK) as answer:
        assert answer.status == 409
        assert "belong to the service" in await answer.text()
    assert await wishes(hub) == UNTOUCHED


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_link_that_is_none_opens_nothing(living: Start, method: str) -> None:
    hub = await living()
    good = path(hub)
    head, _, _ = good.rpartition(".")
    other = path(hub, user="43").rpartition(".")[2]
    for bad in (good[:-3], f"{head}.{other}", "/unsubscribe/x", f"/unsubscribe/{hub.token('42')}"):
        async with hub.http.request(method, bad, data=ONE_CLICK if method == "POST" else None) as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (404, "link_invalid")
        async with hub.http.request(
            method, bad, data=ONE_CLICK if method == "POST" else None, headers=BROWSER
        ) as answer:
            assert (answer.status, answer.content_type) == (404, "text/html")
    assert await wishes(hub) == await wishes(hub, "43") == UNTOUCHED


async def test_a_name_in_a_link_is_not_markup(living: Start) -> None:
    hub = await living()
    async with hub.http.get(path(hub, "<script>alert(1)</script>"), headers=BROWSER) as answer:
        assert "<script" not in await answer.text()
