"""A hub in the test's own process: real SQLite, real Valkey, real sockets on a free port.

`living` starts one with the settings a test names and stops it afterwards. `Ear` is a Socket.IO client
(python-socketio's own) and `Stream` a bare SSE reader; both keep what they hear and let a test wait for it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple, Self

import aiohttp
import jwt
import pytest_asyncio
import socketio
from yarl import URL

from hub.app import Hub, build
from hub.cluster.embedded import free_port
from hub.settings import DEVELOPMENT_KEY, DEVELOPMENT_SECRET, Settings
from hub.web.listening import Listening, ListenOptions
from hub.web.routes import make_app
from tests.described import watch

PATIENCE = 30.0  # seconds that anything a test waits for may take


class Living:
    """A running hub, and what one does with it from outside."""

    def __init__(self, hub: Hub, port: int) -> None:
        self.hub = hub
        self.url = f"http://127.0.0.1:{port}"
        self.http = aiohttp.ClientSession(self.url)
        app = make_app(hub)
        self.watched = watch(app)
        self._listening = Listening(app, hub.sockets, ListenOptions())
        self._port = port

    async def start(self) -> Self:
        await self.hub.open()
        await self._listening.open("127.0.0.1", self._port)
        return self

    async def stop(self) -> None:
        await self.http.close()
        self._listening.stop()
        await self.hub.drain()
        await self._listening.close()
        await self.hub.close()

    def token(
        self,
        user: str = "42",
        *roles: str,
        tenant: str = "acme",
        lives: float = 3600,
        **claims: Any,
    ) -> str:
        shape = {"sub": user, "tenant": tenant, "roles": list(roles), "exp": time.time() + lives} | claims
        return jwt.encode(shape, DEVELOPMENT_SECRET, algorithm="HS256")

    async def post(self, path: str, body: Any, *, tenant: str = "acme", **headers: str) -> Any:
        """POST as a backend; the answer's JSON. Fails unless it is 2xx."""
        given = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": tenant, **headers}
        async with self.http.post(path, json=body, headers=given) as answer:
            shape = await answer.json(content_type=None)
            assert answer.ok, shape
            return shape

    async def notify(self, type: str = "booking.created", to: Any = "role:ADMIN", **more: Any) -> Any:
        tenant = more.pop("tenant", "acme")
        return await self.post("/notifications", {"type": type, "to": to, "data": {}, **more}, tenant=tenant)

    async def user(self, method: str, path: str, token: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.request(method, path, headers=headers, **options) as answer:
            return answer.status, await answer.json(content_type=None)


def next_page(answer: aiohttp.ClientResponse) -> str | None:
    """The path that `Link: rel=next` names."""
    link = answer.links.get("next")
    return str(URL(str(link["url"])).relative()) if link else None


class Heard(NamedTuple):
    event: str
    args: tuple[Any, ...]

    @property
    def data(self) -> Any:
        return self.args[0] if self.args else None


class Listener:
    """What was heard, in order, and waiting for it."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._news = asyncio.Event()

    def hear(self, event: str, *args: Any) -> None:
        self.heard.append(Heard(event, args))
        self._news.set()

    def all(self, event: str) -> list[Any]:
        return [item.data for item in self.heard if item.event == event]

    async def wait(self, event: str, where: Callable[[Any], bool] = lambda data: True, count: int = 1) -> Any:
        """The data of the `count`th event that matches, heard already or yet to come."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [item for item in self.heard if item.event == event and where(item.data)]
                if len(found) >= count:
                    return found[count - 1].data
                self._news.clear()
                await self._news.wait()


class Ear(Listener):
    """A stock Socket.IO client of python-socketio."""

    def __init__(self, base: str, token: str, *, namespace: str = "/", **auth: Any) -> None:
        super().__init__()
        self.base = base
        self.namespace = namespace
        self.auth = {"token": token, **auth}
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("*", self.hear, namespace=namespace)
        for name in ("connect", "disconnect"):
            self.client.on(name, self._lifecycle(name), namespace=namespace)
        self.client.on("connect_error", self._refused, namespace=namespace)

    def _lifecycle(self, name: str) -> Callable[..., None]:
        def happened(*args: Any) -> None:
            self.hear(name, *args)

        return happened

    def _refused(self, data: Any = None) -> None:
        self.hear("connect_error", data)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self, **options: Any) -> Any:
        """Connect; what `connected` says."""
        before = len(self.all("connected"))
        options = {"transports": ["websocket"], "namespaces": [self.namespace], **options}
        await self.client.connect(self.base, auth=self.auth, **options)
        return await self.wait("connected", count=before + 1)

    async def close(self) -> None:
        with suppress(Exception):
            await self.client.disconnect()

    async def say(self, event: str, data: Any = None) -> None:
        await self.client.emit(event, data, namespace=self.namespace)

    async def ask(self, event: str, data: Any = None) -> Any:
        """Emit and return the acknowledgement."""
        return await self.client.call(event, data, namespace=self.namespace, timeout=PATIENCE)

    @property
    def connected(self) -> Any:
        return self.all("connected")[-1]


class Stream(Listener):
    """A bare reader of one SSE stream. `cursor` is the last id it has seen, as a browser keeps it."""

    def __init__(self, http: aiohttp.ClientSession, path: str = "/notifications/sse") -> None:
        super().__init__()
        self._http = http
        self._path = path
        self._answer: aiohttp.ClientResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self.cursor: str | None = None
        self.headers: Any = None
        self.comments: list[str] = []
        self.ended = asyncio.Event()

    async def open(self, token: str | None = None, **options: Any) -> Self:
        headers = dict(options.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if self.cursor:
            headers["Last-Event-ID"] = self.cursor
        self.ended.clear()
        timeout = aiohttp.ClientTimeout(total=None)
        self._answer = await self._http.get(self._path, headers=headers, timeout=timeout, **options)
        self.headers = self._answer.headers
        assert self._answer.status == 200, await self._answer.text()
        self._task = asyncio.create_task(self._read(self._answer))
        return self

    async def _read(self, answer: aiohttp.ClientResponse) -> None:
        fields: dict[str, str] = {}
        try:
            async for raw in answer.content:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments.append(line)
                    self.hear(":", line)
                elif line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                elif fields:
                    self.cursor = fields.get("id", self.cursor)
                    if "data" in fields:
                        self.hear(fields.get("event", "message"), json.loads(fields["data"]))
                    else:
                        self.hear("", fields)  # a place or a pause, which a browser keeps to itself
                    fields = {}
        except aiohttp.ClientError:
            pass
        finally:
            self.ended.set()
            self._news.set()

    async def close(self) -> None:
        if self._answer is not None:
            self._answer.close()
        if self._task is not None:
            await asyncio.wait([self._task])


Start = Callable[..., Awaitable[Living]]


@pytest_asyncio.fixture
async def living(sqlite_url: str, valkey_url: str, prefix: str) -> AsyncIterator[Start]:
    """Start hubs on one database and one Valkey: `await living(heartbeat_ms=200)`."""
    started: list[Living] = []

    async def start(**given: Any) -> Living:
        port = free_port()
        settings = Settings(
            **{
                "env": "test",
                "port": port,
                "database_url": sqlite_url,
                "redis_url": valkey_url,
                "redis_prefix": prefix,
                **given,
            }
        )
        started.append(await Living(await build(settings), port).start())
        return started[-1]

    yield start
    for item in started:
        await item.stop()
    for item in started:
        item.watched.require_none()
