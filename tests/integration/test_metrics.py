"""`/metrics` of a living hub: every number moves when what it counts happens, and none is invented."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from hub.domain.delivery import Status
from hub.domain.errors import StoreUnavailable
from hub.metrics import FAMILIES
from hub.settings import DEVELOPMENT_KEY, Settings
from hub.store import tables
from tests.buses import eventually
from tests.living import Ear, Living, Start, Stream

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


class Numbers:
    """One look at the page. Raises what the parser of Prometheus' own client raises."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def of(self, name: str, **labels: str) -> float:
        """The value of a sample; 0 when there is none."""
        return self.samples.get((name, frozenset(labels.items())), 0.0)


async def look(hub: Living, **headers: str) -> Numbers:
    async with hub.http.get("/metrics", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return Numbers(await answer.text())


def own(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (hub_\w+)", text, re.MULTILINE))


async def test_the_page_shows_what_is_documented_and_nothing_else(living: Start) -> None:
    hub = await living()
    async with hub.http.get("/metrics") as answer:
        text = await answer.text()
    documented = set(re.findall(r"^\| `(hub_\w+)` \|", OPERATIONS.read_text(), re.MULTILINE))
    assert own(text) == documented == {family.name for family in FAMILIES}
    numbers = Numbers(text)
    assert numbers.of("process_resident_memory_bytes") > 1e6
    for family in FAMILIES:
        assert family.whole == ("of the whole installation" in family.help), family.name
        assert (family.kind == "counter") == family.name.endswith("_total"), family.name
        for sample in numbers.families[family.name.removesuffix("_total")].samples:
            assert sample.labels.keys() - {"le"} == set(family.labels), sample


async def test_connections_and_what_is_sent_to_them_are_counted(living: Start) -> None:
    hub = await living()
    before = await look(hub)
    assert before.of("hub_connections_open", transport="websocket") == 0
    token = hub.token("42", "ADMIN")
    async with Ear(hub.url, token), hub.http.ws_connect(f"/ws/notifications?token={token}") as plain:
        polling = Ear(hub.url, token)
        await polling.open(transports=["polling"])
        stream = await Stream(hub.http).open(token)
        await stream.wait("connected")
        await plain.receive()
        opened = await look(hub)
        for transport in ("websocket", "polling", "sse", "plain"):
            assert opened.of("hub_connections_open", transport=transport) == 1, transport
        for transport, count in (("socketio", 2), ("sse", 1), ("plain", 1)):
            assert opened.of("hub_connections_opened_total", transport=transport) == count, transport
        assert opened.of("hub_rooms_open") >= 3
        assert opened.of("hub_rooms_joined_total") >= 12
        await hub.notify("system", "user:42")
        await polling.wait("system")
        await stream.wait("system")
        await plain.receive()
        sent = await look(hub)
        assert sent.of("hub_frames_sent_total") - opened.of("hub_frames_sent_total") == 4
        assert sent.of("hub_bytes_sent_total") - opened.of("hub_bytes_sent_total") > 3 * 200
        assert sent.of("hub_records_delivered_total", kind="event") == 1
        await polling.close()
        await stream.close()
    await eventually(lambda: not hub.hub.sessions.all())
    assert (await look(hub)).of("hub_connections_open", transport="sse") == 0


async def test_many_receivers_of_one_event_are_counted_each(living: Start) -> None:
    hub = await living()
    streams = [await Stream(hub.http).open(hub.token(str(number))) for number in range(6)]
    for stream in streams:
        await stream.wait("connected")
    before = await look(hub)
    await hub.notify("system", "tenant:acme")
    for stream in streams:
        await stream.wait("system")
    after = await look(hub)
    assert after.of("hub_frames_sent_total") - before.of("hub_frames_sent_total") == 6
    size = (after.of("hub_bytes_sent_total") - before.of("hub_bytes_sent_total")) / 6
    assert 200 < size < 2000
    for stream in streams:
        await stream.close()


async def test_who_is_not_let_in_is_counted_by_reason(living: Start) -> None:
    hub = await living()
    with pytest.raises(Exception, match="One or more"):
        await Ear(hub.url, "nonsense").open()
    for path in ("/notifications/sse", "/api/notifications/stream", "/ws/notifications?token=x"):
        async with hub.http.get(path) as answer:
            assert answer.status == 401
    numbers = await look(hub)
    for transport, code, count in (
        ("socketio", "token_invalid", 1),
        ("sse", "token_missing", 2),
        ("plain", "token_invalid", 1),
    ):
        assert numbers.of("hub_handshakes_refused_total", transport=transport, code=code) == count
    assert numbers.of("hub_connections_opened_total", transport="sse") == 0


async def test_replays_are_counted_by_how_they_ended(living: Start) -> None:
    hub = await living()
    stream = await Stream(hub.http).open(hub.token("42"))
    await stream.wait("connected")
    await stream.close()
    for _ in range(2):
        await hub.notify("system", "user:42")
    await stream.open(hub.token("42"))
    await stream.wait("system", count=2)
    await stream.close()
    stream.cursor = "nonsense"
    await stream.open(hub.token("42"))
    await stream.wait("sync:reset")
    await stream.close()
    numbers = await look(hub)
    assert numbers.of("hub_replays_answered_total", verdict="recovered") == 1
    assert numbers.of("hub_replays_answered_total", verdict="invalid") == 1
    assert numbers.of("hub_events_replayed_total") == 2


async def test_what_other_processes_say_is_counted(living: Start) -> None:
    hub, other = await living(), await living()
    async with Ear(hub.url, hub.token("42")) as ear:
        before = await look(hub)
        await other.notify("system", "user:42")
        await ear.wait("system")
        after = await look(hub)
    assert after.of("hub_bus_connected") == 1
    assert after.of("hub_bus_records_received_total") > before.of("hub_bus_records_received_total")
    assert (await look(other)).of("hub_bus_records_published_total") >= 1
    assert after.of("hub_bus_records_refused_total", reason="forged") == 0
    await hub.hub.redis.publish(f"{hub.hub.settings.redis_prefix}:control", b"nonsense")  # type: ignore[union-attr]
    await eventually(lambda: hub.hub.bus.counts.malformed == 1)
    assert (await look(hub)).of("hub_bus_records_refused_total", reason="malformed") == 1


async def test_commits_show_how_many_shared_them(living: Start) -> None:
    hub = await living()
    body = [{"type": "system", "to": "user:42"} for _ in range(10)]
    await hub.post("/notifications/batch", body)
    await hub.notify("system", "user:42")
    numbers = await look(hub)
    assert numbers.of("hub_commit_events_count") == 2
    assert numbers.of("hub_commit_events_sum") == 11
    assert numbers.of("hub_commit_events_bucket", le="5.0") == 1
    assert numbers.of("hub_commit_events_bucket", le="10.0") == 2


async def test_deliveries_are_shown_while_they_wait_and_counted_when_they_move(living: Start) -> None:
    hub, other = await living(), await living()
    person = {"id": "42", "email": "ana@example.com"}
    sent = await hub.notify("system", person, channels=["email"])
    [delivery] = sent["deliveries"]
    later = await hub.notify("system", person, channels=["email"])
    async with hub.hub.db.read() as conn:
        due = (await conn.execute(select(tables.deliveries.c.due_at))).scalars().all()
    [found] = await other.hub.queue.look()
    assert (found.channel, found.count, found.oldest_due) == ("email", 2, min(due))
    assert await hub.hub.deliver.send(later["deliveries"][0]["id"]) == Status.SENT
    waiting = await look(other)
    assert waiting.of("hub_deliveries_open", channel="email", status="planned") == 1
    assert waiting.of("hub_deliveries_age_seconds") > 0
    assert await hub.hub.deliver.send(delivery["id"]) == Status.SENT
    here = await look(hub)
    assert here.of("hub_deliveries_open", channel="email", status="planned") == 0
    assert here.of("hub_deliveries_age_seconds") == 0
    assert here.of("hub_deliveries_moved_total", channel="email", status="sent") == 2
    await hub.hub.tally.flush()
    for one in (hub, other):
        assert (await look(one)).of("hub_deliveries_moved_total", channel="email", status="sent") == 2


async def test_requests_are_timed_by_route_and_not_by_path(living: Start) -> None:
    hub = await living()
    for path in ("/users/ana", "/users/eve", "/nothing/here", "/nothing/there"):
        async with hub.http.get(
            path, headers={"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
        ) as answer:
            assert answer.status == 404
    async with hub.http.request("PROPFIND", "/coffee") as answer:
        assert answer.status == 404
    numbers = await look(hub)
    name = "hub_http_request_seconds_count"
    assert numbers.of(name, method="GET", route="/users/{id}", status="404") == 2
    assert numbers.of(name, method="GET", route="-", status="404") == 2
    assert numbers.of(name, method="other", route="-", status="404") == 1
    assert (await look(hub)).of(name, method="GET", route="/metrics", status="200") == 1


async def test_the_loop_s_lateness_is_measured(living: Start) -> None:
    hub = await living()
    await eventually(lambda: sum(hub.hub.lag.seconds.counts) > 0)
    assert (await look(hub)).of("hub_loop_lag_seconds_count") >= 1


async def test_without_database_and_redis_the_page_still_comes(
    living: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = await living()
    assert (await look(hub)).of("hub_database_up") == 1

    async def away(*_: Any) -> Any:
        raise StoreUnavailable

    async def silent(*_: Any) -> None:
        raise ConnectionError("no Redis")

    monkeypatch.setattr(hub.hub.queue, "look", away)
    monkeypatch.setattr(hub.hub.redis, "hgetall", silent)
    numbers = await look(hub)
    assert numbers.of("hub_database_up") == 0
    assert "hub_deliveries_open" in numbers.families
    assert numbers.families["hub_deliveries_moved"].samples == []


# -- who may look ------------------------------------------------------------------------------------------
async def test_where_it_is_not_open_it_takes_a_key_of_the_platform(living: Start) -> None:
    hub = await living(metrics_open=False)
    now = datetime.now(UTC)
    keys = hub.hub.keys
    made = {
        name: (await keys.create(tenant, [scope], name, now=now))[1]
        for name, tenant, scope in (
            ("tenant's", "acme", "read"),
            ("sender's", None, "notify"),
            ("scraper's", None, "read"),
            ("operator's", None, "admin"),
        )
    }
    expected = {"tenant's": 403, "sender's": 403, "scraper's": 200, "operator's": 200}
    for name, status in expected.items():
        async with hub.http.get("/metrics", headers={"Authorization": f"Bearer {made[name]}"}) as answer:
            assert answer.status == status, name
    for headers, status in (({}, 401), ({"Authorization": f"Bearer {hub.token('1', 'ADMIN')}"}, 403)):
        async with hub.http.get("/metrics", headers=headers) as answer:
            assert answer.status == status


@pytest.mark.parametrize(
    ("env", "given", "shown"),
    [
        ("development", None, True),
        ("test", None, True),
        ("production", None, False),
        ("production", True, True),
        ("development", False, False),
    ],
)
async def test_it_is_open_in_development_and_where_it_was_said(env: str, given: Any, shown: bool) -> None:
    assert Settings(env=env, metrics_open=given).shows_metrics is shown
