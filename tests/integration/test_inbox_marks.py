"""What a person does with notifications: by REST and by events, and told live to their other connections.

Each endpoint against a real hub, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from hub.domain.delivery import Call, Status, Step
from hub.store.deliveries import Deliveries
from tests.living import Ear, Listener, Living, Start, Stream

# What becomes different in the envelope, and in the count of two unread ones.
MARKS = [
    ("seen", {"seenAt"}, 2),
    ("archive", {"archivedAt"}, 1),
    ("unarchive", {"archivedAt"}, 2),
    ("read", {"read", "readAt"}, 1),
    ("unread", {"read", "readAt"}, 2),
]


@asynccontextmanager
async def plain(hub: Living, token: str) -> AsyncIterator[Listener]:
    """A listener on a plain WebSocket, connected."""
    heard = Listener()
    async with hub.http.ws_connect(f"/ws/notifications?token={token}") as socket:

        async def listen() -> None:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    said = message.json()
                    heard.hear(said["event"], said["data"])

        task = asyncio.create_task(listen())
        await heard.wait("connected")
        yield heard
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def screens(hub: Living, token: str) -> AsyncIterator[dict[str, Listener]]:
    """One connection of each kind for one token."""
    async with AsyncExitStack() as stack:
        ear = await stack.enter_async_context(Ear(hub.url, token))
        socket = await stack.enter_async_context(plain(hub, token))
        stream = await Stream(hub.http).open(token)
        stack.push_async_callback(stream.close)
        await stream.wait("connected")
        yield {"socketio": ear, "plain": socket, "sse": stream}


async def marked(hub: Living, token: str, id: str, what: str) -> Any:
    status, envelope = await hub.user("PATCH", f"/notifications/{id}/{what}", token)
    assert status == 200, envelope
    return envelope


def told(listener: Listener) -> list[str]:
    return [item.event for item in listener.heard if item.event.startswith("notification:")]


# -- by REST ---------------------------------------------------------------------------------------------
async def test_each_mark_changes_its_own_fields_and_doing_it_twice_changes_nothing(
    living: Start, url: str
) -> None:
    hub = await living(database_url=url)
    token = hub.token("42")
    await hub.notify("system", "user:42")
    id = (await hub.notify("system", "user:42"))["id"]
    _, before = await hub.user("GET", f"/notifications/{id}", token)
    for what, fields, unread in MARKS:
        after = await marked(hub, token, id, what)
        assert {name for name in after if after[name] != before[name]} == fields, what
        assert await marked(hub, token, id, what) == after
        assert (await hub.user("GET", f"/notifications/{id}", token))[1] == after
        assert (await hub.user("GET", "/notifications/unread-count", token))[1] == {"count": unread}, what
        before = after


async def test_an_etag_follows_every_mark(living: Start) -> None:
    hub = await living()
    token = hub.token("42")
    id = (await hub.notify("system", "user:42"))["id"]
    headers = {"Authorization": f"Bearer {token}"}
    for method, tail in [*(("PATCH", f"/{what}") for what, _, _ in MARKS), ("DELETE", "")]:
        async with hub.http.get("/notifications", headers=headers) as page:
            known = {**headers, "If-None-Match": page.headers["ETag"]}
        async with hub.http.get("/notifications", headers=known) as same:
            assert same.status == 304, tail
        await hub.user(method, f"/notifications/{id}{tail}", token)
        async with hub.http.get("/notifications", headers=known) as changed:
            assert changed.status == 200, tail


async def test_what_one_deletes_stays_with_the_others(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    mine, theirs = hub.token("42", "ADMIN"), hub.token("43", "ADMIN")
    id = (await hub.notify("system", "role:ADMIN"))["id"]
    async with screens(hub, mine) as own, screens(hub, theirs) as others:
        assert await hub.user("DELETE", f"/notifications/{id}", mine) == (204, None)
        for listener in own.values():
            assert await listener.wait("notification:deleted") == {"id": id}
            assert await listener.wait("notification:unread_count") == {"count": 0}
    assert [told(listener) for listener in others.values()] == [[], [], []]
    assert (await hub.user("GET", "/notifications", mine))[1] == []
    for method, tail in (("DELETE", ""), ("GET", ""), ("PATCH", "/unread")):
        status, problem = await hub.user(method, f"/notifications/{id}{tail}", mine)
        assert (status, problem["code"]) == (404, "notification_unknown")
    assert [item["id"] for item in (await hub.user("GET", "/notifications", theirs))[1]] == [id]


async def test_nobody_marks_what_is_not_in_their_inbox(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    id = (await hub.notify("system", "user:42"))["id"]
    paths = [("PATCH", f"/{what}") for what, _, _ in MARKS] + [("DELETE", ""), ("GET", "/timeline")]
    for token in (hub.token("43"), hub.token("43", "ADMIN"), hub.token("42", tenant="other")):
        for method, tail in paths:
            status, problem = await hub.user(method, f"/notifications/{id}{tail}", token)
            assert (status, problem["code"]) == (404, "notification_unknown")
    _, [item] = await hub.user("GET", "/notifications", hub.token("42"))
    assert (item["read"], item["seenAt"], item["archivedAt"]) == (False, None, None)


async def test_counts_by_type_and_channel_are_the_callers_own(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    mail = {"id": "42", "email": "ana@example.com"}
    await hub.notify("system", mail, channels=["inApp", "email"])
    ids = [(await hub.notify("reminder", "user:42"))["id"] for _ in range(3)]
    await hub.notify("system", {"id": "43", "email": "bo@example.com"}, channels=["inApp", "email"])
    token = hub.token("42")
    await marked(hub, token, ids[0], "read")
    await marked(hub, token, ids[1], "archive")
    assert await hub.user("GET", "/notifications/stats", token) == (
        200,
        {
            "total": 3,
            "unread": 2,
            "byType": {"reminder": {"total": 2, "unread": 1}, "system": {"total": 1, "unread": 1}},
            "byChannel": {"inApp": {"read": 1, "unread": 2}, "email": {"planned": 1}},
        },
    )
    _, empty = await hub.user("GET", "/notifications/stats", hub.token("44"))
    assert empty == {"total": 0, "unread": 0, "byType": {}, "byChannel": {"inApp": {"read": 0, "unread": 0}}}


async def test_a_timeline_shows_every_step_of_the_callers_own_deliveries(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    to = ["user:43", {"id": "42", "email": "ana@example.com"}]
    sent = await hub.notify("system", to, channels=["inApp", "email", "sms"])
    [mail] = [
        item["id"] for item in sent["deliveries"] if item["channel"] == "email" and item["userId"] == "42"
    ]
    work = Deliveries(hub.hub.db)
    for step in (
        Step(
            status=Status.FAILED,
            due_at=datetime.now(UTC),
            error="451 later",
            call=Call(number=1, outcome="temporary", duration_ms=12.5, detail="451 later"),
        ),
        Step(status=Status.SENT, call=Call(number=2, outcome="sent", duration_ms=7.25)),
    ):
        claim = await work.claim(mail, now=datetime.now(UTC), lease=30)
        assert claim is not None
        await work.start_call(mail, claim.fence, provider="smtp", now=datetime.now(UTC))
        await work.advance(mail, claim.fence, step, now=datetime.now(UTC))
    path = f"/notifications/{sent['id']}/timeline"
    status, steps = await hub.user("GET", path, hub.token("42"))
    assert status == 200
    assert [item["at"] for item in steps] == sorted(item["at"] for item in steps)
    assert [
        (item["step"], item["attempt"], item["outcome"], item["durationMs"])
        for item in steps
        if item["channel"] == "email"
    ] == [
        ("planned", None, None, None),
        ("attempt", 1, "temporary", 12.5),
        ("attempt", 2, "sent", 7.25),
        ("sent", None, None, None),
    ]
    first = next(item for item in steps if item["attempt"] == 1)
    assert (first["provider"], first["detail"], first["deliveryId"]) == ("smtp", "451 later", mail)
    [skipped] = [item for item in steps if item["channel"] == "sms"]
    assert (skipped["step"], skipped["detail"]) == ("skipped", "no address")
    _, theirs = await hub.user("GET", path, hub.token("43"))
    assert {item["deliveryId"] for item in theirs}.isdisjoint({item["deliveryId"] for item in steps})
    assert (await hub.user("GET", path, hub.token("44", "ADMIN")))[0] == 404
    only_in_app = await hub.notify("system", "user:42", channels=["inApp"])
    assert await hub.user("GET", f"/notifications/{only_in_app['id']}/timeline", hub.token("42")) == (200, [])


# -- live ------------------------------------------------------------------------------------------------
async def test_every_mark_reaches_all_of_the_users_screens_and_nobody_elses(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    token = hub.token("42", "ADMIN")
    id = (await hub.notify("system", "role:ADMIN"))["id"]
    strangers = (hub.token("43", "ADMIN"), hub.token("42", "ADMIN", tenant="other"))
    async with (
        screens(hub, token) as own,
        screens(hub, strangers[0]) as others,
        screens(hub, strangers[1]) as foreign,
    ):
        number = 0
        for what in ("archive", "unarchive", "seen", "read", "unread"):
            envelope = await marked(hub, token, id, what)
            again = await marked(hub, token, id, what)  # changes nothing, and nobody is told
            assert again == envelope
            if what != "read":
                number += 1
                for listener in own.values():
                    assert await listener.wait("notification:updated", count=number) == envelope, what
        await hub.notify("test", "user:42")
        for listener in own.values():
            await listener.wait("test")
            assert told(listener) == [
                *("notification:updated", "notification:unread_count") * 2,
                *("notification:seen", "notification:updated"),
                *("notification:read", "notification:unread_count"),
                *("notification:updated", "notification:unread_count"),
                *(["notification:new"] if isinstance(listener, Ear) else []),
            ]
            assert [item["count"] for item in listener.all("notification:unread_count")] == [0, 1, 0, 1]
    for listener in (*others.values(), *foreign.values()):
        assert told(listener) == []


async def test_seen_ids_are_answered_and_told_to_the_others_only(living: Start) -> None:
    hub = await living()
    token = hub.token("42")
    ids = [(await hub.notify("system", "user:42"))["id"] for _ in range(3)]
    foreign = (await hub.notify("system", "user:43"))["id"]
    async with Ear(hub.url, token) as asking, screens(hub, token) as others:
        first = await asking.ask("markSeen", {"ids": [ids[0]]})
        assert first["ids"] == [ids[0]]
        answer = await asking.ask("markSeen", {"ids": [*ids, foreign]})
        assert answer["ids"] == ids
        assert await asking.wait("notification:seen", count=2) == answer
        for listener in others.values():
            assert await listener.wait("notification:seen") == first
            assert await listener.wait("notification:seen", count=2) == {**answer, "ids": ids[1:]}
            await listener.wait("notification:updated", count=3)
        assert told(asking) == ["notification:seen"] * 2
    _, page = await hub.user("GET", "/notifications", token)
    assert [item["seenAt"] for item in page] == [answer["seenAt"]] * 2 + [first["seenAt"]]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "invalid_request"),
        ({"ids": []}, "invalid_request"),
        ({"ids": ["x" * 26] * 101}, "invalid_request"),
        ({"ids": {"a": 1}}, "invalid_request"),
        ({"ids": [7]}, "notification_unknown"),
        ({"ids": ["01J9Z3K4M5N6P7Q8R9S0T1V2W3"]}, "notification_unknown"),
    ],
)
async def test_what_cannot_be_seen_is_an_error(living: Start, data: Any, code: str) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42")) as ear:
        assert (await ear.ask("markSeen", data))["code"] == code


# -- the count at the door -------------------------------------------------------------------------------
@pytest.mark.parametrize("transport", ["socketio", "sse"])
async def test_what_is_stored_while_a_connection_opens_is_not_counted_twice(
    living: Start, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    hub = await living()
    await hub.notify("system", "user:42", title="before")
    count = hub.hub.inbox.unread_count

    async def late(*args: Any, **options: Any) -> int:
        """Something is stored after the connection has taken its place in the log."""
        monkeypatch.setattr(hub.hub.inbox, "unread_count", count)
        await hub.notify("system", "user:42", title="between")
        return await count(*args, **options)

    monkeypatch.setattr(hub.hub.inbox, "unread_count", late)
    listener: Any
    if transport == "socketio":
        listener = Ear(hub.url, hub.token("42"))
        await listener.open()
    else:
        listener = await Stream(hub.http).open(hub.token("42"))
    said = await listener.wait("connected")
    live = await listener.wait("system")
    await listener.close()
    assert (live["title"], said["unreadCount"] + len(listener.all("system"))) == ("between", 2)
