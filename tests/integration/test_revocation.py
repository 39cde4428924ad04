"""Tokens called back: refused everywhere, and every connection they hold ended, in every process."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from hub.cluster.embedded import EmbeddedValkey, free_port
from hub.store import tables
from tests.living import PATIENCE, Ear, Living, Start, Stream

AWAY = {"redis_url": "redis://127.0.0.1:1/0"}  # where nobody answers
WAYS = ("userId", "sessionId", "jti", "issuedBefore")


def old(hub: Living, user: str = "42", *roles: str, **claims: Any) -> str:
    """A token of somebody who signed in a minute ago."""
    return hub.token(
        user, *roles, **{"iat": int(time.time()) - 60, "sid": f"s{user}", "jti": f"j{user}", **claims}
    )


def revoked(way: str) -> dict[str, str]:
    now = datetime.now(UTC).isoformat()
    return {way: {"userId": "42", "sessionId": "s42", "jti": "j42", "issuedBefore": now}[way]}


class PlainEar:
    """A plain WebSocket that keeps what it hears."""

    def __init__(self, hub: Living, token: str) -> None:
        self._hub, self._token = hub, token
        self.heard: list[dict[str, Any]] = []

    async def __aenter__(self) -> PlainEar:
        headers = {"Authorization": f"Bearer {self._token}"}
        self._socket = await self._hub.http.ws_connect("/ws/notifications", headers=headers)
        assert (await self._socket.receive_json(timeout=PATIENCE))["event"] == "connected"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def end(self) -> dict[str, Any]:
        """What `session:closed` said, once the socket is closed."""
        async with asyncio.timeout(PATIENCE):
            async for message in self._socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self.heard.append(json.loads(message.data))
        return next(item["data"] for item in self.heard if item["event"] == "session:closed")


async def refused(hub: Living, token: str) -> str:
    status, shape = await hub.user("GET", "/notifications", token)
    return shape["code"] if status == 401 else str(status)


CLOSED = {"code": "token_revoked", "reason": "the token was revoked", "reconnect": False}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("redis", [True, False], ids=["by the bus", "without Redis"])
async def test_what_is_revoked_ends_on_every_transport_of_every_process(
    living: Start, monkeypatch: pytest.MonkeyPatch, way: str, *, redis: bool
) -> None:
    given = {} if redis else AWAY
    if redis:  # the bus alone has to bring it
        monkeypatch.setattr("hub.services.watching.LOOK_SECONDS", 3600.0)
    here, there = await living(**given), await living(**given)
    token, other = old(here), old(here, "7", iat=int(time.time()) + 20)
    stays = Ear(there.url, other)
    await stays.open()
    async with Ear(here.url, token) as near, Ear(there.url, token) as far, PlainEar(there, token) as plain:
        stream = await Stream(there.http).open(token)
        await stream.wait("connected")
        ticket = (await there.user("POST", "/auth/ticket", token))[1]["ticket"] if redis else None
        await here.post("/admin/revoke", revoked(way))
        assert await refused(here, token) == "token_revoked"  # at once where it was asked for
        for listener in (near, far, stream):
            assert await listener.wait("session:closed") == CLOSED
        assert await plain.end() == CLOSED
        await near.wait("disconnect")
        await far.wait("disconnect")
        async with asyncio.timeout(PATIENCE):
            await stream.ended.wait()
        await stream.close()
    assert await refused(there, token) == "token_revoked"
    again = Ear(there.url, token)
    with suppress(Exception):
        await again.client.connect(there.url, auth=again.auth, transports=["websocket"])
    assert (await again.wait("connect_error"))["data"]["code"] == "token_revoked"
    for path in ("/notifications/sse", "/ws/notifications"):
        assert (await there.user("GET", path, token))[1]["code"] == "token_revoked"
    if ticket:
        async with there.http.get("/notifications/sse", params={"ticket": ticket}) as answer:
            assert (await answer.json())["code"] == "token_revoked"
    # Somebody else, who signed in since, has noticed nothing.
    assert await refused(there, other) == "200"
    assert await stays.ask("ping")
    assert not stays.all("session:closed")
    await stays.close()


async def test_redis_may_die_before_a_revocation_and_it_still_arrives(living: Start, tmp_path: Any) -> None:
    valkey = EmbeddedValkey(tmp_path / "valkey", port=free_port())
    valkey.start()
    try:
        here, there = await living(redis_url=valkey.url), await living(redis_url=valkey.url)
        token = old(here)
        async with Ear(there.url, token) as ear:
            valkey.stop()
            await here.post("/admin/revoke", {"userId": "42"})
            assert await ear.wait("session:closed") == CLOSED
        assert await refused(there, token) == "token_revoked"
    finally:
        valkey.stop()


async def test_who_signs_in_again_may_come_but_not_into_a_revoked_session(living: Start) -> None:
    hub = await living()
    await hub.post("/admin/revoke", {"userId": "42"})
    await hub.post("/admin/revoke", {"sessionId": "s7"})
    later = int(time.time()) + 2
    assert await refused(hub, old(hub)) == "token_revoked"
    assert await refused(hub, hub.token("42")) == "token_revoked"  # it does not say when it was issued
    assert await refused(hub, old(hub, iat=later)) == "200"
    assert await refused(hub, old(hub, "7", iat=later)) == "token_revoked"
    assert await refused(hub, old(hub, "7", iat=later, sid="s8")) == "200"


async def test_a_revocation_is_of_one_tenant(living: Start) -> None:
    hub = await living()
    foreign = old(hub, tenant="globex")
    async with Ear(hub.url, foreign) as ear:
        for way in WAYS:
            await hub.post("/admin/revoke", revoked(way))
        assert await refused(hub, foreign) == "200"
        assert await ear.ask("ping")


async def test_a_connection_cannot_be_refreshed_with_a_revoked_token(living: Start) -> None:
    hub = await living()
    async with Ear(hub.url, old(hub, jti="first")) as ear:
        await hub.post("/admin/revoke", {"jti": "second"})
        await ear.say("refresh", {"token": old(hub, jti="second")})
        assert (await ear.wait("error"))["code"] == "token_revoked"
        await ear.say("refresh", {"token": old(hub, jti="third")})
        await ear.wait("auth:refreshed")
        await hub.post("/admin/revoke", {"jti": "first"})  # what it came with is no longer its token
        await hub.post("/admin/revoke", {"jti": "third"})
        assert await ear.wait("session:closed") == CLOSED


async def test_an_expired_token_ends_its_connection_unless_it_is_refreshed(living: Start) -> None:
    hub = await living()
    ends = hub.token("42", lives=-27)  # within the leeway; its grace is over in a moment
    goes_on = hub.token("7", lives=-27)
    async with Ear(hub.url, ends) as ear, Ear(hub.url, goes_on) as other:
        await other.ask("refresh", {"token": hub.token("7")})
        assert (await ear.wait("session:closed"))["code"] == "token_expired"
        assert await other.ask("ping")
        assert not other.all("session:closed")


async def test_a_process_that_starts_later_knows_what_was_revoked(living: Start) -> None:
    first = await living()
    token = old(first)
    await first.post("/admin/revoke", {"jti": "j42"})
    assert await refused(await living(), token) == "token_revoked"


async def test_the_answer_says_until_when_and_the_row_goes_when_no_token_can_live(
    living: Start, url: str
) -> None:
    hub = await living(database_url=url, revocation_days=10, jwt_expires_in=3600)
    said = await hub.post("/admin/revoke", {"jti": "j42"})
    until = datetime.fromisoformat(said["expiresAt"])
    assert timedelta(days=9.9) < until - datetime.now(UTC) < timedelta(days=10.1)
    await hub.post("/admin/revoke", {"jti": "j43"})
    rows = hub.hub.timers._revocations
    assert await rows.forget(until - timedelta(hours=1)) == 0
    assert await rows.forget(until + timedelta(hours=1)) == 1  # the newest stays: its number is taken
    async with hub.hub.db.read() as conn:
        numbers = (await conn.execute(select(tables.revocations.c.number))).scalars().all()
    assert numbers == [2]
    hub.hub.revocations._revoked.forget((until + timedelta(hours=1)).timestamp())
    assert await refused(hub, old(hub)) == "200"


async def test_many_revoke_at_once_and_every_process_learns_all(living: Start, url: str) -> None:
    here, there = (
        await living(database_url=url, **AWAY),
        await living(database_url=url, **AWAY),
    )
    asked = [
        hub.post("/admin/revoke", {"jti": f"{number}-{place}"})
        for number in range(20)
        for place, hub in enumerate((here, there))
    ]
    await asyncio.gather(*asked)
    async with asyncio.timeout(PATIENCE):
        while len(there.hub.revocations._revoked) < 40 or len(here.hub.revocations._revoked) < 40:
            await here.hub.revocations.look()
            await there.hub.revocations.look()
    async with here.hub.db.read() as conn:
        numbers = (await conn.execute(select(tables.revocations.c.number))).scalars().all()
    assert sorted(numbers) == list(range(1, 41))


BAD = [
    {},
    {"userId": "42", "jti": "x"},
    {"userId": "a b"},
    {"sessionId": ""},
    {"jti": ""},
    {"jti": "x" * 256},
    {"issuedBefore": "yesterday"},
    {"issuedBefore": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
    {"everybody": True},
]


async def test_a_revocation_of_nothing_sensible_is_refused(living: Start) -> None:
    hub = await living()
    for body in BAD:
        status, shape = await hub.user("POST", "/admin/revoke", hub.token("1", "ADMIN"), json=body)
        assert (status, shape["code"]) == (422, "validation_failed"), body
