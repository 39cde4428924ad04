"""A client of Socket.IO that comes back as what it was, packet by packet, of good or bad will.

It speaks just enough for that; stock clients are in tests/integration/test_recovery_clients.py.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Self

from hub.web.background import end
from tests.living import Listener, Living


class Raw(Listener):
    """One WebSocket. `auth` is sent as it is; `reply` is what CONNECT was answered with."""

    def __init__(self, hub: Living, token: str, *, namespace: str = "/", **auth: Any) -> None:
        super().__init__()
        self.hub = hub
        self.token = token
        self.space = "" if namespace == "/" else f"{namespace},"
        self.namespace = namespace
        self.auth = {"token": token, "recovery": True, **auth}
        self.reply: dict[str, Any] = {}
        self.offset: str | None = None  # as the stock client keeps it
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.knock()
        await self.wait("CONNECT")
        await self.wait("connected")
        return self

    async def knock(self) -> None:
        self.ws = await self.hub.http.ws_connect("/socket.io/?EIO=4&transport=websocket")
        await self.ws.send_str(f"40{self.space}{json.dumps(self.auth)}")
        self._reading = asyncio.create_task(self._read())

    async def __aexit__(self, *_: object) -> None:
        await self.drop()

    async def drop(self) -> None:
        """The transport is gone; the hub hears of it by its end."""
        with suppress(ConnectionError):
            await self.ws.close()
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def _read(self) -> None:
        async for message in self.ws:
            if not isinstance(text := message.data, str):
                continue  # an attachment
            kind, rest = text[:2], text[2:].removeprefix(self.space)
            if text == "2":
                await self.ws.send_str("3")
            elif kind == "40":
                self.reply = json.loads(rest)
                self.hear("CONNECT", self.reply)
            elif kind in ("42", "45"):
                name, *args = json.loads(rest if kind == "42" else rest.partition("-")[2])
                last = [name, *args][-1]
                if "pid" in self.reply and isinstance(last, str):
                    self.offset = last
                self.hear(name, *args)
            elif kind in ("41", "44"):
                self.hear({"41": "DISCONNECT", "44": "CONNECT_ERROR"}[kind], rest)
        self.hear("end")

    async def say(self, event: str, data: Any) -> None:
        await self.ws.send_str(f"42{self.space}{json.dumps([event, data])}")

    def again(self, hub: Living | None = None, **auth: Any) -> Raw:
        """What the stock client does after a drop."""
        more = {"pid": self.reply["pid"], "offset": self.offset} | auth
        return Raw(hub or self.hub, more.pop("token", self.token), namespace=self.namespace, **more)

    @property
    def said(self) -> dict[str, Any]:
        return dict(self.all("connected")[-1])

    def numbers(self, event: str = "booking.created") -> list[int]:
        return [envelope["data"]["n"] for envelope in self.all(event)]


async def send(hub: Living, n: int, to: str = "user:42", **more: Any) -> None:
    await hub.notify("booking.created", to, data={"n": n}, **more)


async def first_of(raw: Raw, *events: str) -> None:
    """Wait for one of them."""
    ways = [asyncio.create_task(raw.wait(event)) for event in events]
    _, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    await end(others)


async def is_as_new(before: Raw, after: Raw, reason: str) -> bool:
    """It got nothing of what `before` had, and was told why."""
    assert (after.said["recovered"], after.said["recoveryReason"]) == (False, reason)
    assert (await after.wait("sync:reset"))["reason"] == reason
    assert isinstance(after.reply["pid"], str)
    return after.reply["pid"] != before.reply["pid"] and after.reply["sid"] != before.reply["sid"]
