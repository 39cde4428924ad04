"""What really travels on every channel is held against the AsyncAPI document that the same hub serves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
from jsonschema import Draft7Validator

from tests.described import closed
from tests.living import PATIENCE, Ear, Living, Start, Stream

SILENT = {":", ""}  # comments, and a place or a pause without data
OLDER = {"/sse/notifications": 3, "/sse/bookings": 1, "/api/notifications/stream": 2}


class Channels:
    """The channels of a served document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def check(self, channel: str, name: str, payload: Any) -> None:
        """Raises AssertionError unless the hub may say this there."""
        messages = [
            self._document["components"]["messages"][message["$ref"].rpartition("/")[2]]
            for key, message in self._document["channels"][channel]["messages"].items()
            if not key.startswith("client.")
        ]
        fitting = [message["payload"] for message in messages if message["name"] == name]
        assert fitting, f"{name} is not described on {channel}"
        # Older dialects are put together from open parts; everything else is closed.
        strict = (lambda part: part) if name == "message" else closed
        components = strict(self._document["components"])
        faults = []
        for schema in strict(fitting):
            check = Draft7Validator({"allOf": [schema], "components": components})
            if not (wrong := [f"{e.json_path}: {e.message[:300]}" for e in check.iter_errors(payload)]):
                return
            faults += wrong
        raise AssertionError(f"{name} on {channel}: {faults}\n{payload}")


async def channels_of(hub: Living) -> Channels:
    async with hub.http.get("/asyncapi.json") as answer:
        return Channels(await answer.json())


async def test_everything_on_socketio_is_described(living: Start) -> None:
    hub = await living(heartbeat_ms=200)
    channels = await channels_of(hub)
    token = hub.token("42", "ADMIN", topics=["jobs.*"])
    async with Ear(hub.url, token) as ear, Ear(hub.url, token, namespace="/ws/notifications") as other:
        sent = await hub.notify("nearby-job", to=["user:42", "role:ADMIN"], channels=["inApp", "email"])
        await ear.wait("notification:new")
        for event, data in {
            "ping": None,
            "joinRoom": {"room": "topic:jobs.hanoi"},
            "getPresence": {},
            "markSeen": {"ids": [sent["id"]]},
            "markNotificationRead": {"id": sent["id"]},
            "leaveRoom": {"room": "topic:jobs.hanoi"},
            "nothing": None,
        }.items():
            await ear.say(event, data)
        await ear.wait("error")
        await ear.say("markAllRead", {})
        await ear.wait("notification:read_all")
        async with Ear(hub.url, hub.token("7")):
            await ear.wait("presence:join")
        await hub.user("PATCH", f"/notifications/{sent['id']}/archive", token)
        await hub.user("DELETE", f"/notifications/{sent['id']}", token)
        await ear.wait("notification:deleted")
        await other.wait("notification:read")
        await ear.wait("heartbeat")
    heard = [item for item in [*ear.heard] if item.event not in ("connect", "disconnect")]
    for channel, items in (("socketio", heard), ("socketioNotifications", other.heard)):
        for event, args in items:
            if event not in ("connect", "disconnect"):
                channels.check(channel, event, args[0] if len(args) == 1 else list(args))
    assert {
        *("connected", "notification:new", "nearby-job", "pong", "joinedRoom", "leftRoom", "presenceStats"),
        *("notification:seen", "notificationRead", "notification:read_all", "presence:join", "error"),
        *("notification:updated", "notification:deleted", "notification:unread_count", "heartbeat"),
    } <= {item.event for item in heard}
    assert any(len(item.args) == 2 for item in other.heard if item.event == "notification:read")


async def test_everything_on_streams_is_described_in_each_dialect(living: Start) -> None:
    hub = await living(sse_heartbeat_interval=200)
    channels = await channels_of(hub)
    token = hub.token("42")
    named = await Stream(hub.http).open(token)
    older = {path: await Stream(hub.http, path).open(token) for path in OLDER}
    trial = await Stream(hub.http, "/notifications/sse/test").open()
    await hub.notify("booking.confirmed", to="user:42", data={"bookingId": "CH-00001"})
    await named.wait("booking.confirmed")
    await trial.wait("tick")
    for path, count in OLDER.items():
        await older[path].wait("message", count=count)
    named_as = {"sseNotificationsSse": named, "sseNotificationsSseTest": trial}
    named_as |= {f"sse{path.title().replace('/', '')}": stream for path, stream in older.items()}
    for name, stream in named_as.items():
        for event, args in [*stream.heard]:
            if event not in SILENT:
                channels.check(name, event, args[0])
    for stream in (named, trial, *older.values()):
        await stream.close()


async def test_every_frame_of_a_plain_websocket_is_described(living: Start) -> None:
    hub = await living()
    channels = await channels_of(hub)
    async with hub.http.ws_connect(f"/ws/notifications?token={hub.token('42')}") as socket:
        frames = [await frame_of(socket)]
        await hub.notify("booking.confirmed", to="user:42")
        frames.append(await frame_of(socket))
        for number, event in enumerate(("ping", "getPresence", "nothing"), 1):
            await socket.send_str(json.dumps({"event": event, "data": None, "ack": number}))
            frames.append(await frame_of(socket))
    for frame in frames:
        channels.check("websocket", frame["event"], frame)
    assert [frame["event"] for frame in frames] == [
        *("connected", "booking.confirmed", "pong", "presenceStats", "error")
    ]


async def frame_of(socket: aiohttp.ClientWebSocketResponse) -> Any:
    async with asyncio.timeout(PATIENCE):
        return json.loads(await socket.receive_str())
