"""The straight way to the log: what it cannot do at once, and what it must not do twice."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from hub.domain.drafts import Contact
from hub.domain.errors import StoreUnavailable
from hub.settings import DEVELOPMENT_KEY
from tests.living import Living, Start

CONFIRMED = {"type": "booking.confirmed", "to": ["user:42"]}  # by mail too


async def sent(hub: Living, key: str | None = None, /, **body: Any) -> tuple[int, Any, bool]:
    """Status, body, and whether it was given before."""
    headers = {"Authorization": f"Bearer {DEVELOPMENT_KEY}", "X-Tenant-Id": "acme"}
    headers |= {} if key is None else {"Idempotency-Key": key}
    async with hub.http.post("/notifications", json=CONFIRMED | body, headers=headers) as answer:
        shape = await answer.json(content_type=None)
        return answer.status, shape, answer.headers.get("Idempotency-Replayed") == "true"


async def straight(hub: Living) -> list[bool]:
    """A hub that knows key and tenant, and from now on notes what could go straight."""
    assert (await sent(hub, type="system"))[0] == 202
    begin, noted = hub.hub.ingest.begin, []

    def begin_and_note(*given: Any) -> bool:
        noted.append(begin(*given))
        return noted[-1]

    hub.hub.ingest.begin = begin_and_note  # type: ignore[method-assign]
    return noted


async def test_what_goes_straight_is_routed_and_stored_once_for_its_key(living: Start) -> None:
    hub = await living()
    await hub.hub.people.put("acme", Contact(user="42", email="ana@example.com"))
    noted = await straight(hub)
    many = await asyncio.gather(*(sent(hub, "one") for _ in range(5)))
    assert [status for status, _, _ in many] == [202] * 5
    assert sorted(replayed for _, _, replayed in many) == [False] + [True] * 4
    assert len({shape["id"] for _, shape, _ in many}) == 1
    assert [(item["channel"], item["status"]) for item in many[0][1]["deliveries"]] == [("email", "planned")]
    status, problem, _ = await sent(hub, "one", title="another body")
    assert (status, problem["code"]) == (422, "idempotency_conflict")
    assert noted == [True] * 6


async def test_who_cannot_be_looked_up_is_refused_and_nothing_is_stored(
    living: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = await living()
    noted = await straight(hub)
    before = (await hub.hub.log.positions(["acme"]))["acme"]

    def away(tenant: str, users: object) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_exception(StoreUnavailable())
        return future

    monkeypatch.setattr(hub.hub.ingest._people, "ask_addresses", away)
    status, problem, _ = await sent(hub)
    assert (status, problem["code"], noted) == (503, "store_unavailable", [True])
    assert (await hub.hub.log.positions(["acme"]))["acme"] == before


async def test_a_quota_counts_what_goes_straight(living: Start) -> None:
    hub = await living(tenant_events_per_minute=200)
    noted = await straight(hub)
    begun = time.monotonic()
    answers: list[int] = []
    while len(answers) < 220:  # few at once, so that Redis is not too late for any
        answers += [
            status for status, _, _ in await asyncio.gather(*(sent(hub, type="system") for _ in "four"))
        ]
    filled = (time.monotonic() - begun) * 200 / 60  # the bucket's own, meanwhile
    assert 190 <= answers.count(202) <= 200 + filled
    assert set(answers) <= {202, 429}
    assert True in noted and False in noted
