"""Who is near, on a real Valkey: the right people, nearest first, for as long as a location holds."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from hub.cluster import locations as module
from hub.cluster.locations import Locations
from hub.domain.errors import Unavailable
from hub.domain.geo import MAX_LAT, MAX_LON, Near
from tests.living import PATIENCE
from tests.valkeys import Proxy, Valkey

HANOI = (21.0285, 105.8542)
EARTH = 6372797.560856  # metres: the radius that Redis and Valkey calculate with
Point = tuple[float, float]


@pytest_asyncio.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def known(redis: Redis, prefix: str) -> Locations:
    return Locations(redis, prefix=prefix, seconds=900)


def around(place: Point, radius: float = 1000, role: str | None = None) -> Near:
    return Near(*place, radius, role)


def north(metres: float) -> Point:
    """So far from Hanoi."""
    return HANOI[0] + math.degrees(metres / EARTH), HANOI[1]


async def put(known: Locations, user: str, place: Point = HANOI, *roles: str, tenant: str = "acme") -> float:
    return await known.put(tenant, user, roles, *place)


async def find(known: Locations, near: Near, *, tenant: str = "acme", limit: int = 1000) -> list[str]:
    return await known.find(tenant, near, limit=limit)


# -- where ------------------------------------------------------------------------------------------
async def test_the_nearest_come_first_and_the_far_do_not_come(known: Locations) -> None:
    for user, metres in (("far", 1010), ("b", 500), ("c", 990), ("a", 10)):
        await put(known, user, north(metres))
    assert await find(known, around(HANOI)) == ["a", "b", "c"]
    assert await find(known, around(HANOI), limit=2) == ["a", "b"]


async def test_only_the_last_place_counts(known: Locations) -> None:
    await put(known, "42", HANOI, "CUSTOMER")
    await put(known, "42", north(5000), "CUSTOMER")
    assert await find(known, around(HANOI)) == []
    assert await find(known, around(HANOI, role="CUSTOMER")) == []
    assert await find(known, around(north(5000))) == ["42"]


async def test_a_role_finds_only_those_who_had_it_last(known: Locations) -> None:
    await put(known, "both", north(2), "CUSTOMER", "PROFESSIONAL")
    await put(known, "plumber", north(1), "PROFESSIONAL")
    await put(known, "nobody", north(3))
    await put(known, "former", north(4), "PROFESSIONAL")
    await put(known, "former", north(4), "CUSTOMER")
    assert await find(known, around(HANOI, role="PROFESSIONAL")) == ["plumber", "both"]
    assert await find(known, around(HANOI, role="CUSTOMER")) == ["both", "former"]
    assert await find(known, around(HANOI, role="PRO")) == []
    assert await find(known, around(HANOI)) == ["plumber", "both", "nobody", "former"]


async def test_a_crowd_without_the_role_does_not_hide_those_who_have_it(known: Locations) -> None:
    for n in range(1, 60):
        await put(known, f"u{n}", north(n), "CUSTOMER")
    await put(known, "plumber", north(900), "PROFESSIONAL")
    assert await find(known, around(HANOI, role="PROFESSIONAL"), limit=1) == ["plumber"]


async def test_nobody_of_another_tenant_is_near(known: Locations) -> None:
    await put(known, "42", HANOI, "ADMIN")
    await put(known, "42", north(50_000), "ADMIN", tenant="globex")
    for near in (around(HANOI), around(HANOI, role="ADMIN")):
        assert await find(known, near) == ["42"]
        assert await find(known, near, tenant="globex") == []
    await known.remove("globex", "42")
    assert await find(known, around(HANOI)) == ["42"]


# -- how far ----------------------------------------------------------------------------------------
def haversine(one: Point, other: Point) -> float:
    (lat1, lon1), (lat2, lon2) = ((math.radians(a), math.radians(b)) for a, b in (one, other))
    half = math.sin((lat2 - lat1) / 2) ** 2
    half += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH * math.asin(min(1.0, math.sqrt(half)))


def gone(start: Point, bearing: float, metres: float) -> Point:
    """Where one is after so many metres on a great circle."""
    lat, lon, way = math.radians(start[0]), math.radians(start[1]), metres / EARTH
    sine = math.sin(lat) * math.cos(way) + math.cos(lat) * math.sin(way) * math.cos(bearing)
    end = math.asin(max(-1.0, min(1.0, sine)))
    east = math.atan2(math.sin(bearing) * math.sin(way) * math.cos(lat), math.cos(way) - math.sin(lat) * sine)
    return math.degrees(end), (math.degrees(lon + east) + 540) % 360 - 180


LATITUDES = st.one_of(
    st.floats(-MAX_LAT, MAX_LAT), st.floats(84.5, MAX_LAT), st.floats(-MAX_LAT, -84.5), st.floats(-0.5, 0.5)
)
LONGITUDES = st.one_of(
    st.floats(-MAX_LON, MAX_LON), st.floats(179.5, 180), st.floats(-180, -179.5), st.floats(-0.5, 0.5)
)
RADII = st.one_of(st.floats(1, 1000), st.floats(1000, 50_000), st.floats(50_000, 500_000))
WALKS = st.lists(st.tuples(st.floats(0, 2 * math.pi), st.floats(0, 2)), min_size=1, max_size=30)


@settings(
    max_examples=150,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.tuples(LATITUDES, LONGITUDES), RADII, WALKS)
def test_who_is_near_agrees_with_the_haversine_formula(
    valkey_url: str, centre: Point, radius: float, walks: list[tuple[float, float]]
) -> None:
    places = [gone(centre, bearing, part * radius) for bearing, part in walks]
    places = [place for place in places if abs(place[0]) <= MAX_LAT]
    assume(places)

    async def ask() -> list[str]:
        async with Redis.from_url(valkey_url) as client:
            known = Locations(client, prefix=f"test-{secrets.token_hex(6)}", seconds=60)
            for number, place in enumerate(places):
                await put(known, str(number), place)
            return await find(known, around(centre, radius))

    found = [int(user) for user in asyncio.run(ask())]
    far = [haversine(centre, place) for place in places]
    slack = 1.5 + radius * 1e-6  # a place is kept in 52 bits: right to less than a metre
    assert {n for n, metres in enumerate(far) if metres <= radius - slack} <= set(found)
    assert all(far[n] <= radius + slack for n in found)
    assert all(far[one] <= far[next_] + 2 * slack for one, next_ in pairwise(found))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((0.0, 179.999), (0.0, -179.999)),
        ((65.0, 180.0), (65.0, -180.0)),
        ((-16.8, -179.99), (-16.8, 179.99)),
        ((MAX_LAT, 0.0), (MAX_LAT, 0.1)),
        ((MAX_LAT - 0.001, 10.0), (MAX_LAT, 10.0)),
        ((MAX_LAT, 10.0), (MAX_LAT - 0.001, 10.0)),
        ((-MAX_LAT, 179.99), (-MAX_LAT, -179.99)),
        ((0.0, 0.001), (0.0, -0.001)),
    ],
)
async def test_neighbours_on_both_sides_of_an_edge_find_each_other(
    known: Locations, one: Point, other: Point
) -> None:
    await put(known, "other", other)
    assert await find(known, around(one, haversine(one, other) + 2)) == ["other"]
    assert await find(known, around(one, max(1.0, haversine(one, other) - 2))) == (
        ["other"] if haversine(one, other) < 1 else []
    )


# -- how long ---------------------------------------------------------------------------------------
async def test_a_location_holds_for_its_life_by_the_clock_of_redis_and_slides(
    known: Locations, redis: Redis
) -> None:
    seconds, micros = await redis.time()
    first = await put(known, "42")
    assert seconds + micros / 1e6 + 899.9 < first < seconds + 930
    again = await put(known, "42")
    while again == first:
        again = await put(known, "42")
    assert again > first


async def test_a_location_ends_by_itself(redis: Redis, prefix: str) -> None:
    brief = Locations(redis, prefix=prefix, seconds=0.2)
    await put(brief, "42", HANOI, "ADMIN")
    async with asyncio.timeout(PATIENCE):
        while await redis.keys(f"{prefix}:*"):
            await asyncio.sleep(0.01)
    assert await find(brief, around(HANOI)) == []


async def test_what_has_ended_is_not_found_even_while_others_keep_it_there(
    known: Locations, redis: Redis, prefix: str
) -> None:
    ended = [f"old{n}" for n in range(5)]
    for user, metres in zip(ended, (1, 2, 3, 900, 901), strict=True):
        await put(known, user, north(metres), "ADMIN")
    await put(known, "new", north(500), "ADMIN")
    await put(known, "newer", north(600), "ADMIN")
    await redis.zadd(f"{prefix}:location:acme:until", dict.fromkeys(ended, 1))
    for role in (None, "ADMIN"):
        assert await find(known, around(HANOI, role=role), limit=1) == ["new"]
    assert await redis.zcard(f"{prefix}:location:acme:places") == 7
    await put(known, "other", north(2))
    for key in ("places", "until", "places:ADMIN"):
        assert set(await redis.zrange(f"{prefix}:location:acme:{key}", 0, -1)) <= {b"new", b"newer", b"other"}
    assert await redis.hkeys(f"{prefix}:location:acme:roles") == [b"new", b"newer", b"other"]


async def test_every_key_has_an_end(known: Locations, redis: Redis, prefix: str) -> None:
    await put(known, "42", HANOI, "ADMIN", "CUSTOMER")
    keys = await redis.keys(f"{prefix}:*")
    assert len(keys) == 5
    assert all([0 < await redis.pttl(key) <= 900_000 for key in keys])


async def test_a_removed_location_leaves_nothing(known: Locations, redis: Redis, prefix: str) -> None:
    await put(known, "42", HANOI, "ADMIN")
    await known.remove("acme", "42")
    await known.remove("acme", "42")
    assert await redis.keys(f"{prefix}:*") == []
    assert await find(known, around(HANOI)) == []


# -- without Redis ----------------------------------------------------------------------------------
async def test_without_redis_nobody_is_anywhere() -> None:
    nowhere = Locations(None, prefix="x", seconds=900)
    with pytest.raises(Unavailable, match="none is configured"):
        await put(nowhere, "42")
    with pytest.raises(Unavailable, match="none is configured"):
        await find(nowhere, around(HANOI))
    with pytest.raises(Unavailable, match="none is configured"):
        nowhere.require()
    await nowhere.remove("acme", "42")  # there is nothing to forget


async def test_a_hanging_redis_is_asked_once_and_then_left_alone(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST", 3600.0)
    async with Redis.from_url(proxy.url) as client:
        known = Locations(client, prefix="x", seconds=900)
        proxy.freeze()
        for _ in range(3):
            with pytest.raises(Unavailable) as refused:
                await put(known, "42", (21.123456, 105.654321))
            assert (refused.value.__cause__, refused.value.__context__) == (None, None)
        assert proxy.accepted == 1


async def test_after_redis_came_back_empty_users_are_where_they_say_next(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST", 0.0)
    async with Redis.from_url(valkey.url) as client:
        known = Locations(client, prefix="x", seconds=900)
        await put(known, "42")
        valkey.kill()
        with pytest.raises(Unavailable):
            await find(known, around(HANOI))
        valkey.start()
        assert await find(known, around(HANOI)) == []
        await put(known, "42")
        assert await find(known, around(HANOI)) == ["42"]
