"""What a client that comes back with its cursor gets, on any transport, and what it is told otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from hub.domain.events import Cursor
from tests.living import Ear, Start, Stream


async def _offsets(listener: Any, event: str) -> list[int]:
    return [Cursor.parse(item["cursor"]).offset for item in listener.all(event)]


@pytest.mark.parametrize("ring", [0, 2000], ids=["from SQL", "from the ring"])
async def test_one_cursor_brings_back_what_was_missed_on_any_transport(living: Start, ring: int) -> None:
    hub = await living(ring_events=ring)
    token = hub.token("42", "ADMIN")
    ear = Ear(hub.url, token, events="typed")
    await ear.open()
    await hub.notify(title="1")
    await ear.wait("booking.created")
    cursor = ear.all("booking.created")[-1]["cursor"]
    await ear.close()

    await hub.notify(title="2")
    await hub.notify("system", "user:somebody-else")
    await hub.notify(title="3")
    stream = Stream(hub.http)
    stream.cursor = cursor
    await stream.open(token)
    said = await stream.wait("connected")
    await hub.notify(title="4")
    await stream.wait("booking.created", count=3)
    await stream.close()
    assert (said["recovered"], said["replayed"], said["cursor"]) == (True, 2, cursor)
    assert [item["title"] for item in stream.all("booking.created")] == ["2", "3", "4"]

    await hub.notify(title="5")
    back = Ear(hub.url, token, events="typed", cursor=stream.cursor)
    assert (await back.open())["replayed"] == 1
    await hub.notify(title="6")
    await back.wait("booking.created", count=2)
    await back.close()
    assert [item["title"] for item in back.all("booking.created")] == ["5", "6"]


async def test_a_stream_that_saw_no_event_resumes_from_connected(living: Start) -> None:
    hub = await living()
    stream = await Stream(hub.http).open(hub.token("42"))
    await stream.wait("connected")
    await stream.close()
    await hub.notify("system", "user:42", title="meanwhile")
    await stream.open(hub.token("42"))
    assert (await stream.wait("system"))["title"] == "meanwhile"
    await stream.close()


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [("nonsense", "invalid"), ("wrongone:0", "epoch"), ("{epoch}:99", "invalid"), ("x" * 300, "invalid")],
)
async def test_a_cursor_that_cannot_be_honoured_says_why(living: Start, cursor: str, reason: str) -> None:
    hub = await living()
    answer = await hub.notify("system", "user:42")
    epoch = Cursor.parse(answer["cursor"]).epoch
    async with Ear(hub.url, hub.token("42"), cursor=cursor.format(epoch=epoch)) as ear:
        assert (ear.connected["recovered"], ear.connected["recoveryReason"]) == (False, reason)
        assert await ear.wait("sync:reset") == {"reason": reason, "earliest": f"{epoch}:0"}
        assert ear.connected["cursor"] == answer["cursor"]
    assert ear.all("notification:new") == []


async def test_more_than_the_replay_limit_is_not_replayed(living: Start) -> None:
    hub = await living(replay_limit=3)
    first = await hub.notify("system", "user:42")
    for _ in range(4):
        last = await hub.notify("system", "user:42")
    async with Ear(hub.url, hub.token("42"), cursor=first["cursor"]) as ear:
        assert ear.connected["recoveryReason"] == "limit"
        assert ear.connected["cursor"] == last["cursor"]


async def test_a_long_replay_reaches_a_client_whole_and_in_order_with_live_events_behind_it(
    living: Start,
) -> None:
    hub = await living(outbox_bytes=65536)
    token = hub.token("42")
    ear = Ear(hub.url, token)
    cursor = (await ear.open())["cursor"]
    await ear.close()
    text = "x" * 2000
    batch = [{"type": "system", "to": "user:42", "message": text}] * 200
    for _ in range(5):
        await hub.post("/notifications/batch", batch)
    back = Ear(hub.url, token, events="typed", cursor=cursor)
    assert (await back.open())["replayed"] == 1000
    await hub.notify("system", "user:42", title="live")
    await back.wait("system", count=1001)
    await back.close()
    assert await _offsets(back, "system") == list(range(1, 1002))
    assert back.all("system")[-1]["title"] == "live"


async def test_a_volatile_event_is_shown_and_not_replayed(living: Start) -> None:
    hub = await living()
    stream = await Stream(hub.http).open(hub.token("42"))
    answer = await hub.post(
        "/events", {"type": "typing", "to": "user:42", "data": {"n": 1}, "durable": False}
    )
    said = await stream.wait("typing")
    cursor = stream.cursor
    await stream.close()
    assert answer["cursor"] is None
    assert (said["data"], said["cursor"]) == ({"n": 1}, None)
    async with Ear(hub.url, hub.token("42"), cursor=cursor) as ear:
        assert ear.connected["replayed"] == 0


async def test_what_passes_is_told_on_other_processes_to_whom_it_is_for(living: Start) -> None:
    here, there = await living(), await living()
    stream = await Stream(there.http).open(there.token("42"))
    delivered = there.hub.publish.delivered["event"]
    for to in ("user:7", "user:42"):
        await here.post("/events", {"type": "typing", "to": to, "data": {"to": to}, "durable": False})
    said = await stream.wait("typing")
    await stream.close()
    assert said["data"] == {"to": "user:42"}
    assert there.hub.bus.counts.received >= 2
    assert there.hub.publish.delivered["event"] - delivered == 1
