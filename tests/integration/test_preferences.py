"""What people want, by REST and live: said, taken back, and kept on every screen."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.databases import Postgres
from tests.integration.test_inbox_marks import screens
from tests.living import Ear, Listener, Living, Start, Stream

PATH = "/notifications/preferences"


async def change(hub: Living, token: str, **said: Any) -> Any:
    status, holds = await hub.user("PATCH", PATH, token, json=said)
    assert status == 200, holds
    return holds


def types_heard(listener: Listener) -> list[str]:
    return [envelope["type"] for envelope in listener.all("notification:new")]


async def test_what_is_said_stays_until_it_is_taken_back_and_is_told_live(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    token = hub.token("42")
    assert await hub.user("GET", PATH, token) == (
        200,
        {
            **dict.fromkeys(("inApp", "email", "sms", "discord", "webpush"), True),
            "types": {},
            "quietHours": None,
            "digest": None,
            "locale": None,
        },
    )
    async with Ear(hub.url, token) as ear:
        holds = await change(hub, token, email=False, types={"NEW_BOOKING": {"email": True, "sms": False}})
        assert holds["types"] == {"booking.created": {"email": True, "sms": False}}
        assert await ear.wait("preferences:updated") == holds
    status, holds = await hub.user(
        "POST", PATH, token, json={"quietHours": {"start": "22:00", "end": "07:00"}, "types": None}
    )
    assert status == 200
    assert (holds["email"], holds["types"], holds["quietHours"]["end"]) == (False, {}, "07:00")
    assert await hub.user("GET", PATH, token) == (200, holds)
    assert (await hub.user("GET", PATH, hub.token("7")))[1]["email"] is True


async def test_what_cannot_be_wanted_is_refused_and_changes_nothing(living: Start) -> None:
    hub = await living()
    token = hub.token("42")
    for body, field in (
        ({"fax": True}, "fax"),
        ({"email": "no"}, "email"),
        ({"types": {"booking.created": {"fax": False}}}, "types.booking.created.fax"),
        ({"types": {"*": {"email": False}}}, "types.*"),
        ({"types": {"system.maintenance": {"inApp": False}}}, "types.system.maintenance"),
        ({"types": {f"t{n}": {"email": False} for n in range(201)}}, "types"),
        ({"quietHours": {"start": "22:00"}}, "quietHours.end"),
        ({"quietHours": {"start": "24:00", "end": "7:00"}}, "quietHours.start"),
        ({"quietHours": {"start": "22:00", "end": "07:00", "timezone": "Mars/Base"}}, "quietHours.timezone"),
        ({"digest": "weekly"}, "digest"),
        ({"locale": "no language"}, "locale"),
    ):
        status, problem = await hub.user("PATCH", PATH, token, json={"sms": False, **body})
        assert (status, problem["errors"][0]["field"]) == (422, field), body
    assert (await hub.user("GET", PATH, token))[1]["sms"] is True


async def test_a_tenants_defaults_hold_for_who_has_said_nothing(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    admin, token = hub.token("1", "ADMIN"), hub.token("42")
    said = {"sms": False, "types": {"payment.due": {"email": False}}, "digest": "daily"}
    assert await hub.user("PUT", "/admin/preferences", admin, json=said) == (200, said)
    assert await hub.user("GET", "/admin/preferences", admin) == (200, said)
    await change(hub, token, sms=True)
    holds = (await hub.user("GET", PATH, token))[1]
    assert (holds["sms"], holds["digest"], holds["types"]) == (True, "daily", said["types"])
    assert (await hub.user("GET", PATH, hub.token("7")))[1]["sms"] is False
    assert (await hub.user("GET", PATH, hub.token("7", tenant="globex")))[1]["sms"] is True
    status, problem = await hub.user("PUT", "/admin/preferences", admin, json={"inApp": False})
    assert (status, problem["errors"][0]["field"]) == (422, "inApp")
    assert await hub.user("PUT", "/admin/preferences", admin, json={}) == (200, {})
    assert (await hub.user("GET", PATH, hub.token("7")))[1]["sms"] is True
    notes = (await hub.user("GET", "/admin/audit?action=preferences.set", admin))[1]
    assert len(notes) == 2


async def test_what_is_muted_in_the_app_is_on_no_screen_in_no_count_and_in_no_past(
    living: Start, url: str
) -> None:
    hub = await living(database_url=url)
    token, other = hub.token("42"), hub.token("7")
    first = await hub.notify("review.created", "user:42")
    async with screens(hub, token) as mine, Ear(hub.url, other) as theirs:
        await change(hub, token, types={"review.created": {"inApp": False}})
        for to in ("user:42", "tenant:acme", ["user:7", "user:42"]):
            await hub.notify("review.created", to)
        await hub.notify("system", "tenant:acme")
        for screen in mine.values():
            await screen.wait("system")
            assert [item for item in screen.heard if item.event == "review.created"] == []
        await theirs.wait("review.created", count=2)
    # In no past: neither from memory nor, after they want it again, from what was kept from them.
    for _ in range(2):
        stream = await Stream(hub.http).open(token, params={"lastEventId": first["cursor"]})
        connected = await stream.wait("connected")
        assert (connected["recovered"], connected["replayed"], connected["unreadCount"]) == (True, 1, 2)
        await stream.close()
        await change(hub, token, types={"review.created": None})
    _, page = await hub.user("GET", "/notifications", token)
    assert [item["type"] for item in page] == ["system", "review.created"]
    assert (await hub.user("GET", "/notifications/unread-count", token))[1] == {"count": 2}
    stats = (await hub.user("GET", "/notifications/stats", token))[1]
    assert stats["byType"]["review.created"]["total"] == 1
    # What is wanted again is there again.
    async with Ear(hub.url, token) as ear:
        await hub.notify("review.created", "tenant:acme")
        await ear.wait("review.created")
    assert (await hub.user("GET", "/notifications/unread-count", token))[1] == {"count": 3}


async def test_who_mutes_everything_gets_what_cannot_be_muted_and_what_they_name(living: Start) -> None:
    hub = await living()
    token = hub.token("42")
    await change(hub, token, inApp=False, types={"payment.due": {"inApp": True}})
    async with Ear(hub.url, token) as ear:
        for type in ("booking.created", "own.thing", "payment.due", "system.maintenance"):
            await hub.notify(type, "tenant:acme")
        await ear.wait("system.maintenance")
        assert types_heard(ear) == ["payment.due", "system.maintenance"]
    _, page = await hub.user("GET", "/notifications", token)
    assert [item["type"] for item in page] == ["system.maintenance", "payment.due"]


async def test_a_mute_holds_at_once_in_every_process(living: Start) -> None:
    one, two = await living(), await living()
    token = one.token("42")
    async with Ear(two.url, token) as ear:
        await change(one, token, types={"test": {"inApp": False}})
        await ear.wait("preferences:updated")
        await one.notify("test", "tenant:acme")
        await one.notify("system", "tenant:acme")
        await ear.wait("system")
        assert types_heard(ear) == ["system"]


async def test_what_came_while_a_connection_was_opening_is_kept_back_too(
    living: Start, monkeypatch: Any
) -> None:
    hub = await living()
    token, asked, gate = hub.token("42"), asyncio.Event(), asyncio.Event()
    await change(hub, token, types={"test": {"inApp": False}})
    ask = hub.hub.preferences.muted

    async def slow(who: Any) -> Any:
        asked.set()
        await gate.wait()
        return await ask(who)

    monkeypatch.setattr(hub.hub.preferences, "muted", slow)
    ear = Ear(hub.url, token)
    opening = asyncio.create_task(ear.open())
    await asked.wait()
    await hub.notify("test", "tenant:acme")
    await hub.notify("system", "tenant:acme")
    gate.set()
    await opening
    await ear.wait("system")
    assert types_heard(ear) == ["system"]
    await ear.close()


@pytest.mark.postgres
async def test_nothing_muted_is_shown_to_who_connects_while_the_database_is_away(
    living: Start, postgres: Postgres, postgres_url: str
) -> None:
    hub = await living(database_url=postgres_url, database_timeout=1.0)
    token = hub.token("42")
    await change(hub, token, types={"test": {"inApp": False}})
    async with Ear(hub.url, hub.token("7")) as other, AsyncExitStack() as stack:
        postgres.freeze()
        try:
            ear = await stack.enter_async_context(Ear(hub.url, token))
            stream = await Stream(hub.http).open(token)
            assert (await stream.wait("connected"))["unreadCount"] is None
            hub.hub.publish.signal("acme", ["user:42"], "preferences:updated", {})
            for listener in (ear, stream):
                await listener.wait("preferences:updated")  # what is not in the log goes on
        finally:
            postgres.thaw()
        async with asyncio.timeout(10):
            while not await ready(hub):
                await asyncio.sleep(0.02)
        await hub.notify("test", "tenant:acme")
        await hub.notify("system", "tenant:acme")
        await other.wait("test")
        for listener in (ear, stream):
            await listener.wait("system")
            assert [item.event for item in listener.heard if item.event in ("test", "system")] == ["system"]
        await hub.notify("booking.created", "tenant:acme")
        for listener in (ear, stream):
            await listener.wait("booking.created")
        await stream.close()


async def ready(hub: Living) -> bool:
    async with hub.http.get("/readyz") as answer:
        return answer.status == 200
