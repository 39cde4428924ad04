"""Presence when processes are killed, stopped or sent away: right within a lease and a second (F1, F8)."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.hubs import HubCluster, token_for
from tests.living import Ear

pytestmark = pytest.mark.chaos
LEASE = 3.0
PATIENCE = 30.0


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[HubCluster]:
    env = {
        "HUB_PRESENCE_LEASE": str(LEASE),
        "HUB_PRESENCE_GRACE": "0.5",
        "RATE_LIMIT_MAX_REQUESTS": "10000",
    }
    async with HubCluster(tmp_path, hubs=2, env=env) as cluster:
        yield cluster


async def online(stack: AsyncExitStack, url: str, *users: str) -> None:
    for user in users:
        await stack.enter_async_context(Ear(url, token_for("acme", user, "CUSTOMER")))


async def comes_to_see(admin: Ear, *users: str) -> float:
    """Waits until the answer names exactly these. Returns the seconds that took."""
    started, seen = time.monotonic(), None
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                answer: Any = await admin.ask("getPresence", {"room": "role:CUSTOMER"})
                seen = [user["userId"] for user in answer["users"]]
                if seen == sorted(users) and "partial" not in answer:
                    return time.monotonic() - started
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"sees {seen}, not {sorted(users)}") from None


def named(user: str) -> Callable[[Any], bool]:
    return lambda data: bool(data["userId"] == user)


async def test_the_connections_of_a_killed_process_are_gone_within_its_lease(cluster: HubCluster) -> None:
    near, far = cluster.urls
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(Ear(near, token_for("acme", "1", "ADMIN")))
        await online(stack, near, "a", "b")
        await online(stack, far, "b", "c", "d")
        await comes_to_see(admin, "a", "b", "c", "d")
        await cluster.kill9(1)
        assert await comes_to_see(admin, "a", "b") <= LEASE + 1
        for user in ("c", "d"):
            await admin.wait("presence:leave", named(user))
        assert {data["userId"] for data in admin.all("presence:leave")} == {"c", "d"}, "b is still here"
        await cluster.start(1)
        await online(stack, far, "c")
        await comes_to_see(admin, "a", "b", "c")


async def test_a_process_that_is_told_to_stop_is_gone_at_once(cluster: HubCluster) -> None:
    near, far = cluster.urls
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(Ear(near, token_for("acme", "1", "ADMIN")))
        await online(stack, far, "c", "d")
        await comes_to_see(admin, "c", "d")
        stopping = asyncio.create_task(cluster.terminate(1))
        assert await comes_to_see(admin) < LEASE / 2
        assert await stopping == 0


async def test_a_stopped_process_is_gone_after_its_lease_and_back_when_it_goes_on(
    cluster: HubCluster,
) -> None:
    near, far = cluster.urls
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(Ear(near, token_for("acme", "1", "ADMIN")))
        await online(stack, near, "a")
        await online(stack, far, "c", "d")
        await comes_to_see(admin, "a", "c", "d")
        process = cluster.nodes[1].process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            assert await comes_to_see(admin, "a") <= LEASE + 1
        finally:
            process.send_signal(signal.SIGCONT)
        assert await comes_to_see(admin, "a", "c", "d") <= LEASE + 1


async def test_after_redis_came_back_empty_presence_is_right_within_a_lease(cluster: HubCluster) -> None:
    near, far = cluster.urls
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(Ear(near, token_for("acme", "1", "ADMIN")))
        await online(stack, near, "a")
        await online(stack, far, "c", "d")
        await comes_to_see(admin, "a", "c", "d")
        cluster.kill_valkey()
        cluster.start_valkey()
        await asyncio.sleep(LEASE / 3)
        assert await comes_to_see(admin, "a", "c", "d") <= LEASE + 1
