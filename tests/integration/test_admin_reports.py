"""What admins read: the log, as JSON and CSV, and the numbers; each on SQLite and PostgreSQL."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event, update

from hub.domain.delivery import Status
from hub.store import tables
from hub.store.reports import Place, Reports, Wanted
from hub.store.stats import Statistics
from tests.living import Living, Start, next_page

D, E = tables.deliveries.c, tables.events.c
FIELDS = [
    *("id", "user_id", "event", "payload", "delivered", "delivered_at", "error", "created_at"),
    *("channel", "attempts"),
]
PERSON = {"id": "42", "email": "ana@example.com"}
ADMIN = "/admin/notifications"


async def read(hub: Living, path: str, *, tenant: str = "acme", **params: str) -> Any:
    status, shape = await hub.user("GET", path, hub.token("1", "ADMIN", tenant=tenant), params=params)
    assert status == 200, shape
    return shape


async def history(hub: Living) -> list[str]:
    """Five notifications, the oldest first; their ids. One went by mail, another one's mail is dead."""
    ids: list[str] = []
    for type, to, channels in (
        ("booking.created", "role:ADMIN", ["inApp"]),
        ("booking.confirmed", PERSON, ["inApp", "email"]),
        ("payment.failed", PERSON, ["inApp", "email"]),
        ("system", ["user:42", "user:7"], ["inApp"]),
        ("reminder", "user:7", ["inApp"]),
    ):
        answer = await hub.notify(type, to, channels=channels, data={"n": len(ids)})
        ids.append(answer["id"])
        if answer["deliveries"] and len(ids) == 2:
            assert await hub.hub.deliver.send(answer["deliveries"][0]["id"]) == "sent"
        elif answer["deliveries"]:
            dead = update(tables.deliveries).where(D.id == answer["deliveries"][0]["id"])
            async with hub.hub.db.write() as conn:
                await conn.execute(dead.values(status="dead", due_at=None, attempts=3, error="=no such box"))
    await hub.notify("system", "user:42", tenant="globex")
    return ids


