"""The list of addresses that get nothing more: what admins see of it and change, and that it is obeyed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from hub.domain.suppression import digest, hint
from hub.store import tables
from tests.living import Living, Start, next_page

PATH = "/admin/suppressions"


async def add(hub: Living, address: str, channel: str = "email", tenant: str = "acme") -> tuple[int, Any]:
    token = hub.token("1", "ADMIN", tenant=tenant)
    return await hub.user("POST", PATH, token, json={"channel": channel, "address": address})


async def listed(hub: Living, query: str = "", tenant: str = "acme") -> list[Any]:
    status, found = await hub.user("GET", f"{PATH}{query}", hub.token("1", "ADMIN", tenant=tenant))
    assert status == 200
    return list(found)


async def test_an_address_is_added_obeyed_seen_and_taken_back(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    status, entry = await add(hub, "Ana@Example.com")
    assert (status, entry["reason"], entry["hint"]) == (201, "manual", "A***@Example.com")
    assert (await add(hub, "ana@example.com"))[0] == 200
    assert await listed(hub) == [entry]
    assert await listed(hub, tenant="globex") == []
    assert await listed(hub, "?channel=sms") == []
    contact = {"id": "42", "email": "ana@example.com"}
    outcomes = []
    for _ in range(2):
        made = await hub.notify("system", contact, channels=["inApp", "email"])
        outcomes.append(str(await hub.hub.deliver.send(made["deliveries"][0]["id"])))
        path = f"{PATH}/email/{entry['id']}"
        for token, expected in ((hub.token("1", "ADMIN", tenant="globex"), 404), (hub.token("42"), 403)):
            assert (await hub.user("DELETE", path, token))[0] == expected
        if outcomes == ["skipped"]:
            await hub.http.delete(path, headers={"Authorization": f"Bearer {hub.token('1', 'ADMIN')}"})
    assert outcomes == ["skipped", "sent"]
    assert await listed(hub) == []
    _, notes = await hub.user("GET", "/admin/audit", hub.token("1", "ADMIN"))
    target = f"email:{entry['id']}"
    assert [(note["action"], note["target"], note["actor"]) for note in notes] == [
        ("suppression.remove", target, "user:1"),
        ("suppression.add", target, "user:1"),
    ]
    async with hub.hub.db.read() as conn:
        stored = [str(row) for row in await conn.execute(select(tables.audit))]
    assert not any("ana@example" in row.lower() for row in stored)


async def test_pages_follow_each_other_without_gap_and_repetition(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    ids = [(await add(hub, f"user{number}@example.com"))[1]["id"] for number in range(7)]
    found, path = [], f"{PATH}?limit=3&channel=email"
    while path:
        headers = {"Authorization": f"Bearer {hub.token('1', 'ADMIN')}"}
        async with hub.http.get(path, headers=headers) as answer:
            found += [entry["id"] for entry in await answer.json()]
            path = next_page(answer) or ""
    assert found == ids[::-1]


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("email", "nobody"),
        ("email", "a@example.com\nb"),
        ("sms", "call me"),
        ("discord", "https://example.com/"),
        ("webpush", "https://push.example.com/1"),
        ("inApp", "42"),
        ("email", ""),
    ],
)
async def test_what_is_no_address_of_its_channel_is_refused(
    living: Start, channel: str, address: str
) -> None:
    hub = await living()
    status, problem = await add(hub, address, channel)
    assert (status, problem["code"]) == (422, "validation_failed")
    token = hub.token("1", "ADMIN")
    for query, expected in (("?after=x", 400), ("?channel=x", 422), ("?limit=0", 422)):
        assert (await hub.user("GET", f"{PATH}{query}", token))[0] == expected
    for entry in ("email/x", f"x/{'0' * 64}", f"email/{'0' * 64}"):
        status, problem = await hub.user("DELETE", f"{PATH}/{entry}", token)
        assert (status, problem["code"]) == (404, "suppression_unknown")


def test_an_address_is_recognised_however_it_is_written() -> None:
    assert digest("email", "Ana@Example.com ") == digest("email", "ana@example.COM")
    assert digest("sms", "+84 90-123 (45) 67") == digest("sms", "+84901234567")
    assert digest("email", "a@example.com") != digest("email", "b@example.com")


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [
        ("email", "ana@example.com", "a***@example.com"),
        ("email", f"a@{'x' * 200}.com", f"a***@{'x' * 75}"),
        ("sms", "+84 901 234 567", "+84***67"),
        ("sms", "1234567", "***"),
        ("discord", "https://discord.com/api/webhooks/1/secret", "discord.com"),
    ],
)
def test_a_hint_says_little(channel: str, address: str, shown: str) -> None:
    assert hint(channel, address) == shown
