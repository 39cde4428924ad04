"""No secret reaches the log, whatever door it comes through, at the level that tells most.

Everything is asked with secrets where secrets may stand and where they may not: good and bad tokens, keys,
tickets, cookies and pids, and bodies with addresses. What the hub has written afterwards is searched.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import structlog
from sqlalchemy import insert

from hub.services.unsubscribe import Link
from hub.settings import DEVELOPMENT_KEY
from hub.store import tables
from hub.store.engine import Database
from hub.web.openapi.examples import PUSH_SUBSCRIPTION
from hub.web.routes import ROUTES
from tests.integration.test_realtime_malformed import MALFORMED
from tests.integration.test_web_refusals import WALK
from tests.living import Living, Start

SECRET = "canary-7Hq2xZk9"
MAIL = f"{SECRET}@example.com"
STREAMS = [path for _, path in WALK if path.endswith(("/sse", "/stream")) or path.startswith("/sse/")]
BODY = {"type": "system", "to": {"id": "42", "email": MAIL}, "title": SECRET, "data": {"token": SECRET}}


class Written:
    """Everything that was logged, and the secrets that may not be in it."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream
        self.secrets = {SECRET, DEVELOPMENT_KEY}

    def require_none(self, *, lines: int = 1) -> None:
        written = self._stream.getvalue()
        assert written.count("\n") >= lines, "nothing was logged, so nothing was looked at"
        for secret in self.secrets:
            # The end alone is as good as the whole to whoever has the rest from elsewhere.
            for text in (secret, quote(secret, safe=""), secret[-16:]):
                found = written.find(text)
                assert found < 0, written[max(0, found - 300) : found + 100]


@pytest.fixture
def written(log_lines: io.StringIO) -> Written:
    return Written(log_lines)


async def ticket(hub: Living, written: Written) -> str:
    _, given = await hub.user("POST", "/auth/ticket", hub.token("1", "ADMIN"))
    written.secrets.add(given["ticket"])
    return str(given["ticket"])


def token(hub: Living, written: Written) -> str:
    made = hub.token("1", "ADMIN", "CUSTOMER")
    written.secrets.add(made)
    return made


async def presentations(hub: Living, written: Written) -> list[dict[str, Any]]:
    """Ways to present something, as options of a request."""
    _, key = await hub.hub.keys.create("acme", ["admin"], "key", now=datetime.now(UTC))
    good = token(hub, written)
    written.secrets.add(key)
    return [
        {"headers": {"Authorization": f"Bearer {SECRET}"}},
        {"headers": {"Authorization": f"Basic {SECRET}"}},
        {"headers": {"Authorization": f"Bearer {good}"}},
        {"headers": {"Authorization": f"Bearer {key}"}},
        {"headers": {"Authorization": f"Bearer hub_{SECRET}"}},
        {"headers": {"X-API-Key": SECRET}},
        {"headers": {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}},
        {"headers": {"Cookie": f"access_token={good}; other={SECRET}"}},
        {"headers": {"Cookie": f"access_token={SECRET}"}},
        {"params": {"token": good, "lastEventId": SECRET}},
        {"params": {"token": SECRET}},
        {"params": {"ticket": await ticket(hub, written), "rooms": f"topic:{SECRET}"}},
        {"params": {"ticket": SECRET, "types": SECRET, "userId": SECRET, "after": SECRET}},
    ]


