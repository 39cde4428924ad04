"""What the hub says, recorded in tests/fixtures/wire for the tests of the client: it says the same today.

`REWRITE_WIRE=1 pytest tests/integration/test_wire_fixtures.py` writes the files anew.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from hub.settings import DEVELOPMENT_KEY
from tests.living import Ear, Living, Start

WIRE = Path(__file__).parents[1] / "fixtures" / "wire"
TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CURSOR = re.compile(r"[0-9A-Za-z]+:(\d+)")
SAME_TIME = "2026-11-20T10:00:00.000Z"
PREFERENCES = "/notifications/preferences"
HEADERS = ("X-Total-Count", "X-Unread-Count", "Link")
BACKEND = {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": "acme"}
NAMED = frozenset({"id", "ids", "notificationId", "sid", "sessionId"})


class Normal:
    """Values without what differs from run to run: ids by their order, one time, one epoch."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}

    def of(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self.of(item, name) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(item, key) for item in value]
        return self._text(value, key) if isinstance(value, str) else value

    def _text(self, text: str, key: str) -> str:
        if key in NAMED:
            return self.ids.setdefault(text, f"id-{len(self.ids) + 1}")
        if key == "rooms" and text.startswith("session:"):
            return f"session:{self._text(text.removeprefix('session:'), 'sid')}"
        if key in {"cursor", "earliest"}:
            return CURSOR.sub(r"e1:\1", text)
        return self.ids.get(text) or TIMES.sub(SAME_TIME, text)


async def talk(hub: Living) -> dict[str, Any]:
    """Everything that is recorded, by the name of its file, in the order in which it happened."""
    token = hub.token("ana", "CUSTOMER", sid="s1")
    messages: dict[str, Any] = {}

    async def keep(ear: Ear, event: str) -> None:
        await ear.wait(event)
        first = next(item for item in ear.heard if item.event == event)
        messages[event.replace(":", "-")] = {"event": event, "args": list(first.args)}

    async def keep_answer(name: str, path: str) -> None:
        async with hub.http.get(path, headers={"Authorization": f"Bearer {token}"}) as answer:
            headers = {name: answer.headers[name] for name in HEADERS if name in answer.headers}
            messages[name] = {"request": f"GET {path}", "headers": headers, "body": await answer.json()}

    async with Ear(hub.url, token) as ear:
        await keep(ear, "connected")
        await ear.ask("getPresence", {"room": "tenant:acme"})
        async with Ear(hub.url, hub.token("bo", "PROFESSIONAL")):
            await keep(ear, "presence:join")
        await keep(ear, "presence:leave")
        to, data = {"id": "ana", "email": "ana@example.com"}, {"bookingId": "17", "guestName": "Ana"}
        first = (await hub.notify("booking.confirmed", to, data=data, channels=["inApp", "email"]))["id"]
        await keep(ear, "notification:new")
        await hub.notify("reminder", "user:ana", title="Tomorrow", message="At ten")
        await ear.wait("notification:new", count=2)
        await keep_answer("page", "/notifications?archived=false&limit=1")
        async with hub.http.delete(f"/notifications/{first}/pending", headers=BACKEND) as answer:
            assert answer.status == 200
        await keep(ear, "delivery:update")
        await hub.user("PATCH", f"/notifications/{first}/read", token)
        await keep(ear, "notification:read")
        await keep(ear, "notification:unread_count")
        await hub.user("PATCH", f"/notifications/{first}/unread", token)
        await keep(ear, "notification:updated")
        await hub.user("DELETE", f"/notifications/{first}", token)
        await keep(ear, "notification:deleted")
        await hub.user("PATCH", PREFERENCES, token, json={"sms": False, "locale": "de"})
        await keep(ear, "preferences:updated")
        await keep_answer("preferences", PREFERENCES)
        async with Ear(hub.url, hub.token("ana", sid="s2"), cursor="gone:1") as late:
            await keep(late, "sync:reset")
        await hub.post("/admin/revoke", {"userId": "ana"})
        await keep(ear, "session:closed")
    return messages


async def test_the_hub_says_what_is_recorded(living: Start) -> None:
    hub = await living(presence_grace=0)
    normal = Normal()
    today = {name: normal.of(message) for name, message in (await talk(hub)).items()}
    if os.environ.get("REWRITE_WIRE"):
        for name, message in today.items():
            (WIRE / f"{name}.json").write_text(json.dumps(message, indent=2, ensure_ascii=False) + "\n")
    recorded = {path.stem: json.loads(path.read_text()) for path in WIRE.glob("*.json")}
    assert today == recorded
