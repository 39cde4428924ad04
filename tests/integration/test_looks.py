"""Pages on the straight way of a real hub: the very answers of the general way, also after every change."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Self

import aiohttp

from hub.domain.drafts import Contact
from hub.services.wire import loads
from tests.living import Living, Start

COUNTED = ("X-Total-Count", "X-Unread-Count", "Link", "ETag", "Cache-Control", "Content-Type")


class Said(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Reader:
    """A person who asks on both ways, on connections that nothing else is asked on: of those that go to
    aiohttp, none comes back."""

    def __init__(self, hub: Living, user: str, *roles: str, **claims: Any) -> None:
        self.hub = hub
        self.bearer = f"Bearer {hub.token(user, *roles, **claims)}"
        self.http = aiohttp.ClientSession(hub.url, cookie_jar=aiohttp.DummyCookieJar())
        self.looks = 0
        begin_page, begin_count = hub.hub.inbox.begin_page, hub.hub.inbox.begin_unread_count

        def page(*given: Any, **more: Any) -> Any:
            self.looks += 1
            return begin_page(*given, **more)

        def count(*given: Any) -> Any:
            self.looks += 1
            return begin_count(*given)

        hub.hub.inbox.begin_page = page  # type: ignore[method-assign]
        hub.hub.inbox.begin_unread_count = count  # type: ignore[method-assign]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def ask(self, path: str, **headers: str) -> Said:
        given = {"Authorization": self.bearer, **headers}
        async with self.http.get(path, headers=given) as answer:
            kept = {name: answer.headers[name] for name in COUNTED if name in answer.headers}
            return Said(answer.status, kept, await answer.read())

    async def both(self, path: str) -> Said:
        """What both ways say; the straight one also when it is asked again, and with what it has said."""
        general = await self.ask(path, Origin="http://localhost")  # a page's request never goes straight
        before = self.looks
        assert await self.ask(path) == await self.ask(path) == general
        assert self.looks == before + 2
        if tag := general.headers.get("ETag"):
            headers = {name: value for name, value in general.headers.items() if name != "Content-Type"}
            known = await self.ask(path, **{"If-None-Match": tag})
            assert (known.status, known.body) == (304, b"")
            assert headers.items() <= known.headers.items()
        return general


async def test_both_ways_show_the_same_pages_and_counts(living: Start) -> None:
    hub = await living()
    await hub.hub.people.put("acme", Contact(user="42", email="ana@example.com", roles=("ADMIN",)))
    async with Reader(hub, "42", "ADMIN", sid="s1") as ana:
        await _compare(hub, ana)


async def _compare(hub: Living, ana: Reader) -> None:
    ids = []
    for number in range(24):
        to = [["user:42"], ["role:ADMIN"], ["tenant:acme"], ["session:s1", "user:42"]][number % 4]
        kind = "booking.confirmed" if number % 3 else "system"  # the first goes by mail too
        body = {"type": kind, "to": to, "title": f"n{number}", "data": {"ü": [number, None]}}
        ids.append((await hub.post("/notifications", body))["id"])
    await hub.post("/notifications", {"type": "system", "to": ["user:7"]})

    async def mark(method: str, path: str) -> None:
        async with hub.http.request(method, path, headers={"Authorization": ana.bearer}) as answer:
            assert answer.status < 300

    paths = [
        *("/notifications", "/notifications?limit=5", "/notifications?limit=5&offset=5"),
        *("/notifications?offset=23", "/notifications?offset=100", "/notifications?limit=100"),
        *("/notifications?read=true", "/notifications?read=false&archived=false&limit=3"),
        *("/notifications?archived=true", "/notifications?archived=false&limit=100"),
        "/notifications/unread-count",
    ]
    seen = {path: await ana.both(path) for path in paths}
    assert seen[paths[0]].headers["X-Total-Count"] == "24"
    assert [item["id"] for item in loads(seen["/notifications?limit=100"].body)] == ids[::-1]
    assert b'"channel":"email"' in seen[paths[0]].body
    for method, path in (
        ("PATCH", f"/notifications/{ids[23]}/read"),
        ("PATCH", f"/notifications/{ids[20]}/archive"),
        ("PATCH", f"/notifications/{ids[19]}/seen"),
        ("DELETE", f"/notifications/{ids[18]}"),
        ("PATCH", "/notifications/read-all"),
        ("PATCH", f"/notifications/{ids[3]}/unread"),
    ):
        await mark(method, path)
        for asked in paths:
            seen[asked] = await ana.both(asked)
    assert seen["/notifications/unread-count"].body == b'{"count":1}'
    await hub.post("/notifications", {"type": "system", "to": ["tenant:acme"]})
    assert (await ana.both("/notifications")).headers["X-Unread-Count"] == "2"


async def test_more_than_a_look_is_taken_where_much_was_put_away(living: Start) -> None:
    hub = await living()
    ids = [(await hub.post("/notifications", {"type": "system", "to": ["user:42"]}))["id"] for _ in range(40)]
    async with Reader(hub, "42") as ana:
        headers = {"Authorization": ana.bearer}
        for id in ids[8:]:
            async with hub.http.delete(f"/notifications/{id}", headers=headers) as answer:
                assert answer.status == 204
        page = await ana.both("/notifications?limit=3&offset=1")
    assert [id for id in ids if id.encode() in page.body] == ids[4:7]


async def test_a_token_that_was_called_back_shows_nothing_on_either_way(living: Start) -> None:
    hub = await living()
    await hub.post("/notifications", {"type": "system", "to": ["user:42"]})
    async with Reader(hub, "42", iat=1) as ana, Reader(hub, "7", iat=1) as ben:
        for reader in (ana, ben):
            assert (await reader.both("/notifications/unread-count")).status == 200
        await hub.post("/admin/revoke", {"userId": "42"})
        for path in ("/notifications", "/notifications/unread-count"):
            assert (await ana.ask(path)).status == 401
            assert (await ben.ask(path)).status == 200


async def test_everybody_who_asks_at_once_gets_their_own(living: Start) -> None:
    hub = await living()
    for number in range(8):
        for _ in range(number):
            await hub.post("/notifications", {"type": "system", "to": [f"user:{number}"]})
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(Reader(hub, str(number))) for number in range(8)]
        for reader in readers:
            await reader.ask("/notifications")
        pages = await asyncio.gather(*(reader.ask("/notifications") for reader in readers))
        counts = await asyncio.gather(*(reader.ask("/notifications/unread-count") for reader in readers))
    assert [int(page.headers["X-Total-Count"]) for page in pages] == list(range(8))
    assert [count.body for count in counts] == [b'{"count":%d}' % number for number in range(8)]