async def test_an_admin_reads_the_story_of_somebodys_deliveries(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    [_, confirmed, _, only_in_app, _] = await history(hub)
    steps = await read(hub, f"{ADMIN}/{confirmed}/timeline", userId="42")
    assert [step["channel"] for step in steps] == ["email"] * len(steps)
    assert [(step["step"], step["outcome"]) for step in steps][:2] == [("planned", None), ("attempt", "sent")]
    admin, foreigner = hub.token("1", "ADMIN"), hub.token("1", "ADMIN", tenant="globex")
    for token, id, params, refused in (
        (foreigner, confirmed, {"userId": "42"}, (404, "notification_unknown")),
        (admin, confirmed, {"userId": "7"}, (404, "notification_unknown")),
        (admin, only_in_app, {"userId": "42"}, (404, "notification_unknown")),
        (admin, confirmed, {}, (400, "invalid_request")),
    ):
        status, shape = await hub.user("GET", f"{ADMIN}/{id}/timeline", token, params=params)
        assert (status, shape["code"]) == refused


async def test_a_row_of_the_log_has_the_fields_that_programs_know(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    ids = await history(hub)
    rows = await read(hub, f"{ADMIN}/logs")
    assert [list(row) for row in rows] == [FIELDS] * 7
    by_channel = [(row["event"], row["channel"], row["user_id"], row["delivered"]) for row in rows]
    assert sorted(by_channel, key=str) == sorted(
        [
            ("reminder", "inApp", "7", True),
            ("system", "inApp", None, True),
            ("payment.failed", "inApp", "42", True),
            ("payment.failed", "email", "42", False),
            ("booking.confirmed", "inApp", "42", True),
            ("booking.confirmed", "email", "42", True),
            ("booking.created", "inApp", None, True),
        ],
        key=str,
    )
    assert [row["payload"]["n"] for row in rows] == [4, 3, 2, 2, 1, 1, 0]
    assert rows[0]["id"] == ids[4]
    [failed] = [row for row in rows if row["error"]]
    assert (failed["error"], failed["attempts"], failed["delivered_at"]) == ("=no such box", 3, None)


async def test_the_log_is_filtered(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    await history(hub)
    for params, expected in (
        ({"userId": "42"}, 5),
        ({"userId": "7"}, 2),
        ({"userId": "nobody"}, 0),
        ({"type": "payment.failed"}, 2),
        ({"type": "PAYMENT_FAILED"}, 2),
        ({"channel": "email"}, 2),
        ({"channel": "inApp", "userId": "42"}, 3),
        ({"status": "dead"}, 1),
        ({"status": "sent"}, 1),
        ({"status": "delivered"}, 5),
        ({"channel": "email", "type": "booking.confirmed", "status": "dead"}, 0),
        ({"from": "2020-01-01T00:00:00Z"}, 7),
        ({"to": "2020-01-01T00:00:00Z"}, 0),
        ({"from": "2099-01-01T00:00:00+07:00"}, 0),
    ):
        assert len(await read(hub, f"{ADMIN}/logs", **params)) == expected, params


async def test_what_a_filter_cannot_be_is_refused(living: Start) -> None:
    hub = await living()
    admin = hub.token("1", "ADMIN")
    for path, params in (
        (f"{ADMIN}/logs", {"userId": "a b"}),
        (f"{ADMIN}/logs", {"channel": "pigeon"}),
        (f"{ADMIN}/logs", {"status": "lost"}),
        (f"{ADMIN}/logs", {"from": "yesterday"}),
        (f"{ADMIN}/logs", {"from": "2026-01-01T00:00:00"}),
        (f"{ADMIN}/logs", {"to": "0001-01-01T00:00:00+23:00"}),
        (f"{ADMIN}/logs", {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
        (f"{ADMIN}/logs", {"limit": "101"}),
        (f"{ADMIN}/logs", {"after": "1"}),
        (f"{ADMIN}/logs", {"format": "xml"}),
        ("/admin/deliveries", {"type": "system"}),
        (f"{ADMIN}/stats", {"bucket": "0m"}),
        (f"{ADMIN}/stats", {"bucket": "1s"}),
        (f"{ADMIN}/stats", {"bucket": "a while"}),
        (f"{ADMIN}/stats", {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
    ):
        status, _ = await hub.user("GET", path, admin, params=params)
        assert status in (400, 422), (path, params)


async def test_pages_follow_each_other_without_a_gap(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    await history(hub)
    whole = await read(hub, f"{ADMIN}/logs")
    headers = {"Authorization": f"Bearer {hub.token('1', 'ADMIN')}"}
    for path, expected in (
        (f"{ADMIN}/logs", [row["id"] for row in whole]),
        ("/admin/deliveries", [row["id"] for row in whole if row["channel"] == "email"]),
    ):
        seen: list[str] = []
        at: str | None = f"{path}?limit=1&from=2020-01-01T00:00:00Z&token=never-repeated"
        while at:
            async with hub.http.get(at, headers=headers) as answer:
                seen += [row["id"] for row in await answer.json()]
                assert "token" not in answer.headers.get("Link", "")
                at = next_page(answer)
        assert seen == expected


async def test_the_csv_holds_the_whole_log_and_nothing_a_spreadsheet_runs(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    await history(hub)
    headers = {"Authorization": f"Bearer {hub.token('1', 'ADMIN')}"}
    async with hub.http.get(f"{ADMIN}/logs?format=csv", headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/csv"
        assert "notifications.csv" in answer.headers["Content-Disposition"]
        found = list(csv.DictReader(io.StringIO(await answer.text())))
    rows = await read(hub, f"{ADMIN}/logs")
    assert [list(row) for row in found] == [FIELDS] * 7
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    assert {row["error"] for row in found} == {"", "'=no such box"}
    assert found[0]["payload"] == '{"n":4}'
    async with hub.http.get(f"{ADMIN}/logs?format=csv&channel=sms", headers=headers) as answer:
        assert (await answer.text()).splitlines() == [",".join(FIELDS)]


async def test_a_long_csv_is_streamed_page_by_page(living: Start) -> None:
    hub = await living()
    await hub.post(
        "/notifications/batch",
        {"notifications": [{"type": "system", "to": f"user:{n}"} for n in range(999)], "tenantId": "acme"},
    )
    headers = {"Authorization": f"Bearer {hub.token('1', 'ADMIN')}"}
    async with hub.http.get(f"{ADMIN}/logs?format=csv", headers=headers) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        found = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [row["user_id"] for row in found] == [str(n) for n in reversed(range(999))]


async def test_the_numbers_are_those_of_the_log(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    await history(hub)
    due = await hub.notify("booking.confirmed", PERSON, channels=["email"])
    waits = datetime.now(UTC) - timedelta(seconds=90)
    async with hub.hub.db.write() as conn:
        late = update(tables.deliveries).where(D.id == due["deliveries"][0]["id"])
        await conn.execute(late.values(due_at=waits))
    stats = await read(hub, f"{ADMIN}/stats", bucket="1d")
    assert stats["complete"] is True
    assert stats["notifications"] == 6
    assert stats["byType"] == {
        "booking.confirmed": 2,
        "booking.created": 1,
        "payment.failed": 1,
        "reminder": 1,
        "system": 1,
    }
    assert stats["byChannel"] == {
        "inApp": {"delivered": 6},
        "email": {"dead": 1, "planned": 1, "sent": 1},
    }
    assert stats["byStatus"] == {"dead": 1, "planned": 1, "sent": 1}
    assert sum(slot["notifications"] for slot in stats["overTime"]) == 6
    assert all(slot["at"].endswith("T00:00:00.000Z") for slot in stats["overTime"])
    assert stats["latencyMs"]["count"] == 1
    assert 0 < stats["latencyMs"]["p50"] == stats["latencyMs"]["p99"]
    assert stats["queue"]["depth"] == 1
    assert stats["queue"]["ageSeconds"] >= 90
    assert datetime.fromisoformat(stats["queue"]["oldestDueAt"]) == waits.replace(
        microsecond=waits.microsecond // 1000 * 1000
    )
    assert (await read(hub, f"{ADMIN}/stats", tenant="globex"))["notifications"] == 1


async def test_a_span_of_time_is_counted_exactly(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    await hub.post(
        "/notifications/batch",
        {"notifications": [{"type": "system", "to": "user:42"}] * 48, "tenantId": "acme"},
    )
    async with hub.hub.db.write() as conn:
        for offset in range(1, 49):  # one an hour
            moved = update(tables.events).where(E.tenant == "acme", E.offset == offset)
            await conn.execute(moved.values(created_at=start + timedelta(hours=offset - 1)))
    span = {"from": "2026-03-01T10:00:00Z", "to": "2026-03-02T10:00:00Z"}
    stats = await read(hub, f"{ADMIN}/stats", bucket="6h", **span)
    assert stats["notifications"] == 24
    assert [(slot["at"][:13], slot["notifications"]) for slot in stats["overTime"]] == [
        ("2026-03-01T06", 2),
        ("2026-03-01T12", 6),
        ("2026-03-01T18", 6),
        ("2026-03-02T00", 6),
        ("2026-03-02T06", 4),
    ]
    assert len(await read(hub, f"{ADMIN}/logs", limit="100", **span)) == 24


async def test_more_than_can_be_counted_is_said_to_be_incomplete(
    living: Start, url: str, monkeypatch: Any
) -> None:
    hub = await living(database_url=url)
    await history(hub)
    monkeypatch.setattr("hub.store.stats.MOST", 2)
    stats = await read(hub, f"{ADMIN}/stats")
    assert (stats["complete"], stats["notifications"]) == (False, 2)


async def test_a_tenant_that_does_not_exist_has_no_rows(living: Start) -> None:
    hub = await living()
    now = datetime.now(UTC)
    assert await Reports(hub.hub.db).logs("nobody", Wanted(), limit=10, after=None) == []
    stats = await Statistics(hub.hub.db).over("nobody", now - timedelta(days=1), now, 3600, now)
    assert (stats.by_type, stats.depth, stats.oldest_due) == ({}, 0, None)


async def test_pages_of_reports_read_an_index(living: Start) -> None:
    hub = await living()
    await hub.notify("system", "user:42")
    db, run = hub.hub.db, []

    def remember(_conn: Any, _cursor: Any, sql: str, given: Any, *_: Any) -> None:
        run.append((sql, given))

    event.listen(db._reader.sync_engine, "before_cursor_execute", remember)
    for wanted, index in (
        (Wanted(statuses=(Status.DEAD,)), "ix_deliveries_dead"),
        (Wanted(user="42"), "ix_deliveries_user"),
        (Wanted(), "ix_deliveries_place"),
    ):
        await Reports(db).deliveries("acme", wanted, limit=9, after=Place(1, "x"))
        sql, given = run[-1]
        async with db.read() as conn:
            plan = (await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)).all()
        assert any(index in line.detail for line in plan), plan
        assert "TEMP B-TREE" not in str(plan), plan
