"""A part is away: what is accepted stays accepted, what cannot be accepted says so, and all is well after."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import socketio

from hub.cluster.embedded import free_port
from tests.databases import Postgres
from tests.living import Ear, Living, Start, Stream
from tests.valkeys import Proxy, Valkey

QUICK: dict[str, Any] = {"poll_seconds": 0.2}


def nowhere() -> str:
    """A Redis that is not there."""
    return f"redis://127.0.0.1:{free_port()}/0"


async def _titles(listener: Any, count: int) -> list[str]:
    await listener.wait("system", count=count)
    return [item["title"] for item in listener.all("system")]


# -- two processes -----------------------------------------------------------------------------------


async def test_an_event_posted_to_one_process_is_seen_at_both(living: Start) -> None:
    one, two = await living(), await living()
    async with Ear(one.url, one.token("42")) as here, Ear(two.url, one.token("42")) as there:
        await one.notify("system", "user:42", title="a")
        await two.notify("system", "user:42", title="b")
        assert await _titles(here, 2) == ["a", "b"]
        assert await _titles(there, 2) == ["a", "b"]
        await here.ask("markAllRead")
        assert (await there.wait("notification:read_all"))["unreadCount"] == 0


async def test_a_client_that_is_ahead_of_the_process_it_comes_to_gets_nothing_twice(living: Start) -> None:
    one, two = await living(), await living(redis_url=nowhere(), poll_seconds=60)
    async with Ear(two.url, two.token("42")) as ear:  # the second follows the tenant, and hears nothing
        last = await one.notify("system", "user:42", title="1")
        async with Ear(two.url, two.token("42"), cursor=last["cursor"]) as back:
            assert back.connected["recovered"] is True
            assert back.connected["cursor"] == last["cursor"]
            assert await _titles(ear, 1) == ["1"]  # it was caught up by the other's cursor
            assert back.all("system") == []


async def test_events_that_the_bus_never_carried_are_found(living: Start) -> None:
    one, two = await living(), await living(redis_url=nowhere(), **QUICK)
    async with Ear(two.url, two.token("42")) as ear:
        for number in range(5):
            await one.notify("system", "user:42", title=str(number))
        assert await _titles(ear, 5) == list("01234")


async def test_a_stock_emitter_in_another_program_reaches_the_rooms(living: Start, valkey_url: str) -> None:
    hub = await living()
    emitter = socketio.RedisManager(valkey_url, write_only=True)
    await hub.hub.manager.listening()  # before the first client has come
    async with (
        Ear(hub.url, hub.token("42", "ADMIN")) as acme,
        Ear(hub.url, hub.token("42", "ADMIN", tenant="default")) as default,
    ):
        for room in ("role:ADMIN", "acme/role:ADMIN"):
            await asyncio.to_thread(emitter.emit, "legacy", {"room": room}, room=room)
        assert await default.wait("legacy") == {"room": "role:ADMIN"}
        assert await acme.wait("legacy") == {"room": "acme/role:ADMIN"}
        await asyncio.to_thread(emitter.emit, "done", {}, room="acme/role:ADMIN")
        await acme.wait("done")
        assert len(acme.all("legacy")) == 1


# -- Redis -------------------------------------------------------------------------------------------


async def test_without_redis_posts_are_accepted_and_local_clients_see_them(
    living: Start, valkey: Valkey
) -> None:
    hub = await living(redis_url=valkey.url, **QUICK)
    async with Ear(hub.url, hub.token("42")) as ear:
        valkey.kill()
        for number in range(3):
            await hub.notify("system", "user:42", title=str(number))
        assert await _titles(ear, 3) == list("012")
        async with Ear(hub.url, hub.token("42"), cursor=ear.connected["cursor"]) as late:
            assert late.connected["replayed"] == 3


async def test_redis_restarted_empty_loses_nothing_between_processes(living: Start, valkey: Valkey) -> None:
    one = await living(redis_url=valkey.url, poll_seconds=60)
    two = await living(redis_url=valkey.url, poll_seconds=60)
    async with Ear(two.url, two.token("42")) as ear:
        await one.notify("system", "user:42", title="before")
        await _titles(ear, 1)
        valkey.kill()
        await one.notify("system", "user:42", title="during")
        valkey.start()
        assert await _titles(ear, 2) == ["before", "during"]  # by catching up, for nothing polls here


async def test_a_redis_that_hangs_keeps_no_post_waiting(living: Start, valkey: Valkey) -> None:
    hub = await living(redis_url=valkey.url, **QUICK)
    async with Ear(hub.url, hub.token("42")) as ear:
        valkey.pause()
        try:
            async with asyncio.timeout(5):
                for number in range(10):
                    await hub.notify("system", "user:42", title=str(number))
            assert await _titles(ear, 10) == list("0123456789")
            status, problem = await hub.user("POST", "/auth/ticket", hub.token("42"))
            assert (status, problem["code"]) == (503, "unavailable")
        finally:
            valkey.resume()


async def test_a_half_open_redis_is_bridged_by_the_poll(living: Start, proxy: Proxy, valkey: Valkey) -> None:
    one = await living(redis_url=valkey.url)
    two = await living(redis_url=proxy.url, **QUICK)
    async with Ear(two.url, two.token("42")) as ear:
        proxy.freeze()
        await one.notify("system", "user:42", title="x")
        assert await _titles(ear, 1) == ["x"]


# -- the database ------------------------------------------------------------------------------------


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else writes, and does not stop."""
    with sqlite3.connect(url.partition(":///")[2], isolation_level=None) as conn:
        conn.execute("BEGIN IMMEDIATE")
        yield
        conn.execute("ROLLBACK")
    conn.close()


