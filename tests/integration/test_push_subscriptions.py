"""Browsers that get web push: whose they are, how many, and what is never shown of them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from sqlalchemy import select

from hub.settings import DEVELOPMENT_KEY
from hub.store import tables
from hub.store.push import PushSubscriptions
from hub.web.openapi.examples import PUSH_SUBSCRIPTION
from tests.living import Living, Start

PATH = "/me/push-subscriptions"


def browser(number: int, **more: Any) -> dict[str, Any]:
    return {**copy.deepcopy(PUSH_SUBSCRIPTION), "endpoint": f"https://push.example.com/{number}", **more}


async def subscribe(hub: Living, token: str, number: int) -> str:
    status, answer = await hub.user("POST", PATH, token, json=browser(number))
    assert status == 201
    return str(answer["id"])


async def test_a_browser_is_signed_on_listed_and_signed_off(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    token = hub.token("42")
    first, second = await subscribe(hub, token, 1), await subscribe(hub, token, 2)
    assert await subscribe(hub, token, 1) == first
    status, found = await hub.user("GET", PATH, token)
    assert (status, [one["id"] for one in found]) == (200, [second, first])
    assert {one["host"] for one in found} == {"push.example.com"}
    for secret in (*PUSH_SUBSCRIPTION["keys"].values(), "/1", "/2"):
        assert secret not in str(found)
    for stranger in (hub.token("43"), hub.token("42", tenant="globex"), hub.token("1", "ADMIN")):
        assert await hub.user("GET", PATH, stranger) == (200, [])
        status, problem = await hub.user("DELETE", f"{PATH}/{first}", stranger)
        assert (status, problem["code"]) == (404, "subscription_unknown")
    async with hub.http.delete(f"{PATH}/{first}", headers={"Authorization": f"Bearer {token}"}) as answer:
        assert answer.status == 204
    assert [one["id"] for one in (await hub.user("GET", PATH, token))[1]] == [second]


async def test_an_endpoint_belongs_to_whoever_subscribed_it_last(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    ana, bo = hub.token("42"), hub.token("43", tenant="globex")
    await subscribe(hub, ana, 1)
    await subscribe(hub, bo, 1)
    assert (await hub.user("GET", PATH, ana))[1] == []
    assert len((await hub.user("GET", PATH, bo))[1]) == 1
    store = PushSubscriptions(hub.hub.db)
    assert await store.of("acme", ["42"]) == {}
    assert list(await store.of("globex", ["42", "43"])) == ["43"]


async def test_one_browser_too_many_and_the_one_unused_for_longest_goes(living: Start, url: str) -> None:
    hub = await living(database_url=url, push_subscriptions=2)
    token = hub.token("42")
    ids = {number: await subscribe(hub, token, number) for number in (1, 2)}
    await subscribe(hub, token, 1)  # used again
    ids[3] = await subscribe(hub, token, 3)
    await subscribe(hub, hub.token("43"), 4)
    assert {one["id"] for one in (await hub.user("GET", PATH, token))[1]} == {ids[1], ids[3]}


async def test_the_key_is_the_hubs_own_and_nothing_goes_without_it(living: Start) -> None:
    hub = await living()
    status, answer = await hub.user("GET", f"{PATH}/key", hub.token("42"))
    if status == 200:  # development has a key of its own
        assert len(answer["publicKey"]) == 87
    else:
        assert (status, answer["code"]) == (404, "not_configured")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"endpoint", "keys"}),
        (browser(1, endpoint="http://push.example.com/1"), {"endpoint"}),
        (browser(1, endpoint="https://10.0.0.7/1"), {"endpoint"}),
        (browser(1, endpoint="https://[::ffff:10.0.0.7]/1"), {"endpoint"}),
        (browser(1, endpoint="https://169.254.169.254/latest"), {"endpoint"}),
        (browser(1, endpoint="https://user:word@push.example.com/1"), {"endpoint"}),
        (browser(1, endpoint="javascript:alert(1)"), {"endpoint"}),
        (browser(1, endpoint="x" * 3000), {"endpoint"}),
        (browser(1, keys={"p256dh": "AAAA", "auth": "AAAA"}), {"keys.p256dh", "keys.auth"}),
        (browser(1, keys={**PUSH_SUBSCRIPTION["keys"], "auth": "!" * 22}), {"keys.auth"}),
        (browser(1, more=1), {"more"}),
    ],
)
async def test_what_is_no_subscription_is_refused_by_its_fields(
    living: Start, body: dict[str, Any], fields: set[str]
) -> None:
    hub = await living()
    status, problem = await hub.user("POST", PATH, hub.token("42"), json=body)
    assert (status, {error["field"] for error in problem["errors"]}) == (422, fields)
    assert (await hub.user("GET", PATH, hub.token("42")))[1] == []


async def test_who_is_forgotten_leaves_no_browser_behind(living: Start) -> None:
    hub = await living()
    await hub.notify("system", {"id": "42", "email": "ana@example.com"})
    await subscribe(hub, hub.token("42"), 1)
    await hub.hub.people.delete("acme", "42")
    assert await PushSubscriptions(hub.hub.db).of("acme", ["42"]) == {}


# -- what is sent there ----------------------------------------------------------------------------------
async def test_a_notification_makes_a_delivery_for_each_browser(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    for user, number in (("42", 1), ("42", 2), ("43", 3)):  # nobody has told the hub who 42 is
        await subscribe(hub, hub.token(user), number)
    made = await hub.notify("system", ["user:42", "user:43", "user:44"], channels=["inApp", "webpush"])
    found = [(one["userId"], one["status"], one.get("reason")) for one in made["deliveries"]]
    assert found == [
        ("42", "planned", None),
        ("42", "planned", None),
        ("43", "planned", None),
        ("44", "skipped", "no address"),
    ]
    status, rows = await hub.user("GET", "/admin/deliveries", hub.token("1", "ADMIN"))
    assert status == 200 and len(rows) == 4
    assert "push.example.com/" not in str(rows)


async def test_what_was_meant_for_somebody_else_is_not_shown_in_their_browser(living: Start) -> None:
    hub = await living()
    await subscribe(hub, hub.token("42"), 1)
    made = await hub.notify("system", "user:42", channels=["webpush"])
    await subscribe(hub, hub.token("43"), 1)  # somebody else signs in there
    [delivery] = made["deliveries"]
    assert str(await hub.hub.deliver.send(delivery["id"])) == "skipped"


async def test_a_crowd_gets_one_delivery_for_each_browser_and_none_twice(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    people = [{"id": user, "roles": ["STAFF"], "email": f"{user}@example.com"} for user in ("42", "43")]
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
    async with hub.http.put("/users/batch", json={"users": people}, headers=headers) as answer:
        assert answer.ok
    for user, number in (("42", 1), ("42", 2), ("43", 3)):
        await subscribe(hub, hub.token(user), number)
    await hub.notify("system", ["user:42", "role:STAFF", "tenant:acme"], channels=["webpush", "email"])
    await hub.hub.timers.sweep()
    async with hub.hub.db.read() as conn:
        made = [(row.user, row.channel) for row in await conn.execute(select(tables.deliveries))]
    assert sorted(made) == [
        *[("42", "email"), ("42", "webpush"), ("42", "webpush")],
        *[("43", "email"), ("43", "webpush")],
    ]
