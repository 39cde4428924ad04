"""From `updateLocation` to `nearby-job`: who says where, who is told, and who never learns anything."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from hub.settings import DEVELOPMENT_KEY
from hub.store.scheduled import Scheduled
from tests.hubs import HubCluster, token_for
from tests.living import PATIENCE, Ear, Living, Start

HANOI = {"lat": 21.0285, "lon": 105.8542}
STEP = 0.00001  # of latitude: about a metre


def around(metres: float = 1000, **more: Any) -> dict[str, Any]:
    return {"near": {**HANOI, "radiusMeters": metres, **more}}


def north(metres: float) -> dict[str, float]:
    return HANOI | {"lat": HANOI["lat"] + metres * STEP}


async def tell(
    hub: Living, user: str, *roles: str, at: dict[str, float] = HANOI, tenant: str = "acme"
) -> None:
    status, shape = await hub.user("PUT", "/me/location", hub.token(user, *roles, tenant=tenant), json=at)
    assert status == 200, shape


async def refusal(hub: Living, path: str, body: Any, **headers: str) -> tuple[int, str]:
    given = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme", **headers}
    async with hub.http.post(path, json=body, headers=given) as answer:
        return answer.status, (await answer.json(content_type=None))["code"]


async def inbox(hub: Living, user: str, *roles: str, tenant: str = "acme") -> list[str]:
    status, shape = await hub.user("GET", "/notifications", hub.token(user, *roles, tenant=tenant))
    assert status == 200
    return [item["title"] for item in shape]


def offer(to: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "nearby-job", "to": to or around(), "title": "Job", **more}


# -- saying where -----------------------------------------------------------------------------------
async def test_a_client_says_where_it_is_and_hears_of_a_job_nearby(living: Start) -> None:
    hub = await living()
    async with (
        Ear(hub.url, hub.token("42")) as near,
        Ear(hub.url, hub.token("7")) as far,
        Ear(hub.url, hub.token("8"), namespace="/ws/notifications") as also,
    ):
        answer = await near.ask("updateLocation", HANOI | {"accuracy": 12.5})
        ends = datetime.fromisoformat(answer["expiresAt"])
        assert timedelta(minutes=14) < ends - datetime.now(UTC) < timedelta(minutes=16)
        assert near.all("locationUpdated") == [answer]
        await far.ask("updateLocation", north(5000))
        await also.ask("updateLocation", north(5))
        accepted = await hub.notify("nearby-job", around(), title="Job")
        assert accepted["recipients"] == 2
        for ear in (near, also):
            told = await ear.wait("nearby-job")
            assert (told["id"], told["type"], "room" in told) == (accepted["id"], "job.nearby", False)
            assert await ear.wait("notification:new") == told
            assert "lat" not in json.dumps(told)
        await hub.notify("system", "tenant:acme", title="Last")
        await far.wait("system")
        assert far.all("nearby-job") == []
    assert (await inbox(hub, "42"), await inbox(hub, "7")) == (["Last", "Job"], ["Last"])


async def test_the_plain_websocket_says_it_too(living: Start) -> None:
    hub = await living()
    headers = {"Authorization": f"Bearer {hub.token('42')}"}
    async with hub.http.ws_connect("/ws/notifications", headers=headers) as socket:
        await socket.send_json({"event": "updateLocation", "data": HANOI, "ack": 1})
        async with asyncio.timeout(PATIENCE):
            while (said := await socket.receive_json())["event"] != "locationUpdated":
                pass
    assert set(said["data"]) == {"expiresAt"}
    assert (await hub.notify("nearby-job", around()))["recipients"] == 1


@pytest.mark.parametrize(
    "place",
    [
        [21, 105],
        {"lat": 21},
        {"lat": "21", "lon": 105},
        {"lat": 91, "lon": 105},
        {"lat": 21, "lon": 181},
        HANOI | {"accuracy": -1},
        HANOI | {"accuracy": 60_000},
        HANOI | {"speed": 3},
    ],
)
async def test_what_is_no_place_is_refused_without_repeating_it(living: Start, place: Any) -> None:
    hub = await living()
    status, problem = await hub.user("PUT", "/me/location", hub.token(), json=place)
    assert (status, problem["code"]) == (422, "validation_failed")
    async with Ear(hub.url, hub.token()) as ear:
        said = await ear.ask("updateLocation", place)
    assert said["code"] == "validation_failed"
    for shown in (json.dumps(problem), json.dumps(said)):
        assert not any(value in shown for value in ("21.0285", "105", "91", "181"))
    assert (await hub.notify("nearby-job", around()))["recipients"] == 0


async def test_updates_count_against_the_rate_of_the_connection(living: Start) -> None:
    hub = await living(rate_limit_max_requests=2)
    async with Ear(hub.url, hub.token()) as ear:
        for _ in range(2):
            assert "expiresAt" in await ear.ask("updateLocation", HANOI)
        assert (await ear.ask("updateLocation", HANOI))["code"] == "rate_limited"


# -- forgetting -------------------------------------------------------------------------------------
async def test_who_deletes_the_location_is_nowhere(living: Start) -> None:
    hub = await living()
    await tell(hub, "42")
    for _ in range(2):
        assert await hub.user("DELETE", "/me/location", hub.token("42")) == (204, None)
    assert (await hub.notify("nearby-job", around()))["recipients"] == 0


async def test_who_is_deleted_is_nowhere_even_without_a_contact(living: Start) -> None:
    hub = await living()
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
    await tell(hub, "42")
    await tell(hub, "7")
    async with hub.http.put("/users/42", json={}, headers=headers) as answer:
        assert answer.status == 200
    for user, status in (("42", 204), ("7", 404)):
        async with hub.http.delete(f"/users/{user}", headers=headers) as answer:
            assert answer.status == status
    assert (await hub.notify("nearby-job", around()))["recipients"] == 0


async def test_a_person_can_be_deleted_while_redis_is_away(living: Start) -> None:
    hub = await living(redis_url="redis://127.0.0.1:1/0")
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
    async with hub.http.put("/users/42", json={}, headers=headers) as answer:
        assert answer.status == 200
    async with hub.http.delete("/users/42", headers=headers) as answer:
        assert answer.status == 204


# -- who is told ------------------------------------------------------------------------------------
async def test_the_role_is_the_one_of_the_token_that_said_where(living: Start) -> None:
    hub = await living()
    await tell(hub, "42", "PROFESSIONAL", "CUSTOMER")
    await tell(hub, "7", "CUSTOMER")
    accepted = await hub.notify("nearby-job", around(role="PROFESSIONAL"), title="Job")
    assert accepted["recipients"] == 1
    assert (await inbox(hub, "42"), await inbox(hub, "7")) == (["Job"], [])


async def test_nobody_of_another_tenant_is_told(living: Start) -> None:
    hub = await living()
    await tell(hub, "42", tenant="globex")
    assert (await hub.notify("nearby-job", around()))["recipients"] == 0
    assert (await hub.notify("nearby-job", around(), tenant="globex", title="Job"))["recipients"] == 1
    assert (await inbox(hub, "42"), await inbox(hub, "42", tenant="globex")) == ([], ["Job"])


async def test_the_nearest_are_told_when_there_are_too_many(living: Start) -> None:
    hub = await living(max_rooms=3)
    for user in range(6):
        await tell(hub, str(user), at=north(100 - user))
    to = ["role:ADMIN", "user:5", around()]
    accepted = await hub.notify("nearby-job", to, title="Job", exclude=["user:4"])
    assert accepted["recipients"] == 3
    told = [user for user in "012345" if await inbox(hub, user) == ["Job"]]
    assert (told, await inbox(hub, "admin", "ADMIN")) == (["3", "5"], ["Job"])


async def test_an_event_for_a_place_stands_in_no_inbox(living: Start) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42")) as ear:
        await ear.ask("updateLocation", HANOI)
        for number, durable in enumerate((True, False)):
            body = {"type": "taxi.free", "to": around(), "durable": durable, "data": {"number": number}}
            assert (await hub.post("/events", body))["recipients"] == 1
            told = await ear.wait("taxi.free", lambda data, number=number: data["data"]["number"] == number)
            assert (told["cursor"] is not None) == durable
    assert await inbox(hub, "42") == []
    person = {"type": "taxi.free", "to": {"id": "42"}}
    assert await refusal(hub, "/events", person) == (422, "validation_failed")


async def test_each_of_a_batch_may_have_its_place(living: Start) -> None:
    hub = await living()
    await tell(hub, "42")
    await tell(hub, "7", at=north(5000))
    there = {"near": {**north(5000), "radiusMeters": 500}}
    answer = await hub.post("/notifications/batch", [offer(), offer(there), offer("user:9")])
    assert [result["recipients"] for result in answer["results"]] == [1, 1, 1]
    for user in ("42", "7", "9"):
        assert await inbox(hub, user) == ["Job"]


async def test_who_was_near_finds_it_after_coming_back_and_who_came_later_does_not(living: Start) -> None:
    hub = await living()
    async with Ear(hub.url, hub.token("42")) as ear:
        cursor = ear.connected["cursor"]
        await ear.ask("updateLocation", HANOI)
    await hub.notify("nearby-job", around(), title="Job")
    await tell(hub, "42", at=north(9000))
    await tell(hub, "7")
    for user, replayed in (("42", 1), ("7", 0)):
        async with Ear(hub.url, hub.token(user), cursor=cursor) as again:
            assert (again.connected["recovered"], again.connected["replayed"]) == (True, replayed)


# -- nobody, and again ------------------------------------------------------------------------------
async def test_a_job_near_nobody_is_accepted_and_has_its_place_in_the_log(living: Start) -> None:
    hub = await living()
    before, after = await hub.notify("system", "user:1"), await hub.notify("nearby-job", around())
    assert (after["recipients"], after["deliveries"]) == (0, [])
    epoch, offset = before["cursor"].split(":")
    assert after["cursor"] == f"{epoch}:{int(offset) + 1}"
    async with Ear(hub.url, hub.token("1"), cursor=before["cursor"]) as ear:
        assert ear.connected["recovered"] is True
        await hub.notify("system", "user:1", title="Next")
        assert (await ear.wait("system"))["title"] == "Next"


@pytest.mark.parametrize("path", ["/notifications", "/events"])
async def test_the_same_key_gives_the_same_answer_wherever_people_went(living: Start, path: str) -> None:
    hub = await living()
    body = {"type": "nearby-job", "to": around()}
    nobody = await hub.post(path, body, **{"Idempotency-Key": "k0"})
    await tell(hub, "42")
    first = await hub.post(path, body, **{"Idempotency-Key": "k1"})
    await tell(hub, "42", at=north(9000))
    await tell(hub, "7")
    await tell(hub, "8")
    assert (nobody["recipients"], first["recipients"]) == (0, 1)
    assert await hub.post(path, body, **{"Idempotency-Key": "k0"}) == nobody
    assert await hub.post(path, body, **{"Idempotency-Key": "k1"}) == first
    assert await inbox(hub, "7") == []
    wider = {"type": "nearby-job", "to": around(1001)}
    assert await refusal(hub, path, wider, **{"Idempotency-Key": "k1"}) == (422, "idempotency_conflict")


# -- later ------------------------------------------------------------------------------------------
async def test_a_scheduled_job_goes_to_who_is_near_when_it_is_sent(living: Start) -> None:
    hub = await living()
    await tell(hub, "42")
    at = datetime.now(UTC) + timedelta(hours=1)
    accepted = await hub.notify("nearby-job", around(), title="Job", sendAt=at.isoformat())
    assert (accepted["recipients"], accepted["cursor"]) == (0, None)
    await tell(hub, "42", at=north(9000))
    await tell(hub, "7")
    [waiting] = await Scheduled(hub.hub.db).take_due(at + timedelta(seconds=1), limit=10)
    for _ in range(2):  # a worker may die in between
        await hub.hub.ingest.release(waiting.id, waiting.draft)
    assert (await inbox(hub, "42"), await inbox(hub, "7")) == ([], ["Job"])


# -- without Redis ----------------------------------------------------------------------------------
@pytest.mark.parametrize("url", [None, "redis://127.0.0.1:1/0"], ids=["none", "away"])
async def test_without_redis_places_are_refused_and_everything_else_goes_on(
    living: Start, url: str | None
) -> None:
    hub = await living(redis_url=url, broker_url="redis://127.0.0.1:1/0")
    status, problem = await hub.user("PUT", "/me/location", hub.token(), json=HANOI)
    assert (status, problem["code"]) == (503, "unavailable")
    async with Ear(hub.url, hub.token()) as ear:
        said = await ear.ask("updateLocation", HANOI)
        assert (said["code"], said["retryAfter"] > 0) == ("unavailable", True)
    for path in ("/notifications", "/events"):
        assert await refusal(hub, path, {"type": "nearby-job", "to": around()}) == (503, "unavailable")
    answer = await hub.post("/notifications/batch", [offer(), offer("user:42")])
    assert [result["status"] for result in answer["results"]] == [503, 202]
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    if url is None:  # it would never be sent
        assert await refusal(hub, "/notifications", offer(sendAt=at)) == (503, "unavailable")
    else:
        assert (await hub.notify("nearby-job", around(), sendAt=at))["scheduledAt"]


# -- two processes, and their logs ------------------------------------------------------------------
async def test_said_to_one_process_asked_of_another_and_in_no_log(tmp_path: Path) -> None:
    place, elsewhere = {"lat": 21.987654, "lon": 105.456789}, {"lat": 95.123987, "lon": 105.456789}
    canaries = ("21.98765", "105.45678", "95.12398")
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            HubCluster(tmp_path, hubs=2, env={"LOG_LEVEL": "debug", "RATE_LIMIT_MAX_REQUESTS": "100"})
        )
        here, there = cluster.urls
        http = await stack.enter_async_context(aiohttp.ClientSession())
        user = {"Authorization": f"Bearer {token_for('acme', '7')}"}
        key = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
        body = {"type": "nearby-job", "to": {"near": {**place, "radiusMeters": 50}}, "title": "Job"}
        ear = await stack.enter_async_context(Ear(here, token_for("acme", "42")))
        assert "expiresAt" in await ear.ask("updateLocation", place)
        assert (await ear.ask("updateLocation", elsewhere))["code"] == "validation_failed"
        for place_said, status in ((place, 200), (elsewhere, 422)):
            async with http.put(f"{there}/me/location", json=place_said, headers=user) as answer:
                assert answer.status == status
        async with http.post(f"{there}/notifications", json=body, headers=key) as answer:
            assert (await answer.json())["recipients"] == 2
        assert (await ear.wait("nearby-job"))["title"] == "Job"
        cluster.kill_valkey()
        assert (await ear.ask("updateLocation", place))["code"] == "unavailable"
        async with http.post(f"{there}/notifications", json=body, headers=key) as answer:
            assert answer.status == 503
        async with http.put(f"{there}/me/location", json=place, headers=user) as answer:
            assert answer.status == 503
        async with http.get(f"{there}/metrics", headers=key) as answer:
            shown = await answer.text()
        logs = cluster.logs()
    assert logs.count("route=/me/location") == 3
    for canary in canaries:
        assert canary not in logs
        assert canary not in shown


async def test_nothing_of_a_location_reaches_the_database(living: Start, sqlite_url: str) -> None:
    hub = await living()
    await tell(hub, "42", at={"lat": 21.028512, "lon": 105.854212})
    await hub.notify("nearby-job", around(), title="Job")
    async with hub.hub.db.read() as conn:
        rows: list[Any] = []
        for (table,) in (
            await conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
        ).all():
            rows += (await conn.exec_driver_sql(f'SELECT * FROM "{table}"')).all()
    kept = repr(rows)
    assert "user:42" in kept
    assert not any(value in kept for value in ("21.02", "105.85"))


async def test_redis_keeps_it_under_the_prefix_of_the_hub_and_for_its_life(
    living: Start, valkey_url: str, prefix: str
) -> None:
    hub = await living(location_seconds=60)
    await tell(hub, "42", "ADMIN")
    async with Redis.from_url(valkey_url) as redis:
        keys = await redis.keys(f"{prefix}:location:acme:*")
        assert len(keys) == 4
        assert all([0 < await redis.pttl(key) <= 60_000 for key in keys])
