"""PUT, GET and DELETE /users/{id} and PUT /users/batch, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.domain.drafts import Contact
from tests.doors import KEY, Doors, doors
from tests.names import cut

PLATFORM = {"Authorization": "Bearer hub_platform", "X-Tenant-Id": "other"}


@pytest.fixture
async def web() -> AsyncIterator[Doors]:
    async with doors() as served:
        yield served


async def test_the_whole_contact_is_read(web: Doors) -> None:
    body = {
        "id": "ana",
        "email": "ana.lopes+x@example.co.uk",
        "phone": "+351 (91) 234-5678",
        "locale": "pt-PT",
        "timezone": "Europe/Lisbon",
        "roles": ["CUSTOMER", "ADMIN", "CUSTOMER"],
        "discordWebhook": "https://discord.com/api/webhooks/1/abc",
    }
    answer = await web.call("PUT", "/users/ana", json=body, headers=KEY)
    assert (answer.status, answer.json) == (200, {"id": "ana"})
    contact = Contact(
        user="ana",
        email="ana.lopes+x@example.co.uk",
        phone="+351912345678",
        locale="pt-PT",
        timezone="Europe/Lisbon",
        roles=("CUSTOMER", "ADMIN"),
        discord_webhook="https://discord.com/api/webhooks/1/abc",
    )
    assert web.hub.stored == [("acme", contact)]


async def test_what_is_left_out_stays_and_no_roles_are_said_by_an_empty_list(web: Doors) -> None:
    assert (await web.call("PUT", "/users/ana", json={}, headers=KEY)).status == 200
    assert (await web.call("PUT", "/users/ana", json={"roles": []}, headers=KEY)).status == 200
    assert web.hub.stored == [("acme", Contact(user="ana")), ("acme", Contact(user="ana", roles=()))]


async def test_null_removes_what_is_known(web: Doors) -> None:
    body = {"email": None, "roles": None, "locale": "en"}
    assert (await web.call("PUT", "/users/ana", json=body, headers=KEY)).status == 200
    assert web.hub.stored == [("acme", Contact(user="ana", email="", roles=(), locale="en"))]


BAD = [
    ({"id": "bruno"}, {"id"}),
    ({"email": ""}, {"email"}),
    ({"email": "ana"}, {"email"}),
    ({"email": "ana@example.com, all@example.com"}, {"email"}),
    ({"email": "ana@example.com\r\nBcc: x@example.com"}, {"email"}),
    ({"email": "<ana@example.com>"}, {"email"}),
    ({"email": "a" * 400 + "@example.com"}, {"email"}),
    ({"phone": "12"}, {"phone"}),
    ({"phone": "+84 abc"}, {"phone"}),
    ({"phone": 84901234567}, {"phone"}),
    ({"locale": "../../etc"}, {"locale"}),
    ({"timezone": "Mars/Olympus"}, {"timezone"}),
    ({"timezone": "../../etc/passwd"}, {"timezone"}),
    ({"timezone": "Europe"}, {"timezone"}),
    ({"timezone": "a\x00b"}, {"timezone"}),
    ({"roles": "ADMIN"}, {"roles"}),
    ({"roles": ["a b", 1]}, {"roles.0", "roles.1"}),
    ({"roles": ["x"] * 65}, {"roles"}),
    ({"discordWebhook": "http://discord.com/api/webhooks/1/a"}, {"discordWebhook"}),
    ({"discordWebhook": "https://evil.example/api/webhooks/1/a"}, {"discordWebhook"}),
    ({"discordWebhook": "https://discord.com.evil.example/api/webhooks/1/a"}, {"discordWebhook"}),
    ({"discordWebhook": "https://discord.com@127.0.0.1/api/webhooks/1/a"}, {"discordWebhook"}),
    ({"discordWebhook": "https://discord.com:8080/api/webhooks/1/a"}, {"discordWebhook"}),
    ({"discordWebhook": "https://discord.com:x/api/webhooks/1/a"}, {"discordWebhook"}),
    ({"discordWebhook": "https://discord.com/login"}, {"discordWebhook"}),
    ({"discordWebhook": "https://[discord.com/api/webhooks/1/a"}, {"discordWebhook"}),
    ({"Email": "ana@example.com", "name": "Ana"}, {"Email", "name"}),
    ({"email": 1, "phone": 2, "locale": 3, "timezone": 4}, {"email", "phone", "locale", "timezone"}),
    ([], {"body"}),
]


@pytest.mark.parametrize(("body", "fields"), BAD, ids=cut(50))
async def test_a_bad_contact_is_refused_by_field(web: Doors, body: Any, fields: set[str]) -> None:
    answer = await web.call("PUT", "/users/ana", json=body, headers=KEY)
    assert answer.refused == (422, "validation_failed")
    assert set(answer.fields) == fields
    assert web.hub.stored == []


@pytest.mark.parametrize("id", ["a%20b", "a%2Fb", "a,b", "%00", "x" * 129])
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_an_id_that_cannot_be_a_room_is_refused(web: Doors, method: str, id: str) -> None:
    body = {} if method == "PUT" else None
    answer = await web.call(method, f"/users/{id}", json=body, headers=KEY)
    assert answer.refused == (422, "validation_failed")
    assert set(answer.fields) == {"id"}
    assert web.hub.stored == []


@pytest.mark.parametrize("wrapped", [True, False])
async def test_many_people_come_in_one_request(web: Doors, wrapped: bool) -> None:
    users = [{"id": 1, "email": "a@example.com"}, {"id": "2"}]
    answer = await web.call(
        "PUT", "/users/batch", json={"users": users} if wrapped else users, headers=PLATFORM
    )
    assert (answer.status, answer.json) == (200, {"users": [{"id": "1"}, {"id": "2"}]})
    assert web.hub.stored == [
        ("other", Contact(user="1", email="a@example.com")),
        ("other", Contact(user="2")),
    ]


BAD_BATCHES = [
    ([], {"users"}),
    ({}, {"users"}),
    ({"users": [{"id": "1"}], "x": 1}, {"x"}),
    ([{"id": None}], {"users.0.id"}),
    ([{"id": "1"}, {"email": "x"}, 7], {"users.1.id", "users.1.email", "users.2"}),
    ([{"id": str(n)} for n in range(1001)], {"users"}),
]


@pytest.mark.parametrize(("body", "fields"), BAD_BATCHES, ids=cut(30))
async def test_a_batch_with_one_bad_person_stores_nobody(web: Doors, body: Any, fields: set[str]) -> None:
    answer = await web.call("PUT", "/users/batch", json=body, headers=KEY)
    assert answer.refused == (422, "validation_failed")
    assert set(answer.fields) == fields
    assert web.hub.stored == []


async def test_a_person_is_shown_and_forgotten(web: Doors) -> None:
    assert (await web.get("/users/ana", headers=PLATFORM)).json == {"id": "ana", "tenant": "other"}
    gone = await web.call("DELETE", "/users/ana", headers=KEY)
    assert (gone.status, gone.body) == (204, b"")
    assert web.hub.stored == [("deleted", "acme", "ana")]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_nobody_is_404(web: Doors, method: str) -> None:
    assert (await web.call(method, "/users/zoe", headers=KEY)).refused == (404, "person_unknown")


async def test_an_entry_of_a_batch_cannot_name_a_tenant_of_its_own(web: Doors) -> None:
    body = {"users": [{"id": "ana"}, {"id": "bruno", "tenantId": "globex"}]}
    answer = await web.call("PUT", "/users/batch", json=body, headers=PLATFORM)
    assert answer.refused == (422, "validation_failed")
    assert answer.fields == {"users.1.tenantId": "is not a known field"}
    assert web.hub.stored == []
