"""Presence as clients and admins see it: counts over all processes, news for those who asked, no secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.settings import DEVELOPMENT_KEY
from tests.living import PATIENCE, Ear, Living, Start, Stream
from tests.valkeys import Valkey

LEASE = 3.0
GRACE = 0.4
QUICK: dict[str, Any] = {"presence_lease": LEASE, "presence_grace": GRACE}


async def stats(ear: Ear, room: str | None = None) -> Any:
    return await ear.ask("getPresence", {} if room is None else {"room": room})


async def until(ear: Ear, room: str | None = None, **expected: Any) -> Any:
    """What is answered once it says this."""
    seen: Any = None
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                seen = await stats(ear, room)
                if all(seen.get(name) == value for name, value in expected.items()):
                    return seen
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{seen} does not say {expected}") from None


async def two(living: Start, **more: Any) -> tuple[Living, Living]:
    options = {**QUICK, "rate_limit_max_requests": 1000, **more}
    return await living(**options), await living(**options)


async def overview(hub: Living, query: str = "", *, tenant: str = "acme") -> Any:
    status, answer = await hub.user(
        "GET", f"/admin/presence{query}", hub.token("boss", "ADMIN", tenant=tenant)
    )
    assert status == 200, answer
    return answer


async def counted(*hubs: Living, connections: int) -> None:
    """Waits until all of them show so many."""
    async with asyncio.timeout(PATIENCE):
        for hub in hubs:
            while (await overview(hub))["connections"] != connections:
                await asyncio.sleep(0.02)


def named(user: str) -> Callable[[Any], bool]:
    return lambda data: bool(data["userId"] == user)


async def test_stats_count_users_roles_connections_and_sessions_of_all_processes(living: Start) -> None:
    one, other = await two(living)
    stream = await Stream(other.http).open(other.token("7", "CUSTOMER", "GUEST", sid="s7"))
    async with (
        Ear(one.url, one.token("1", "ADMIN", sid="s1")) as admin,
        Ear(other.url, other.token("1", "ADMIN", sid="s1")),
        Ear(other.url, other.token("7", "CUSTOMER", "GUEST", sid="s8"), namespace="/ws/notifications") as ear,
    ):
        expected = {
            "room": "tenant:acme",
            "totalOnline": 2,
            "byRole": {"ADMIN": 1, "CUSTOMER": 1, "GUEST": 1},
            "connections": 4,
            "sessions": 3,
        }
        users = [
            {"userId": "1", "roles": ["ADMIN"], "connections": 2},
            {"userId": "7", "roles": ["CUSTOMER", "GUEST"], "connections": 2},
        ]
        assert await until(admin, connections=4) == expected | {"users": users}
        assert await until(ear, connections=4) == expected, "users are for admins"
        assert (await admin.wait("presenceStats", lambda data: data["connections"] == 4))["users"] == users
        assert await stats(admin, "role:CUSTOMER") == {
            "room": "role:CUSTOMER",
            "totalOnline": 1,
            "byRole": {"CUSTOMER": 1, "GUEST": 1},
            "connections": 2,
            "sessions": 2,
            "users": users[1:],
        }
        assert (await stats(admin, "user:nobody"))["totalOnline"] == 0
        assert (await stats(ear, "session:s8"))["connections"] == 1
        shown = await overview(one)
        assert shown["byTransport"] == {"socketio": 3, "sse": 1}
        assert sorted(shown["nodes"].values()) == [1, 3]
        assert shown["users"] == users
        assert (shown["totalOnline"], shown["connections"], shown["sessions"]) == (2, 4, 3)
        assert {key: value for key, value in (await overview(other)).items() if key != "nodes"} == {
            key: value for key, value in shown.items() if key != "nodes"
        }
    await stream.close()


async def test_a_user_is_announced_once_and_a_reconnect_not_at_all(living: Start) -> None:
    one, other = await two(living, presence_grace=2.0)
    async with (
        Ear(one.url, one.token("1", "ADMIN")) as near,
        Ear(other.url, other.token("2", "ADMIN")) as far,
    ):
        await until(near, totalOnline=2)
        await until(far, totalOnline=2)
        ana = Ear(one.url, one.token("42", "CUSTOMER"))
        await ana.open()
        for watcher in (near, far):
            joined = await watcher.wait("presence:join", named("42"))
            assert joined | {"at": ""} == {
                "room": "tenant:acme",
                "userId": "42",
                "roles": ["CUSTOMER"],
                "at": "",
            }
            assert datetime.fromisoformat(joined["at"]).tzinfo is not None
        # Who asks again during the grace is told that she is away; so it is somebody else who counts here.
        async with Ear(other.url, other.token("42", "CUSTOMER")):
            await counted(one, other, connections=4)
            await ana.close()
            await counted(one, other, connections=3)
        await counted(one, other, connections=2)
        async with Ear(other.url, other.token("42", "CUSTOMER")) as again:
            await counted(one, other, connections=3)
            async with Ear(one.url, one.token("43")):
                for watcher in (near, far):
                    await watcher.wait("presence:join", named("43"))
            for watcher in (near, far):
                left = await watcher.wait("presence:leave", named("43"))
                assert left["roles"] == []
                joins = [item["userId"] for item in watcher.all("presence:join")]
                assert [user for user in joins if user not in ("1", "2")] == ["42", "43"]
                assert [item["userId"] for item in watcher.all("presence:leave")] == ["43"]
            assert again.all("presence:join") == [], "it has not asked"


async def test_a_leave_comes_when_the_grace_is_over(living: Start) -> None:
    hub = await living(**QUICK)
    async with Ear(hub.url, hub.token("1", "ADMIN")) as admin:
        await stats(admin)
        async with Ear(hub.url, hub.token("42")):
            await admin.wait("presence:join", named("42"))
        left = await admin.wait("presence:leave", named("42"))
        joined = admin.all("presence:join")[0]
        assert datetime.fromisoformat(left["at"]) > datetime.fromisoformat(joined["at"])


async def test_who_still_has_a_connection_anywhere_has_not_left(living: Start) -> None:
    one, other = await two(living)
    async with Ear(one.url, one.token("1", "ADMIN")) as admin, Ear(other.url, other.token("42")):
        await until(admin, totalOnline=2)
        async with Ear(one.url, one.token("42")):
            await counted(one, connections=3)
        await counted(one, connections=2)
        async with Ear(one.url, one.token("43")):
            await admin.wait("presence:join", named("43"))
        await admin.wait("presence:leave", named("43"))  # by now the grace of the other is over
        assert [item["userId"] for item in admin.all("presence:leave")] == ["43"]


async def test_who_may_not_see_users_learns_of_nobody_by_name(living: Start) -> None:
    hub = await living(**QUICK)
    async with (
        Ear(hub.url, hub.token("1", "ADMIN")) as admin,
        Ear(hub.url, hub.token("42", "CUSTOMER")) as ear,
    ):
        await stats(admin)
        answer = await stats(ear)
        async with Ear(hub.url, hub.token("secret-user", "CUSTOMER")):
            assert (await admin.wait("presence:join"))["userId"] == "secret-user"
            joined = await ear.wait("presence:join")
            assert joined["userId"] is None
            assert joined["roles"] == ["CUSTOMER"]
        await ear.wait("presence:leave")
        assert "users" not in answer
        assert not any("secret-user" in str(item) for item in ear.heard)
        status, problem = await hub.user("GET", "/admin/presence", hub.token("42", "CUSTOMER"))
        assert (status, problem["code"]) == (403, "forbidden")


@pytest.mark.parametrize("roles", ["*", "ADMIN,CUSTOMER"])
async def test_a_setting_says_which_roles_see_users(living: Start, roles: str) -> None:
    hub = await living(presence_roles=roles)
    async with (
        Ear(hub.url, hub.token("42", "CUSTOMER")) as ear,
        Ear(hub.url, hub.token("43", "GUEST")) as guest,
    ):
        assert [user["userId"] for user in (await stats(ear))["users"]] == ["42", "43"]
        assert ("users" in await stats(guest)) == (roles == "*")


async def test_only_own_rooms_are_shown_and_an_admin_sees_every_room_of_the_tenant(living: Start) -> None:
    hub = await living(rate_limit_max_requests=100)
    async with (
        Ear(hub.url, hub.token("1", "ADMIN")) as admin,
        Ear(hub.url, hub.token("42", "CUSTOMER", topics=["jobs.*"])) as ear,
    ):
        for room in ("user:42", "role:CUSTOMER", "tenant:acme", "topic:jobs.hanoi"):
            assert (await stats(ear, room))["room"] == room
        for room in ("user:1", "role:ADMIN", "session:x", "topic:news"):
            assert (await stats(ear, room))["code"] == "room_forbidden"
            assert (await stats(admin, room))["room"] == room
        for caller in (ear, admin):
            for room in ("tenant:other", "nowhere", "user:", "other/user:1"):
                assert (await stats(caller, room))["code"] == "room_invalid"
        assert (await admin.ask("getPresence", "user:42"))["totalOnline"] == 1
        assert (await admin.ask("getPresence"))["totalOnline"] == 2
        assert (await admin.ask("getPresence", [1]))["code"] == "room_invalid"


async def test_topic_rooms_follow_those_who_join_and_leave_them(living: Start) -> None:
    one, other = await two(living)
    topics: Any = {"topics": ["jobs.*"]}
    async with (
        Ear(one.url, one.token("1", **topics), rooms=["topic:jobs.hanoi"]) as first,
        Ear(other.url, other.token("2", **topics)) as second,
    ):
        assert (await stats(first, "topic:jobs.hanoi"))["totalOnline"] == 1
        await second.ask("joinRoom", {"room": "topic:jobs.hanoi"})
        await first.wait("presence:join")
        assert (await until(second, "topic:jobs.hanoi", totalOnline=2))["connections"] == 2
        await second.ask("leaveRoom", {"room": "topic:jobs.hanoi"})
        await first.wait("presence:leave")
        assert (await until(first, "topic:jobs.hanoi", totalOnline=1))["connections"] == 1


async def test_news_end_when_the_connection_leaves_the_room_or_loses_the_right(living: Start) -> None:
    hub = await living(**QUICK, rate_limit_max_requests=100)
    async with (
        Ear(hub.url, hub.token("1", "ADMIN")) as admin,
        Ear(hub.url, hub.token("2", topics=["a", "b"]), rooms=["topic:a", "topic:b"]) as ear,
    ):
        for room in ("topic:a", "topic:b"):
            await stats(ear, room)
            await stats(admin, room)
        await ear.ask("leaveRoom", {"room": "topic:a"})
        await ear.ask("refresh", {"token": hub.token("2", topics=["a"])})
        await admin.wait("presence:leave", lambda data: data["room"] == "topic:b")
        async with Ear(hub.url, hub.token("3", topics=["a", "b"]), rooms=["topic:a", "topic:b"]):
            await admin.wait("presence:join", count=2)
            await ear.ask("ping")
            assert ear.all("presence:join") == ear.all("presence:leave") == []


async def test_a_changed_role_is_counted_at_once(living: Start) -> None:
    one, other = await two(living)
    async with (
        Ear(one.url, one.token("1", "ADMIN")) as admin,
        Ear(other.url, other.token("2", "GUEST")) as ear,
    ):
        await until(admin, byRole={"ADMIN": 1, "GUEST": 1})
        await stats(admin, "role:VIP")
        await ear.ask("refresh", {"token": other.token("2", "VIP")})
        await until(admin, byRole={"ADMIN": 1, "VIP": 1})
        await admin.wait("presence:join", lambda data: data["room"] == "role:VIP")
        assert admin.all("presence:leave") == []


async def test_another_tenant_is_neither_counted_nor_shown(living: Start) -> None:
    one, other = await two(living)
    async with (
        Ear(one.url, one.token("1", "ADMIN")) as admin,
        Ear(one.url, one.token("9", "ADMIN", tenant="rival")) as rival,
    ):
        await stats(admin)
        await stats(rival)
        async with Ear(other.url, other.token("canary", "ADMIN", tenant="rival")):
            await rival.wait("presence:join", named("canary"))
            await until(rival, totalOnline=2)
            assert (await stats(admin))["totalOnline"] == 1
            assert (await overview(one))["totalOnline"] == 1
            shown = await overview(other, "?user=canary")
            assert shown["named"] == [{"userId": "canary", "online": False, "lastSeen": None}]
            headers = {"X-Tenant-Id": "rival"}
            async with one.http.get(
                "/admin/presence", headers={"Authorization": f"Bearer {one.token('1', 'ADMIN')}", **headers}
            ) as answer:
                assert answer.status == 403
            status, problem = await one.user(
                "GET", "/admin/presence?room=tenant:rival", one.token("1", "ADMIN")
            )
            assert (status, problem["code"]) == (422, "room_invalid")
        await rival.wait("presence:leave", named("canary"))
        assert not any("canary" in str(item) for item in admin.heard)


async def test_the_overview_names_when_users_were_last_seen(living: Start) -> None:
    one, other = await two(living)
    started = datetime.now(UTC)
    async with Ear(other.url, other.token("42")), Ear(one.url, one.token("1", "ADMIN")) as admin:
        async with Ear(other.url, other.token("43")):
            await until(admin, totalOnline=3)
        await until(admin, totalOnline=2)
        people = (await overview(one, "?user=42,43,44&limit=1"))["named"]
        assert [(item["userId"], item["online"]) for item in people] == [
            ("42", True),
            ("43", False),
            ("44", False),
        ]
        assert people[2]["lastSeen"] is None
        for item in people[:2]:
            age = (datetime.fromisoformat(item["lastSeen"]) - started).total_seconds()
            assert -1 < age < PATIENCE
        assert len((await overview(one, "?limit=1"))["users"]) == 1
        assert (await overview(one, "?room=user:42"))["totalOnline"] == 1
        for query, code in (
            ("?limit=0", "validation_failed"),
            ("?room=x", "room_invalid"),
            ("?user=a/b", "room_invalid"),
        ):
            status, problem = await one.user("GET", f"/admin/presence{query}", one.token("1", "ADMIN"))
            assert (status, problem["code"]) == (422, code)


async def test_a_key_asks_a_process_that_has_no_connection_of_the_tenant(living: Start) -> None:
    one, other = await two(living)
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
    async with Ear(other.url, other.token("42")):
        async with asyncio.timeout(PATIENCE):
            while True:
                async with one.http.get("/admin/presence", headers=headers) as answer:
                    shown = await answer.json()
                if shown["totalOnline"] == 1:
                    break
                await asyncio.sleep(0.05)
    assert "partial" not in shown
    assert shown["users"] == [{"userId": "42", "roles": [], "connections": 1}]


async def test_while_redis_is_away_connections_come_and_answers_are_of_this_process(
    living: Start, valkey: Valkey
) -> None:
    one, other = await two(living, redis_url=valkey.url, presence_grace=LEASE)
    async with Ear(one.url, one.token("1", "ADMIN")) as admin, Ear(other.url, other.token("2")):
        await until(admin, totalOnline=2)
        valkey.kill()
        async with Ear(one.url, one.token("3")):
            await admin.wait("presence:join", named("3"))
            answer = await until(admin, partial=True)
            assert [user["userId"] for user in answer["users"]] == ["1", "3"]
            assert (await overview(one))["partial"] is True
            valkey.start()
            answer = await until(admin, totalOnline=3)
            assert "partial" not in answer
        assert [item["userId"] for item in admin.all("presence:join")].count("3") == 1
        assert not [item for item in admin.all("presence:leave") if item["userId"] != "3"]


async def test_a_graceful_stop_takes_its_connections_along_at_once(living: Start) -> None:
    one, other = await two(living, presence_lease=60.0)
    async with Ear(one.url, one.token("1", "ADMIN")) as admin, Ear(other.url, other.token("2")):
        await until(admin, totalOnline=2)
        await other.hub.drain()
        await until(admin, totalOnline=1)
        await admin.wait("presence:leave", named("2"))
