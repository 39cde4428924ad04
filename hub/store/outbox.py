"""The sandbox's outbox: messages that were not sent, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson
from sqlalchemy import delete, insert, select

from hub.domain.message import Message
from hub.store.engine import Database
from hub.store.tables import outbox


class Outbox:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, message: Message) -> None:
        """Keep a message. A repetition (the same delivery) replaces what was kept."""
        row = {
            "id": message.id,
            "tenant": message.tenant,
            "user": message.user,
            "channel": message.channel,
            "address": message.address,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "embed": None if message.embed is None else orjson.dumps(dict(message.embed)).decode(),
            "link": message.link,
            "created_at": message.at,
        }
        async with self._db.write() as connection:
            await connection.execute(delete(outbox).where(outbox.c.id == message.id))
            await connection.execute(insert(outbox).values(row))

    async def recent(self, *, limit: int) -> Sequence[Message]:
        """The newest messages, newest first."""
        newest = select(outbox).order_by(outbox.c.created_at.desc(), outbox.c.id.desc()).limit(limit)
        async with self._db.read() as connection:
            rows = (await connection.execute(newest)).mappings().all()
        return [
            Message(
                id=row["id"],
                tenant=row["tenant"],
                user=row["user"],
                channel=row["channel"],
                address=row["address"],
                subject=row["subject"],
                text=row["text"],
                html=row["html"],
                embed=orjson.loads(row["embed"]) if row["embed"] else None,
                link=row["link"],
                at=row["created_at"],
            )
            for row in rows
        ]

    async def trim(self, *, before: datetime) -> int:
        """Delete what is older than `before`; how many."""
        async with self._db.write() as connection:
            return (await connection.execute(delete(outbox).where(outbox.c.created_at < before))).rowcount