async def _refused(hub: Living) -> None:
    body = {"type": "system", "to": "user:42", "title": "never"}
    headers = {"X-API-Key": "hub_development_key_never_for_production", "X-Tenant-Id": "acme"}
    async with hub.http.post("/notifications", json=body, headers=headers) as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await answer.json(content_type=None))["code"] == "store_unavailable"


async def test_a_locked_database_is_503_and_sockets_stay(living: Start, sqlite_url: str) -> None:
    hub = await living(database_timeout=2.0)
    async with Ear(hub.url, hub.token("42")) as ear:
        await hub.notify("system", "user:42", title="before")
        with locked(sqlite_url):
            await _refused(hub)
            assert (await ear.ask("ping"))["timestamp"]
        await hub.notify("system", "user:42", title="after")
        assert await _titles(ear, 2) == ["before", "after"]
    _, page = await hub.user("GET", "/notifications", hub.token("42"))
    assert [item["title"] for item in page] == ["after", "before"]


@pytest.mark.postgres
async def test_a_postgresql_that_hangs_is_503_and_then_well_again(
    living: Start, postgres: Postgres, postgres_url: str
) -> None:
    hub = await living(database_url=postgres_url, database_timeout=1.0)
    async with Ear(hub.url, hub.token("42")) as ear:
        await hub.notify("system", "user:42", title="before")
        postgres.freeze()
        try:
            await _refused(hub)
            async with hub.http.get("/readyz") as answer:
                assert answer.status == 503
            async with hub.http.get("/livez") as answer:
                assert answer.status == 200
        finally:
            postgres.thaw()
        async with asyncio.timeout(10):
            while True:
                async with hub.http.get("/readyz") as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.05)
        await hub.notify("system", "user:42", title="after")
        assert await _titles(ear, 2) == ["before", "after"]


async def test_a_full_disk_stores_nothing_and_says_so(living: Start, sqlite_url: str) -> None:
    hub = await living()
    await hub.notify("system", "user:42", title="before")
    async with hub.hub.db.write() as conn:
        pages = (await conn.exec_driver_sql("PRAGMA page_count")).scalar()
        await conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    body = {"type": "system", "to": "user:42", "data": {"pad": "x" * 60_000}}
    headers = {"X-API-Key": "hub_development_key_never_for_production", "X-Tenant-Id": "acme"}
    async with hub.http.post("/notifications", json=body, headers=headers) as answer:
        assert answer.status == 503
    async with hub.hub.db.write() as conn:
        await conn.exec_driver_sql("PRAGMA max_page_count = 1073741823")
    after = await hub.notify("system", "user:42", title="after")
    assert after["cursor"].endswith(":2")


@pytest.fixture
async def stream(living: Start) -> AsyncIterator[tuple[Living, Stream]]:
    hub = await living()
    reader = await Stream(hub.http).open(hub.token("42"))
    await reader.wait("connected")
    yield hub, reader
    await reader.close()


async def test_a_sender_that_hangs_up_changes_nothing_for_the_receivers(
    stream: tuple[Living, Stream],
) -> None:
    """The request is cancelled while its commit is under way: stored or not, and shown if it was."""
    hub, reader = stream
    headers = {"X-API-Key": "hub_development_key_never_for_production", "X-Tenant-Id": "acme"}
    for number in range(1, 21):
        body = {"type": "system", "to": "user:42", "title": str(number)}
        task = asyncio.create_task(hub.http.post("/notifications", json=body, headers=headers).__aenter__())
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
    last = await hub.notify("test", "user:42")
    await reader.wait("test", lambda data: data["id"] == last["id"])
    _, page = await hub.user("GET", "/notifications", hub.token("42"), params={"limit": 100})
    shown = [item["id"] for item in reader.heard if item.event == "system" for item in [item.data]]
    assert shown == [item["id"] for item in reversed(page) if item["type"] == "system"]


# -- quotas ------------------------------------------------------------------------------------------


async def test_a_tenant_over_its_quota_is_told_to_wait_and_harms_nobody_else(living: Start) -> None:
    one, two = await living(tenant_events_per_minute=3), await living(tenant_events_per_minute=3)
    for hub in (one, two, one):
        await hub.notify("system", "user:42")
    headers = {"X-API-Key": "hub_development_key_never_for_production", "X-Tenant-Id": "acme"}
    body = {"type": "system", "to": "user:42"}
    async with two.http.post("/notifications", json=body, headers=headers) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (429, "rate_limited")
        seconds = answer.headers["Retry-After"]
        assert 1 <= int(seconds) <= 60
        assert answer.headers["RateLimit-Policy"] == '"tenant";q=3;w=60'
        assert answer.headers["RateLimit"] == f'"tenant";r=0;t={seconds}'
    await two.notify("system", "user:42", tenant="other")
    _, page = await one.user("GET", "/notifications", one.token("42"))
    assert len(page) == 3
