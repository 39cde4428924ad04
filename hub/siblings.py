"""The processes of one `hub serve --workers N` ask each other for their numbers, so that a scrape sees all.

Each listens on a Unix socket of its own in a directory that only their user can enter, and tells whoever
connects its page. The process that a scrape meets puts the pages together: a sample gets the label `worker`;
what is of the whole installation stands there once. One that does not answer in time is left out, and said
so. Knows the text format of Prometheus and no number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

TIMEOUT = 1.0  # seconds a sibling has to answer
UP = "hub_worker_up"

Tell = Callable[[], Awaitable[bytes]]


class Siblings:
    """`place` is where this process listens: `<directory>/<number>`. `tell` makes its own page."""

    def __init__(self, place: Path, tell: Tell) -> None:
        self._place = place
        self._tell = tell
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._place.unlink(missing_ok=True)  # of the process that was here before
        self._server = await asyncio.start_unix_server(self._answer, self._place)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._place.unlink(missing_ok=True)
            with suppress(OSError):  # somebody else is there, or whoever made it has removed it
                self._place.parent.rmdir()

    async def pages(self) -> dict[str, bytes | None]:
        """Everybody's page by number, this process's too; None of one that does not answer."""
        places = sorted(self._place.parent.iterdir(), key=lambda place: (len(place.name), place.name))
        found = await asyncio.gather(*[self._page(place) for place in places])
        return {place.name: page for place, page in zip(places, found, strict=True)}

    async def _page(self, place: Path) -> bytes | None:
        if place == self._place:
            return await self._tell()
        try:
            async with asyncio.timeout(TIMEOUT):
                reader, writer = await asyncio.open_unix_connection(place)
                try:
                    return await reader.read() or None
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                writer.write(await self._tell())
                await writer.drain()
        finally:
            writer.close()


def merged(pages: Iterable[tuple[str, bytes | None]], *, shared: Collection[str]) -> bytes:
    """One page of all, by worker. Families in `shared` are taken from the first that has them."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    up = []
    for worker, page in pages:
        up.append(f'{UP}{{worker="{worker}"}} {0 if page is None else 1}.0')
        family, again = "", False
        for line in (page or b"").decode().splitlines():
            if line.startswith("# "):
                _, word, family, *_ = line.split(" ", 3)
                if word == "HELP":
                    again = bool(samples.get(family)) and family in shared
                    samples.setdefault(family, [])
                head = heads.setdefault(family, [])
                if line not in head:
                    head.append(line)
            elif not again:
                samples[family].append(line if family in shared else _labelled(line, worker))
    samples[UP] = up
    lines = [line for family, head in heads.items() for line in (*head, *samples[family])]
    return "\n".join([*lines, ""]).encode()


def _labelled(line: str, worker: str) -> str:
    """A sample with the label in front of its others."""
    name, brace, rest = line.partition("{")
    if brace:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = line.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