async def test_no_route_logs_what_it_is_given(
    living: Start, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.services.disconnect.PATIENCE", 0.02)  # nobody has the connections asked for
    hub = await living()
    ways = await presentations(hub, written)
    for route in ROUTES:
        path, body = WALK[route.method, route.path]
        for way in ways:
            given = {**body, "title": SECRET} if isinstance(body, dict) else body
            async with hub.http.request(route.method, path, json=given, **way) as answer:
                assert answer.status != 500
    platform = ways[6]["headers"]
    for method, path, data in (
        ("POST", "/notifications", json.dumps(BODY)),
        ("POST", "/notifications", json.dumps(BODY)[:-1]),
        ("POST", "/notifications", json.dumps({**BODY, SECRET: 1})),
        ("POST", "/notifications/batch", json.dumps([BODY, SECRET])),
        ("POST", "/events", json.dumps({"type": SECRET, "to": SECRET})),
        ("POST", "/api/sse/broadcast", json.dumps({"notification": {"type": "system", "message": SECRET}})),
        ("POST", "/api/sse/broadcast", json.dumps({"tenantId": SECRET, "notification": SECRET})),
        ("PUT", f"/users/{SECRET}", json.dumps({"email": MAIL, "phone": SECRET})),
        ("PUT", f"/users/{SECRET}", json.dumps({"email": MAIL})),
        ("GET", f"/users/{SECRET}", None),
        ("GET", f"/{SECRET}?token={SECRET}", None),
        ("POST", "/admin/revoke", json.dumps({"jti": SECRET})),
    ):
        async with hub.http.request(method, path, data=data, headers=platform) as answer:
            assert answer.status != 500
    written.require_none(lines=len(ROUTES) * len(ways))


async def test_no_stream_logs_who_came_or_what_was_shown(living: Start, written: Written) -> None:
    hub = await living()
    assert len(STREAMS) == 4
    for path in STREAMS:
        for query in (f"token={token(hub, written)}", f"ticket={await ticket(hub, written)}"):
            async with hub.http.get(f"{path}?{query}&lastEventId={SECRET}") as answer:
                assert answer.status == 200
                await hub.notify("booking.created", "role:ADMIN", data={"text": SECRET})
                while SECRET not in (await answer.content.readline()).decode():
                    pass
        for query in (f"token={SECRET}", f"ticket={SECRET}"):
            async with hub.http.get(f"{path}?{query}") as answer:
                assert answer.status == 401
    written.require_none(lines=16)


Say = Callable[[str], Any]


def is_last(packet: str) -> bool:
    """Whether it answers what was said: a refusal, an acknowledgement, or a welcome."""
    return packet.startswith(("44", "43")) or '["connected"' in packet


@asynccontextmanager
async def by_websocket(hub: Living, query: str) -> AsyncIterator[Say]:
    async with hub.http.ws_connect(f"/socket.io/?EIO=4&transport=websocket{query}") as ws:
        await ws.receive()

        async def say(packet: str) -> list[str]:
            with suppress(ConnectionError):
                await ws.send_str(packet)
            found: list[str] = []
            while not any(map(is_last, found)):
                message = await ws.receive(timeout=5)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                found.append(message.data)
            return found

        yield say


@asynccontextmanager
async def by_polling(hub: Living, query: str) -> AsyncIterator[Say]:
    path = f"/socket.io/?EIO=4&transport=polling{query}"
    async with hub.http.get(path) as answer:
        path += f"&sid={json.loads((await answer.text())[1:])['sid']}"

    async def say(packet: str) -> list[str]:
        async with hub.http.post(path, data=packet.encode()) as answer:
            if answer.status != 200:
                return []
        found: list[str] = []
        while not any(map(is_last, found)):
            async with hub.http.get(path) as answer:
                if answer.status != 200:
                    break
                found += (await answer.text()).split("\x1e")
        return found

    yield say


@pytest.mark.parametrize("transport", [by_websocket, by_polling])
@pytest.mark.parametrize("space", ["", "/ws/notifications,"])
async def test_no_socket_logs_who_came_or_what_was_said(
    living: Start, written: Written, transport: Any, space: str
) -> None:
    hub = await living()
    good = token(hub, written)
    for auth in ({"token": SECRET}, {"token": [SECRET]}, {"token": good, "types": SECRET, "rooms": SECRET}):
        async with transport(hub, f"&token={SECRET}") as say:
            assert any(text.startswith("44") for text in await say(f"40{space}{json.dumps(auth)}"))
    async with transport(hub, "") as say:
        auth = {"token": good, "recovery": True, "pid": SECRET, "offset": SECRET, "cursor": SECRET}
        found = await say(f"40{space}{json.dumps(auth)}")
        pid = json.loads(found[0][2:].removeprefix(space))["pid"]
        written.secrets.add(pid)
        for event, data in (
            ("refresh", {"token": SECRET}),
            ("refresh", {"token": token(hub, written)}),
            ("joinRoom", {"room": SECRET}),
            ("markSeen", {"ids": [SECRET]}),
            (SECRET, {"token": SECRET}),
        ):
            found = await say(f"42{space}1{json.dumps([event, data])}")
            assert any(text.startswith("43") for text in found), event
        again = {"token": good, "recovery": True, "pid": pid, "offset": "x:1"}
        async with transport(hub, f"&token={good}") as other:
            assert await other(f"40{space}{json.dumps(again)}")
    written.require_none(lines=3 if transport is by_polling else 0)


async def test_no_broken_frame_is_quoted(living: Start, written: Written) -> None:
    """Neither of Socket.IO nor of a plain WebSocket, nor what is no HTTP."""
    hub = await living()
    good = token(hub, written)
    for wire in MALFORMED:
        if not isinstance(wire, str) or len(wire) > 1000:
            continue
        for broken in (f"{wire}{SECRET}", wire[:2] + SECRET + wire[2:], wire.replace("m", SECRET)):
            async with hub.http.ws_connect("/socket.io/?EIO=4&transport=websocket") as ws:
                await ws.send_str("40" + json.dumps({"token": good}))
                await ws.send_str(broken)
                await ws.send_str("x")  # whatever that was, this is one too many
                while (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
                    pass
    async with hub.http.ws_connect(f"/ws/notifications?token={good}&cursor={SECRET}") as ws:
        for said in (SECRET, "{" + SECRET, json.dumps({"event": SECRET, "data": SECRET, "ack": [SECRET]})):
            await ws.send_str(said)
        await ws.send_bytes(SECRET.encode())
        while (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
            pass
    for head in (
        f"GET /notifications?token={SECRET} HTTP/9.9\r\n\r\n",
        f"GET /?token={SECRET} HTTP/1.1\r\nAuthorization: Bearer {SECRET}\r\nNo header {SECRET}\r\n\r\n",
        f"{SECRET} /notifications?token={SECRET}\r\n\r\n",
        f"GET /notifications HTTP/1.1\r\nCookie: {SECRET}\x00\r\nContent-Length: {SECRET}\r\n\r\n",
        f"GET /socket.io/?EIO=4&transport=websocket&token={SECRET} HTTP/1.1\r\nHost: x\r\n{SECRET}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.url.rpartition(":")[2]))
        writer.write(head.encode())
        await reader.read()
        writer.close()
    written.require_none()


async def test_what_the_database_refuses_is_not_quoted(database: Database, written: Written) -> None:
    row: dict[str, Any] = {"id": "acme", "epoch": "e", "offset": 0, "trimmed": 0, "settings": {"of": SECRET}}
    row["created_at"] = datetime.now(UTC)
    try:
        async with database.write() as conn:
            await conn.execute(insert(tables.tenants), row)
            await conn.execute(insert(tables.tenants), row)
    except Exception:
        structlog.get_logger("hub.web").exception("http.failed")
    else:
        pytest.fail("one tenant was stored twice")
    written.require_none()


async def test_what_comes_back_is_not_quoted_and_no_key_is_shown(living: Start, written: Written) -> None:
    """Neither webhooks' secrets, nor browsers' endpoints and keys, nor links, nor suppressed addresses."""
    auth = base64.urlsafe_b64encode(SECRET[:16].encode()).rstrip(b"=").decode()
    secrets = {"twilio_auth_token": f"twilio-{SECRET}", "resend_webhook_secret": f"whsec_{auth}"}
    hub = await living(public_url=f"https://hub.example.com/{auth}", unsubscribe_key=SECRET * 3, **secrets)
    link = hub.hub.links.token(Link("acme", "42", "email", "system"))
    written.secrets |= {auth, link}
    user, admin = token(hub, written), hub.token("1", "ADMIN")
    browser = {**PUSH_SUBSCRIPTION, "endpoint": f"https://push.example.com/{SECRET}"}
    browser["keys"] = {**PUSH_SUBSCRIPTION["keys"], "auth": auth}
    struck = {"channel": "email", "address": MAIL}
    answers = []
    for method, path, options in (
        ("POST", "/me/push-subscriptions", {"json": browser}),
        ("POST", "/me/push-subscriptions", {"json": {**browser, "endpoint": f"http://{SECRET}/"}}),
        ("GET", "/me/push-subscriptions", {}),
        ("GET", "/me/push-subscriptions/key", {}),
        ("POST", "/admin/suppressions", {"json": struck}),
        ("POST", "/admin/suppressions", {"json": {**struck, "channel": "sms"}}),
        ("GET", "/admin/suppressions", {}),
        ("DELETE", f"/admin/suppressions/email/{SECRET}", {}),
        ("GET", f"/unsubscribe/{link}", {}),
        ("POST", f"/unsubscribe/{link}", {"data": {"List-Unsubscribe": "One-Click"}}),
        ("POST", f"/unsubscribe/{SECRET}", {"data": {"List-Unsubscribe": SECRET}}),
        ("POST", f"/providers/twilio/status?delivery={SECRET}", {"data": {"To": SECRET}}),
        ("POST", "/providers/resend/events", {"json": {"to": MAIL}, "headers": {"svix-signature": SECRET}}),
    ):
        headers = {"Authorization": f"Bearer {admin if 'admin' in path else user}"} | options.pop(
            "headers", {}
        )
        async with hub.http.request(method, path, headers=headers, **options) as answer:
            assert answer.status < 500, path
            answers.append(await answer.text())
    made = await hub.notify("system", {"id": "1", "email": MAIL}, channels=["webpush", "email"])
    assert len(made["deliveries"]) == 2
    for delivery in made["deliveries"]:
        await hub.hub.deliver.send(delivery["id"])
    for path in ("/admin/deliveries", "/admin/notifications/logs", f"/notifications/{made['id']}/timeline"):
        answers.append(str(await hub.user("GET", path, admin)))
    assert not [text for text in answers if SECRET in text or auth in text]
    written.require_none(lines=10)
