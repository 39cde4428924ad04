"""The real hub with one more door: `python -m benchmarks.hub_server LINE_PORT`.

Everything is as `hub serve` makes it from the environment (Valkey, SQLite, JWTs, rooms). On LINE_PORT it
takes the lines that the peers take, "<room> <json>\\n", and publishes each as an event that is not stored,
because the peers store nothing. The envelope that clients get is as long as the JSON that was sent, and
holds its `ts` and `n`.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import hub.app
from hub.commands.launch import serve
from hub.domain.events import Event
from hub.services.publish import Publish
from hub.services.wire import dumps, envelope, loads
from hub.settings import Settings
from hub.store.migrate import migrate

TENANT = "bench"


class LineDoor(asyncio.Protocol):
    """One publisher. What is read at once is published at once, as a group commit would."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            self._publish.events([event_of(line) for line in lines])


def event_of(line: bytes) -> Event:
    room, _, text = line.partition(b" ")
    sent = loads(text)

    def event(message: str) -> Event:
        return Event(
            tenant=TENANT,
            id=sent["id"],
            type="bench.published",
            wire="bench.published",
            created_at=datetime.now(UTC),
            rooms=(room.decode(),),
            title=sent["title"],
            message=message,
            data={"ts": sent["ts"], "n": sent["n"]},
            inbox=False,
        )

    global _around
    if not _around:
        _around = len(dumps(envelope(event(""))))
    return event(sent["body"][: max(0, len(text) - _around)])


_around = 0  # bytes of an envelope without its message


def add_line_door(port: int) -> None:
    """Every hub that is built from now on opens the door when it is opened."""
    build = hub.app.build

    async def build_with_door(settings: Settings) -> hub.app.Hub:
        made = await build(settings)
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: LineDoor(made.publish), "127.0.0.1", port)
        return made

    hub.app.build = build_with_door


if __name__ == "__main__":
    migrate(Settings().database)
    add_line_door(int(sys.argv[1]))
    serve(workers=None, host=None, port=None)
