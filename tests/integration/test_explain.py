"""What POST /notifications/explain says, beside what the same body then does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from hub.services.wire import iso
from hub.settings import DEVELOPMENT_KEY
from hub.store import tables
from hub.store.delivery_rows import delivery_of
from tests.living import Living, Start, next_page

PATH = "/notifications/explain"
Outcome = tuple[str, str, str, str | None]  # user, channel, status, reason


async def explained(hub: Living, body: Any, query: str = "") -> list[dict[str, Any]]:
    """Every row, page by page."""
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
    found: list[dict[str, Any]] = []
    path: str | None = f"{PATH}{query}"
    while path is not None:
        async with hub.http.post(path, json=body, headers=headers) as answer:
            rows = await answer.json()
            assert answer.status == 200, rows
            found += rows
            path = next_page(answer)
    return found


def outcomes(rows: list[dict[str, Any]], *, outside: bool = True) -> list[Outcome]:
    return sorted(
        (row["userId"], row["channel"], row["status"], row["reason"])
        for row in rows
        if (row["channel"] != "inApp") is outside
    )


async def put(hub: Living, user: str, *roles: str, **more: Any) -> None:
    contact = {"email": f"{user}@example.com", "roles": list(roles)} | more
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
    async with hub.http.put(f"/users/{user}", json=contact, headers=headers) as answer:
        assert answer.ok, await answer.text()


async def wants(hub: Living, user: str, **said: Any) -> None:
    status, _ = await hub.user("PATCH", "/notifications/preferences", hub.token(user), json=said)
    assert status == 200


async def suppress(hub: Living, address: str) -> None:
    await hub.post("/admin/suppressions", {"channel": "email", "address": address})


async def sent(hub: Living) -> list[Outcome]:
    """Every delivery, written out and tried once."""
    await hub.hub.timers.sweep()
    async with hub.hub.db.read() as conn:
        ids = (await conn.execute(select(tables.deliveries.c.id).order_by(tables.deliveries.c.id))).scalars()
        ids = list(ids)
    for id in ids:
        await hub.hub.deliver.send(id)
    async with hub.hub.db.read() as conn:
        rows = (await conn.execute(select(tables.deliveries))).mappings().all()
    stored = [delivery_of(row) for row in rows]
    return sorted(
        (one.user, one.channel, "planned" if one.status == "sent" else one.status.value, one.reason)
        for one in stored
    )


async def counts(hub: Living) -> list[int]:
    async with hub.hub.db.read() as conn:
        return [
            (await conn.execute(select(func.count()).select_from(table))).scalar_one()
            for table in tables.metadata.sorted_tables
        ]


async def a_crowd(hub: Living) -> None:
    """Staff who differ in what they have, what they want and who they are."""
    await put(hub, "bo", "STAFF")
    await put(hub, "cy", "STAFF")
    await put(hub, "di", "STAFF", "DESK")
    await put(hub, "ed", "STAFF", email=None)
    await put(hub, "fi", "STAFF", "NIGHT")
    await put(hub, "gus", "NIGHT")
    await put(hub, "ivy", "STAFF")
    await put(hub, "zoe", "STAFF")
    await wants(hub, "cy", email=False)
    await suppress(hub, "di@example.com")
    await wants(hub, "ivy", types={"booking.confirmed": {"inApp": False}})
    now = datetime.now(UTC)
    hours = {"start": f"{now - timedelta(hours=1):%H:%M}", "end": f"{now + timedelta(hours=2):%H:%M}"}
    await wants(hub, "zoe", quietHours=hours)


BODY = {
    "type": "BOOKING_CONFIRMED",
    "to": ["role:STAFF", "role:DESK", {"id": "ana", "email": "ana@example.com"}, "user:gus", "user:bo"],
    "exclude": ["role:NIGHT"],
    "actor": "user:bo",
    "channels": ["email", "inApp", "sms"],
    "data": {"guestName": "Ana"},
}
NAMES = ("ana", "bo", "cy", "di", "ed", "fi", "gus", "ivy", "zoe")
NIGHT = ("fi", "gus")


async def test_what_is_explained_is_what_then_happens(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    await a_crowd(hub)
    before = await counts(hub)
    told = await explained(hub, BODY)
    assert await counts(hub) == before, "something was stored"
    pages = await explained(hub, BODY, "?limit=2")
    assert [row | {"dueAt": None} for row in pages] == [row | {"dueAt": None} for row in told]
    by_user = {row["userId"]: row for row in told if row["channel"] == "email"}
    assert by_user["ana"]["address"] == "a***@example.com"
    assert by_user["ed"]["address"] is None
    await hub.post("/notifications", BODY)
    happened = await sent(hub)
    assert {reason.split(" until ")[0] for _, _, _, reason in happened if reason} == {
        *("muted", "suppressed", "no address", "quiet hours")
    }
    assert ("bo", "email", "planned", None) in happened, "whose doing it is says nothing of who gets it"
    excluded = [one for one in outcomes(told) if one[3] == "excluded"]
    assert excluded == [
        (name, channel, "skipped", "excluded") for name in NIGHT for channel in ("email", "sms")
    ]
    assert [one for one in outcomes(told) if one not in excluded] == happened
    for name in NAMES:
        roles = {"fi": ["STAFF", "NIGHT"], "gus": ["NIGHT"], "ana": []}.get(name, ["STAFF"])
        _, inbox = await hub.user("GET", "/notifications", hub.token(name, *roles))
        [row] = [row for row in told if row["userId"] == name and row["channel"] == "inApp"]
        assert (row["status"] == "planned") is (len(inbox) == 1), row
    assert [row[3] for row in outcomes(told, outside=False) if row[0] == "ivy"] == ["muted"]


async def test_a_budget_is_explained_for_who_comes_first_and_not_drawn_on(living: Start, url: str) -> None:
    hub = await living(database_url=url, budget_email_per_tenant=2)
    for name in ("bo", "cy", "di"):
        await put(hub, name, "STAFF")
    body = BODY | {"to": "role:STAFF", "channels": ["email"]}
    told = [outcomes(await explained(hub, body)) for _ in range(3)]
    await hub.post("/notifications", body)
    assert told == [await sent(hub)] * 3
    assert [reason for *_, reason in told[0]] == [None, None, "throttled: at most 2 mail a day"]


async def test_it_is_explained_for_the_time_at_which_it_is_sent(living: Start) -> None:
    hub = await living()
    later = (datetime.now(UTC) + timedelta(days=2)).replace(hour=23, minute=0, second=0, microsecond=0)
    await put(hub, "ana", timezone="UTC")
    await wants(hub, "ana", quietHours={"start": "22:00", "end": "07:00"})
    body = BODY | {"to": "user:ana", "channels": ["email"], "sendAt": iso(later)}
    [in_app, mail] = await explained(hub, body)
    morning = iso(later + timedelta(hours=8))
    assert (in_app["dueAt"], mail["dueAt"]) == (iso(later), morning)
    [_, mail] = await explained(hub, body | {"expiresAt": iso(later + timedelta(hours=1))})
    assert (mail["status"], mail["reason"], mail["dueAt"]) == ("skipped", "expired", None)


async def test_the_admins_together_are_in_it_once(living: Start) -> None:
    webhook = "https://discord.com/api/webhooks/1/secret"
    hub = await living(discord_webhook_url=webhook)
    body = BODY | {"to": ["tenant:acme", "role:ADMIN"], "exclude": [], "channels": ["discord"]}
    [row] = await explained(hub, body)
    assert (row["userId"], row["channel"], row["status"]) == ("role:ADMIN", "discord", "planned")
    assert row["address"] == "discord.com"
    assert await explained(hub, body | {"exclude": ["role:ADMIN"]}) == []


async def test_what_cannot_be_sent_is_not_explained_and_a_key_makes_no_sense(living: Start) -> None:
    hub = await living()
    headers = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
    for path, body, more, code in (
        (PATH, BODY | {"expiresAt": "2020-01-01T00:00:00Z"}, {}, "validation_failed"),
        (f"{PATH}?after=nonsense", BODY, {}, "invalid_request"),
        (f"{PATH}?limit=101", BODY, {}, "validation_failed"),
        (PATH, BODY, {"Idempotency-Key": "k"}, "invalid_request"),
    ):
        async with hub.http.post(path, json=body, headers=headers | more) as answer:
            assert (await answer.json())["code"] == code, path
