"""Every statement that looks for deliveries finds them by an index, however many were ever sent."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, event

from hub.domain.callback import Report
from hub.domain.delivery import Call, Status, Step
from hub.store.backlog import Backlog
from hub.store.callbacks import Callbacks
from hub.store.dead import DeadLetters
from hub.store.deliveries import Deliveries
from hub.store.engine import Database
from hub.store.expansions import Expansions
from hub.store.queue import Queue
from hub.store.reports import Place, Reports, Wanted
from hub.store.retention import Retention
from hub.store.stats import Statistics
from hub.store.tables import expansions
from hub.store.trail import Trail
from tests.appends import NOW, a_delivery

MANY = 20_000
# Two deliveries of every event, for 500 people: a few wait, one in a hundred is dead, the rest has been sent.
N = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many})"
HISTORY = (
    """INSERT INTO tenants (id, epoch, "offset", trimmed, settings, muted, created_at)
    VALUES ('acme', 'e', {many} / 2, 10, '{{}}', false, {at})""",
    f"""INSERT INTO events (tenant, "offset", id, type, wire, data, severity, inbox, rooms, created_at) {N}
    SELECT 'acme', i / 2, 'e' || (i / 2), 'system', 'system', '{{{{}}}}', 'info', true, '[]', {{at}}
    FROM n WHERE i % 2 = 0""",
    f"""INSERT INTO deliveries (id, tenant, "offset", event_id, "user", channel, status, attempts, due_at,
        fence, maybe_duplicate, provider_id, digest, digest_of, created_at, updated_at) {N}
    SELECT 'd' || i, 'acme', (i + 1) / 2, 'e' || (i + 1) / 2, 'u' || (i % 500), 'email',
        CASE WHEN i % 400 = 0 THEN 'planned' WHEN i % 100 = 1 THEN 'dead' ELSE 'sent' END, 1,
        CASE WHEN i % 400 = 0 THEN {{at}} END, 1, false, 'p' || i, CASE WHEN i % 800 = 0 THEN 'daily' END,
        CASE WHEN i % 1000 = 5 THEN 'd' || i END, {{at}}, {{at}}
    FROM n""",
)
KEY, DUE, USER, PLACE = "pk_deliveries", "ix_deliveries_due", "ix_deliveries_user", "ix_deliveries_place"
DEAD, DIGEST, CREW = "ix_deliveries_dead", "ix_deliveries_digest", "ix_deliveries_digest_of"
PROVIDER = "ix_deliveries_provider_id"
FEW = {DUE}  # it holds only what waits, and may be read whole


async def a_call(db: Database) -> None:
    """Claimed, called and sent: alone, and for a digest."""
    stored = Deliveries(db)
    for id in ("d400", "d800"):
        claim = await stored.claim(id, now=NOW, lease=60.0)
        assert claim is not None
        number = await stored.start_call(id, claim.fence, provider="smtp", now=NOW)
        assert isinstance(number, int)
        call = Call(number=number, outcome="sent", duration_ms=1.0)
        assert await stored.advance(id, claim.fence, Step(status=Status.SENT, call=call), now=NOW)


async def a_callback(db: Database) -> None:
    report = Report(
        provider="smtp", channel="email", delivery="d5", provider_id="p7", at=NOW, status=Status.OPENED
    )
    await Callbacks(db).take([report], now=NOW)


async def a_chunk(db: Database) -> None:
    """Some people of an audience are written out."""
    at = {"tenant": "acme", "offset": 7, "event_id": "e7", "created_at": NOW}
    async with db.write() as conn:
        await conn.execute(expansions.insert().values(id="x", room="role:STAFF", channels="email", **at))
    [audience] = await Expansions(db).open(limit=1)
    written = await Expansions(db).write(audience, [a_delivery(user="u9")], after="u9", done=True, now=NOW)
    assert written


def a_report(wanted: Wanted) -> Callable[[Database], Awaitable[object]]:
    return lambda db: Reports(db).deliveries("acme", wanted, limit=20, after=Place(5000, "d"))


async def the_numbers(db: Database) -> None:
    day = timedelta(days=1)
    await Statistics(db).over("acme", NOW - day, NOW + day, 3600, NOW)
    await Statistics(db).errors("acme", NOW - day, NOW + day, most=5)


async def a_retry(db: Database) -> None:
    await DeadLetters(db).retry("acme", "d101", now=NOW)


async def a_sweep(db: Database) -> None:
    assert await Backlog(db).due("email", now=NOW, limit=100, settle=0.0, trust=60.0)
    await Backlog(db).recover(now=NOW)


# What is done, and by which indexes it may look for deliveries.
WAYS: dict[str, tuple[Callable[[Database], Awaitable[object]], set[str]]] = {
    "sending": (a_call, {KEY, DIGEST, CREW}),
    "a callback": (a_callback, {KEY, CREW, PROVIDER}),
    "a sweep": (a_sweep, {KEY, DUE}),
    "the queue": (lambda db: Queue(db).look(), {DUE}),
    "cancelling": (lambda db: Deliveries(db).cancel_pending("acme", "e7", now=NOW), {PLACE}),
    "a retry": (a_retry, {KEY}),
    "an audience": (a_chunk, {PLACE, USER}),
    "an inbox": (lambda db: Deliveries(db).channels_of("acme", "u5", ["e3", "e253"]), {USER}),
    "a timeline": (lambda db: Trail(db).of("acme", "u5", "e3"), {USER}),
    "a user's counts": (lambda db: Trail(db).counts("acme", "u5"), {USER}),
    "a report": (a_report(Wanted()), {PLACE}),
    "a report on one user": (a_report(Wanted(user="u5")), {USER}),
    "a report on the dead": (a_report(Wanted(statuses=(Status.DEAD,))), {DEAD}),
    "numbers": (the_numbers, {PLACE, DUE, KEY}),
    "retention": (lambda db: Retention(db).trim(NOW, keep=timedelta(days=1)), {PLACE, KEY}),
}


async def test_deliveries_are_found_by_the_index_that_is_meant_for_it(database: Database) -> None:
    await remember_much(database)
    sent: dict[str, Any] = {}

    def note(_conn: Any, _cursor: Any, sql: str, given: Any, _context: Any, many: bool) -> None:
        if re.search(r"\b(FROM|UPDATE) deliveries\b", sql):
            sent[sql] = given[0] if many else given

    wrong: list[tuple[str, set[str], str]] = []
    for what, (do, allowed) in WAYS.items():
        sent.clear()
        event.listen(Engine, "before_cursor_execute", note)
        try:
            await do(database)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        assert sent, what
        for sql, given in list(sent.items()):
            used = await indexes(database, sql, given)
            if not used or not used <= allowed:
                wrong.append((what, used, sql))
    assert not wrong, "\n".join(map(str, wrong))


async def remember_much(db: Database) -> None:
    at = f"CAST('{NOW}' AS TIMESTAMPTZ)"
    async with db.write() as conn:
        for sql in HISTORY:
            if db.dialect == "sqlite":
                await conn.exec_driver_sql(sql.format(many=MANY, at=f"'{NOW:%Y-%m-%d %H:%M:%S.%f}'"))
            else:
                await conn.exec_driver_sql(sql.format(many=MANY, at=at).replace("%", "%%"))
        if db.dialect == "postgresql":
            await conn.exec_driver_sql("ANALYZE")


async def indexes(db: Database, sql: str, given: Any) -> set[str]:
    """By what a statement looks for deliveries; '' is all of them, in whichever order."""
    async with db.read() as conn:
        if db.dialect == "sqlite":
            plan = await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)
            found = r"(SEARCH|SCAN) deliveries(?: USING (?:COVERING )?INDEX (\w+))?"
            looks, own = "SEARCH", {"sqlite_autoindex_deliveries_1": KEY}
        else:  # a page of a small table is cheapest read whole: what is asked is whether it must be
            await conn.exec_driver_sql("SET enable_seqscan = off")
            plan = await conn.exec_driver_sql(f"EXPLAIN {sql}", given)
            scan = r"(?:Index (?:Only )?Scan(?: Backward)? using (\w+)|Seq Scan) on deliveries"
            found = rf"(?:{scan}|Bitmap Index Scan on (\w*_deliveries\w*)).*(?:\n *(Index Cond))?"
            looks, own = "Index Cond", {}
        lines = "\n".join(row[-1] for row in plan)
    names = set[str]()
    for words in re.findall(found, lines):
        said = [word for word in words if word]
        name = next((own.get(word, word) for word in said if "deliveries" in word), "")
        names.add(name if looks in said or name in FEW else "")
    return names
