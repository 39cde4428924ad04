"""Lines of every kind: Socket.IO by WebSocket or by polling, the plain WebSocket, and streams.

`line` makes one. Each knows the hub's frames on its transport, and answers pings. They are as raw as can be,
because a library would hide some of what came.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.chaos.lines import SOCKETS, Line
from tests.chaos.tenants import Lookout, Person


class Socket(Line):
    """Socket.IO."""

    def __init__(self, *about: Any, namespace: str = "/", auth: dict[str, Any]) -> None:
        super().__init__(*about)
        self.namespace = namespace
        self._space = "" if namespace == "/" else f"{namespace},"
        self._auth = auth
        self._query = ""

    def present_ticket(self, ticket: str) -> None:
        del self._auth["token"]
        self._query = f"&ticket={ticket}"

    async def open(self) -> None:
        await self._dial()
        await self._send(f"40{self._space}{json.dumps(self._auth)}")
        await self.until(lambda: self.greeting or self.refusal, "what its CONNECT came to")

    async def _say(self, event: str, data: Any, number: int) -> None:
        await self._send(f"42{self._space}{number}{json.dumps([event, data])}")

    async def _dial(self) -> None:
        self._ws = await self._http.ws_connect(f"/socket.io/?EIO=4&transport=websocket{self._query}")
        self._begin(self._read())

    async def _send(self, packet: str) -> None:
        await self._ws.send_str(packet)

    async def _read(self) -> None:
        try:
            async for message in self._ws:
                await self._packet(message.data)
        finally:
            await self._ws.close()

    async def _packet(self, text: str) -> None:
        self._take(text)
        kind, rest = text[:2], text[2:].removeprefix(self._space)
        if text == "2":
            await self._send("3")
        elif kind == "40":
            self.reply = json.loads(rest)
        elif kind == "44":
            self.refusal = json.loads(rest)
        elif kind == "42":
            event, *args = json.loads(rest)
            self._hear(event, args[0] if args else None)
        elif kind == "43":
            number, _, shape = rest.partition("[")
            args = json.loads(f"[{shape}")
            self._acks[int(number)] = args[0] if len(args) == 1 else args


class Polling(Socket):
    async def _dial(self) -> None:
        self._path = f"/socket.io/?EIO=4&transport=polling{self._query}"
        async with self._http.get(self._path) as answer:
            self._path += "&sid=" + json.loads((await answer.text())[1:])["sid"]
        self._begin(self._read())

    async def _send(self, packet: str) -> None:
        async with self._http.post(self._path, data=packet.encode()) as answer:
            self._take(await answer.text())

    async def _read(self) -> None:
        while True:
            async with self._http.get(self._path) as answer:
                text = await answer.text()
            if answer.status != 200:
                return
            for packet in text.split("\x1e"):
                await self._packet(packet)


class Plain(Line):
    """The plain WebSocket."""

    def __init__(self, *about: Any, query: dict[str, str]) -> None:
        super().__init__(*about)
        self._query = query

    def present_ticket(self, ticket: str) -> None:
        self._query = self._query | {"token": "", "ticket": ticket}

    async def open(self) -> None:
        self._ws = await self._http.ws_connect(f"/ws/notifications?{urlencode(self._query)}")
        self._begin(self._read())
        await self.until(lambda: self.greeting, "connected")

    async def _say(self, event: str, data: Any, number: int) -> None:
        await self._ws.send_str(json.dumps({"event": event, "data": data, "ack": number}))

    async def _read(self) -> None:
        try:
            async for message in self._ws:
                self._take(message.data)
                frame = json.loads(message.data)
                self._hear(frame["event"], frame.get("data"))
                if "ack" in frame:
                    self._acks[frame["ack"]] = frame["data"]
        finally:
            await self._ws.close()


class Stream(Line):
    """Server-Sent Events; `kind` is the path."""

    def __init__(self, *about: Any, query: dict[str, str]) -> None:
        super().__init__(*about)
        self._query = query

    def present_ticket(self, ticket: str) -> None:
        self._query = self._query | {"token": "", "ticket": ticket}

    async def open(self) -> None:
        forever = aiohttp.ClientTimeout(total=None)
        self._answer = await self._http.get(f"{self.kind}?{urlencode(self._query)}", timeout=forever)
        assert self._answer.status == 200, await self._answer.text()
        self._begin(self._read())

    async def _read(self) -> None:
        try:
            async for line in self._answer.content:
                self._take(line.decode())
        finally:
            self._answer.close()


def line(
    http: aiohttp.ClientSession,
    lookout: Lookout,
    who: Person,
    kind: str,
    token: str,
    *,
    namespace: str = "/",
    cursor: str | None = None,
    topics: tuple[str, ...] = (),
    format: str = "",
    named: str = "",
    **auth: Any,
) -> Line:
    """A line that is not open yet. `named` is a tenant that it names and that is not its own; `format` is for
    streams, `auth` for Socket.IO alone."""
    about = (http, lookout, who, kind)
    rooms = [f"topic:{topic}" for topic in topics]
    if kind in SOCKETS:
        auth |= {"tenant": named, "tenantId": named} if named else {}
        given = {"token": token, "rooms": rooms, **auth} | ({"cursor": cursor} if cursor else {})
        made = Socket if kind == "websocket" else Polling
        return made(*about, namespace=namespace, auth=given)
    query = {"token": token, "rooms": ",".join(rooms)}
    query |= {"tenant": named, "tenantId": named} if named else {}
    if kind == "plain":
        return Plain(*about, query=query | ({"cursor": cursor} if cursor else {}))
    query |= {"format": format} if format else {}
    return Stream(*about, query=query | ({"lastEventId": cursor} if cursor else {}))
