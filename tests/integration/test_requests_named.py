"""A worker's lines name the request that a delivery came of, whichever way the request took."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import select

from hub.domain.drafts import Contact
from hub.store import tables
from tests.integration.test_straight import straight
from tests.living import Living, Start

D = tables.deliveries.c
MAIL = {"type": "booking.confirmed", "channels": ["email"], "data": {}}


async def said_of(hub: Living, user: str) -> list[Any]:
    """The requests that are named while what goes to a user is sent, the oldest first."""
    await hub.hub.timers.sweep()  # writes out audiences
    async with hub.hub.db.read() as conn:
        ids = list((await conn.execute(select(D.id).where(D.user == user).order_by(D.id))).scalars())
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        for id in ids:
            await hub.hub.deliver.send(id)
    return [line.get("request_id") for line in lines if line.get("action") == "delivery.sent"]


async def test_what_a_worker_says_names_the_request(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    await hub.hub.people.put("acme", Contact(user="42", email="ana@example.com", roles=("GUEST",)))
    noted = await straight(hub)
    for id, to in (("looked-up", {"id": "42"}), ("straight", "user:42"), ("crowd", "role:GUEST")):
        await hub.post("/notifications", MAIL | {"to": to}, **{"X-Request-Id": id})
    batch = {"notifications": [MAIL | {"to": "user:42"}]}
    await hub.post("/notifications/batch", batch, **{"X-Request-Id": "batch"})
    assert noted == [False, True, True]
    assert sorted(await said_of(hub, "42")) == ["batch", "crowd", "looked-up", "straight"]
