"""A peer of ingest: the same parts put together as their documentation has them, and nothing else.

aiohttp, pydantic and SQLAlchemy Core on aiosqlite with synchronous=FULL. What waits is stored together: a
place in the log from one UPDATE, an event and a delivery row each. No key, no limit, no idempotency, no
routing, nobody is told. `python -m benchmarks.peers.plain_ingest PORT FILE`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from datetime import UTC, datetime
from typing import Any, NamedTuple

import uvloop
from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, Text, event, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.tokens import TENANT

metadata = MetaData()
tenants = Table("tenants", metadata, Column("id", String, primary_key=True), Column("offset", Integer))
events = Table(
    "events",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("offset", Integer, primary_key=True),
    *(Column("id", String, unique=True), Column("type", String), Column("title", Text)),
    *(Column("message", Text), Column("link", Text), Column("data", Text), Column("rooms", Text)),
    Column("created_at", DateTime(timezone=True)),
)
deliveries = Table(
    "deliveries",
    metadata,
    *(Column("id", String, primary_key=True), Column("tenant", String), Column("offset", Integer)),
    *(Column("channel", String), Column("status", String), Column("due_at", DateTime(timezone=True))),
)


class Entry(BaseModel):
    type: str = Field(max_length=128)
    to: list[str] = Field(min_length=1)
    title: str = Field(max_length=200)
    message: str = Field(max_length=2000)
    link: str
    data: dict[str, Any]


class Notification(Entry):
    tenantId: str = Field(max_length=64)


class Batch(BaseModel):
    notifications: list[Entry]
    tenantId: str = Field(max_length=64)


class Waiting(NamedTuple):
    tenant: str
    items: list[Entry]
    stored: asyncio.Future[list[tuple[str, int]]]


class Log:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: list[Waiting] = []
        self._something = asyncio.Event()

    async def store(self, tenant: str, items: list[Entry]) -> list[tuple[str, int]]:
        stored: asyncio.Future[list[tuple[str, int]]] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(tenant, items, stored))
        self._something.set()
        return await stored

    async def run(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            taken, self._waiting = self._waiting, []
            items = [(waiting.tenant, item) for waiting in taken for item in waiting.items]
            async with self._engine.begin() as connection:
                place = update(tenants).where(tenants.c.id == items[0][0])
                moved = place.values(offset=tenants.c.offset + len(items)).returning(tenants.c.offset)
                last = (await connection.execute(moved)).scalar_one()
                first, now = last - len(items) + 1, datetime.now(UTC)
                ids = [secrets.token_hex(13) for _ in items]
                rows = [
                    {
                        "tenant": tenant,
                        "offset": first + number,
                        "id": ids[number],
                        "type": item.type,
                        "title": item.title,
                        "message": item.message,
                        "link": item.link,
                        "rooms": json.dumps(item.to),
                        "data": json.dumps(item.data),
                        "created_at": now,
                    }
                    for number, (tenant, item) in enumerate(items)
                ]
                await connection.execute(insert(events), rows)
                due = [
                    {
                        "id": secrets.token_hex(13),
                        "tenant": row["tenant"],
                        "offset": row["offset"],
                        "channel": "email",
                        "status": "planned",
                        "due_at": now,
                    }
                    for row in rows
                ]
                await connection.execute(insert(deliveries), due)
            places = [(id, first + number) for number, id in enumerate(ids)]
            for waiting in taken:
                mine, places = places[: len(waiting.items)], places[len(waiting.items) :]
                waiting.stored.set_result(mine)


def main() -> None:
    port, file = int(sys.argv[1]), sys.argv[2]
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}", pool_size=1)
    log = Log(engine)

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    async def one(request: web.Request) -> web.Response:
        item = Notification.model_validate_json(await request.read())
        [(id, offset)] = await log.store(item.tenantId, [item])
        return web.json_response({"id": id, "cursor": offset}, status=202)

    async def many(request: web.Request) -> web.Response:
        batch = Batch.model_validate_json(await request.read())
        places = await log.store(batch.tenantId, batch.notifications)
        results = [{"id": id, "cursor": offset} for id, offset in places]
        return web.json_response({"results": results}, status=202)

    async def lasting(app: web.Application) -> Any:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.execute(insert(tenants), {"id": TENANT, "offset": 0})
        task = asyncio.create_task(log.run())
        yield
        task.cancel()

    app = web.Application()
    app.add_routes([web.post("/notifications", one), web.post("/notifications/batch", many)])
    app.cleanup_ctx.append(lasting)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main()
