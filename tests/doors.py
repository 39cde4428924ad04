"""The doors on a real server, with stand-ins behind them that remember what they were asked.

The stand-ins know no rules: whatever a test sees refused was refused by the doors. `hub.stored` is
everything that got through.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from hub.choices import registry
from hub.domain.access import ApiKey, Principal
from hub.domain.drafts import Contact, Draft, IdempotencyKey
from hub.domain.errors import (
    IdempotencyConflict,
    NotificationUnknown,
    PersonUnknown,
    Refusal,
    TokenExpired,
    TokenInvalid,
    TokenRevoked,
)
from hub.domain.message import Message
from hub.services.inbox import Begun, Marked
from hub.services.reports import Rows
from hub.services.wire import dumps, loads
from hub.store.appending import Appended
from hub.store.inbox_page import NEAR
from hub.web.arrivals import Arrivals
from hub.web.context import WebOptions
from hub.web.routes import ROUTES
from hub.web.routing import Route, assemble
from hub.web.short import ShortWay
from hub.web.traffic import Traffic
from tests.described import watch
from tests.hubs import LOOPBACK, free_port

OPTIONS = WebOptions(
    development=True,
    max_body_bytes=1 << 20,
    max_data_bytes=64 << 10,
    max_json_depth=32,
    max_batch=1000,
    max_rooms=1000,
    near_radius=50_000,
    max_message_bytes=64 << 10,
    events_most=10,
    events_window=5.0,
    event_timeout=10.0,
    body_timeout=15.0,
    cors_origins=(),
    token_cookie="access_token",
    token_in_query=True,
    trusted_proxies=(),
    metrics_open=True,
    development_key="hub_platform",
)
ANA = Principal(tenant="acme", user="ana", roles=("CUSTOMER",))
MARTA = Principal(tenant="acme", user="marta", roles=("ADMIN",))
PEOPLE = {"ana-token": ANA, "marta-token": MARTA}
KEYS = {
    "hub_acme": ApiKey("1", "acme", frozenset({"notify"})),
    "hub_admin": ApiKey("2", "acme", frozenset({"admin"})),
    "hub_reader": ApiKey("3", "acme", frozenset({"read"})),
    "hub_platform": ApiKey("4", None, frozenset({"notify"})),
}
EXPIRED, REVOKED = "expired-token", "hub_revoked"
KEY = {"Authorization": "Bearer hub_acme"}
USER = {"Authorization": "Bearer ana-token"}
ID = "01J9Z3K4M5N6P7Q8R9S0T1V2W3"


@dataclass(frozen=True)
class Answer:
    body: bytes
    replayed: bool = False


@dataclass(frozen=True)
class Page:
    items: list[dict[str, Any]]
    total: int
    unread: int

    @property
    def body(self) -> bytes:
        return dumps(self.items)

    @property
    def count(self) -> int:
        return len(self.items)


class Explaining:
    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def page(self, draft: Draft, **which: Any) -> Rows:
        self._behind.asked.append((draft, which))
        return Rows([], None)


class Behind:
    """Everything behind the doors, in one object."""

    def __init__(self, options: WebOptions) -> None:
        self.options = options
        self.registry = registry()
        self.tokens = self.ingest = self.inbox = self.people = self.deliveries = self.outbox = self
        self.presence = self
        self.explain = Explaining(self)
        self.sessions = None
        self.stored: list[Any] = []
        self.asked: list[Any] = []
        self.tickets: dict[str, Principal] = {}
        self.keys: dict[str, tuple[str, bytes]] = {}
        self.waiting: list[Any] = []  # who was to be told what was stored without waiting for it
        self.looks: list[asyncio.Future[Any]] = []  # what was asked of the inbox without waiting for it
        self.held = False  # neither is told
        self.refusal: Exception | None = None  # what every service call ends in, when set
        self.shown = Page([], 0, 0)
        self.messages: list[Message] = []
        self.unwell: dict[str, str] = {}
        self.traffic = Traffic()

    async def metrics(self) -> tuple[bytes, str]:
        self.asked.append("metrics")
        return b"# nothing\n", "text/plain; version=0.0.4; charset=utf-8"

    async def faults(self) -> Mapping[str, str]:
        return self.unwell

    # -- tokens --------------------------------------------------------------------------------------
    async def principal(self, token: str) -> Principal:
        assert token.isascii()
        if token == EXPIRED:
            raise TokenExpired("the token has expired")
        if token not in PEOPLE:
            raise TokenInvalid("the token is not valid")
        return PEOPLE[token]

    def known_principal(self, token: str) -> Principal | None:
        return PEOPLE.get(token)

    def known(self, secret: str) -> ApiKey | None:
        return KEYS.get(secret)

    async def api_key(self, secret: str) -> ApiKey:
        assert secret.isascii()
        if secret == REVOKED:
            raise TokenRevoked("the key was revoked")
        if secret not in KEYS:
            raise TokenInvalid("the API key is unknown or revoked")
        return KEYS[secret]

    async def ticket(self, who: Principal) -> tuple[str, int]:
        ticket = f"ticket{len(self.tickets)}"
        self.tickets[ticket] = who
        return ticket, 30

    async def redeem(self, ticket: str) -> Principal:
        assert ticket.isascii()
        if ticket not in self.tickets:
            raise TokenInvalid("the ticket is unknown or was used")
        return self.tickets.pop(ticket)

    def issue(self, who: Principal, expires_in: float) -> str:
        return f"{who.user}-token"

    # -- ingest --------------------------------------------------------------------------------------
    def begin(self, draft: Draft, key: IdempotencyKey | None, answer: Any) -> bool:
        if draft.channels:
            return False  # as if something had to be looked up
        self.waiting.append(answer)
        if not self.held:
            asyncio.get_running_loop().call_soon(self._tell, answer, draft, key)
        return True

    def _tell(self, answer: Any, draft: Draft, key: IdempotencyKey | None) -> None:
        outcome: Appended | Exception
        try:
            given = self._accept(draft, key)
        except Exception as fault:
            outcome = fault
        else:
            outcome = given if isinstance(given, Refusal) else Appended(None, given.body, given.replayed)
        answer.set_result([outcome])

    async def accept(self, draft: Draft, key: IdempotencyKey | None = None) -> Answer:
        [answer] = await self.accept_many([(draft, key)])
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def accept_many(
        self, items: Iterable[tuple[Draft, IdempotencyKey | None]]
    ) -> list[Answer | Refusal]:
        return [self._accept(draft, key) for draft, key in items]

    def _accept(self, draft: Draft, key: IdempotencyKey | None) -> Answer | Refusal:
        if isinstance(self.refusal, Refusal):
            return self.refusal
        self._may_fail()
        if key is not None and key.key in self.keys:
            fingerprint, body = self.keys[key.key]
            return Answer(body, True) if fingerprint == key.fingerprint else IdempotencyConflict()
        self.stored.append(draft)
        id = f"{len(self.stored):026}"
        body = dumps({"id": id, "cursor": f"e:{len(self.stored)}", "recipients": 1, "deliveries": []})
        if key is not None:
            self.keys[key.key] = (key.fingerprint, body)
        return Answer(body)

    # -- inbox ---------------------------------------------------------------------------------------
    async def page(self, who: Principal, **query: Any) -> Page:
        return self._page(who, query)

    def _page(self, who: Principal, query: Any) -> Page:
        self._may_fail()
        self.asked.append((who, query))
        return self.shown

    def begin_page(self, who: Principal, **query: Any) -> Begun[Any] | None:
        if query["offset"] + query["limit"] > NEAR:
            return None
        if query["read"]:
            return self._begun(), lambda _: None  # as if it took more than one look
        return self._begun(), lambda _: self._page(who, {"type": None, "after": None, **query})

    def begin_unread_count(self, who: Principal) -> Begun[int]:
        return self._begun(), lambda _: self._unread()

    def _begun(self) -> asyncio.Future[Any]:
        """Answered in the next turn of the loop, unless `held`."""
        begun: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.looks.append(begun)
        if not self.held:
            asyncio.get_running_loop().call_soon(begun.set_result, None)
        return begun

    def _unread(self) -> int:
        self._may_fail()
        return self.shown.unread

    async def unread_count(self, who: Principal) -> int:
        return self._unread()

    async def envelope(self, who: Principal, id: str) -> dict[str, Any]:
        return {"id": self._known(id), "read": id in self.stored}

    async def mark_read(self, who: Principal, ids: list[str], *, by: str | None = None) -> dict[str, Any]:
        self.stored += [self._known(id) for id in ids]
        return {"ids": ids, "readAt": "2026-11-20T10:00:00.000Z", "unreadCount": 2}

    async def mark_all_read(self, who: Principal, *, by: str | None = None) -> dict[str, Any]:
        self.stored.append(who)
        return {"updated": 3, "readAt": "2026-11-20T10:00:00.000Z", "unreadCount": 0}

    async def mark_unread(self, who: Principal, ids: list[str], *, by: str | None = None) -> Marked:
        return self._mark("unread", ids)

    async def mark_seen(self, who: Principal, ids: list[str], *, by: str | None = None) -> Marked:
        return self._mark("seen", ids)

    async def archive(self, who: Principal, ids: list[str], *, by: str | None = None) -> Marked:
        return self._mark("archive", ids)

    async def unarchive(self, who: Principal, ids: list[str], *, by: str | None = None) -> Marked:
        return self._mark("unarchive", ids)

    def _mark(self, what: str, ids: list[str]) -> Marked:
        self.stored += [(what, self._known(id)) for id in ids]
        return Marked([{"id": id} for id in ids], 2, "2026-11-20T10:00:00.000Z")

    async def remove(self, who: Principal, id: str) -> int:
        self.stored.append(("remove", self._known(id)))
        return 2

    async def stats(self, who: Principal) -> dict[str, Any]:
        return {"total": self.shown.total}

    async def timeline(self, who: Principal, id: str) -> list[dict[str, Any]]:
        return [{"deliveryId": self._known(id)}]

    # -- people --------------------------------------------------------------------------------------
    async def put(self, tenant: str, contact: Contact) -> dict[str, Any]:
        return (await self.put_many(tenant, [contact]))[0]

    async def put_many(self, tenant: str, contacts: list[Contact]) -> list[dict[str, Any]]:
        self._may_fail()
        self.stored += [(tenant, contact) for contact in contacts]
        return [{"id": contact.user} for contact in contacts]

    async def get(self, tenant: str, user: str) -> dict[str, Any]:
        if user != "ana":
            raise PersonUnknown("nobody with this id")
        return {"id": user, "tenant": tenant}

    async def delete(self, tenant: str, user: str) -> None:
        await self.get(tenant, user)
        self.stored.append(("deleted", tenant, user))

    # -- the rest ------------------------------------------------------------------------------------
    async def cancel_pending(self, tenant: str, event_id: str, now: datetime) -> int:
        assert now.tzinfo is not None
        self.stored.append(("cancelled", tenant, self._known(event_id)))
        return 2

    async def recent(self, *, limit: int) -> list[Message]:
        return self.messages[:limit]

    def _known(self, id: str) -> str:
        if id != ID:
            raise NotificationUnknown("no such notification")
        return id

    def _may_fail(self) -> None:
        if self.refusal is not None:
            raise self.refusal


class Doors:
    """A client of a running server, and what stands behind that server."""

    def __init__(self, hub: Behind, http: aiohttp.ClientSession, port: int) -> None:
        self.hub = hub
        self.port = port
        self.long = 0  # connections that are aiohttp's
        self._http = http

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Called:
        if json is not None:
            data = dumps(json)
        if isinstance(data, bytes):
            data = io.BytesIO(data)
        url = f"http://{LOOPBACK}:{self.port}{path}"
        async with self._http.request(method, url, data=data, headers=headers, **more) as answer:
            return Called(answer, await answer.read())

    async def get(self, path: str, **more: Any) -> Called:
        return await self.call("GET", path, **more)

    async def post(self, path: str, json: Any = None, **more: Any) -> Called:
        return await self.call("POST", path, json=json, **more)


class Called:
    """What came back, read to its end."""

    def __init__(self, answer: aiohttp.ClientResponse, body: bytes) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.type = answer.content_type
        self.body = body

    @property
    def json(self) -> Any:
        return loads(self.body)

    @property
    def fields(self) -> dict[str, str]:
        """The faults of a refused body, by field."""
        return {fault["field"]: fault["message"] for fault in self.json.get("errors", [])}

    @property
    def refused(self) -> tuple[int, str]:
        """Status and code of a refusal; anything but a whole problem+json is a failure."""
        assert self.type == "application/problem+json", self.body
        problem = self.json
        assert problem["status"] == self.status
        assert problem["error"] == problem["title"]
        assert problem["type"] == f"/errors/{problem['code']}"
        assert problem["detail"]
        return self.status, problem["code"]


@asynccontextmanager
async def doors(
    *, routes: Iterable[Route] = ROUTES, short: bool = False, keepalive: float = 60.0, **options: Any
) -> AsyncIterator[Doors]:
    """A server with these options changed, on loopback. `short`: with the short way, for what may take it;
    `keepalive` in seconds is of connections that are on it."""
    hub = Behind(replace(OPTIONS, **options))
    app = assemble(hub, routes)
    # What stands behind these doors answers less than a hub; what they refuse is their own.
    watched = watch(app, whole=False) if routes is ROUTES else None
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, lingering_time=0.2)
    await runner.setup()
    long = runner.server
    assert long is not None
    port = free_port()

    def onward() -> asyncio.Protocol:
        served.long += 1
        return long()

    way = ShortWay(app, onward, keepalive=keepalive)
    arrivals = Arrivals(onward, timeout=20.0, most=100, take=way.take if short else None)
    server = await asyncio.get_running_loop().create_server(arrivals, LOOPBACK, port)
    try:
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar, auto_decompress=True) as http:
            served = Doors(hub, http, port)
            yield served
    finally:
        server.close()
        arrivals.close()
        await way.close(1.0)
        await runner.cleanup()
    if watched is not None:
        watched.require_none()


def message(**changes: Any) -> Message:
    """A mail as the sandbox keeps it."""
    mail = Message(
        id=ID,
        tenant="acme",
        user="ana",
        channel="email",
        address="ana@example.com",
        subject="Booked",
        text="Room 4 is yours",
        html=None,
        at=datetime(2026, 11, 20, 10, tzinfo=UTC),
    )
    return replace(mail, **changes)
